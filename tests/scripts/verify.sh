#!/usr/bin/env bash
# verify.sh — fails when a generated file is not what its maker writes. Looks at those paths only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

generated=(config/crd config/rbac deploy docs/reference)
tests/scripts/generate.sh
git --no-pager diff --exit-code -- "${generated[@]}" || {
  echo "generated files are stale: run \`make generate\` and commit them" >&2
  exit 1
}
untracked=$(git ls-files --others --exclude-standard -- "${generated[@]}")
[ -z "$untracked" ] || {
  printf 'generated files are not committed:\n%s\n' "$untracked" >&2
  exit 1
}
