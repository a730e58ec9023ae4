#!/usr/bin/env bash
# generate.sh — writes what is derived from the Rust types and from config/: the CRD and install.yaml.
# A file is replaced only when its maker has succeeded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

bin=${XDG_CACHE_HOME:-$HOME/.cache}/stairlock/bin
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

cargo run --locked -q -- crd > "$new/crd.yaml"
mkdir -p config/crd/bases deploy
cp "$new/crd.yaml" config/crd/bases/stairlock.dev_rollouts.yaml
cp "$new/crd.yaml" deploy/crd.yaml

# The rig's kubectl is pinned: another version may order fields otherwise.
[ -x "$bin/kubectl" ] || tests/rig/rig.sh build core
"$bin/kubectl" kustomize config/default > "$new/install.yaml"
cp "$new/install.yaml" deploy/install.yaml
