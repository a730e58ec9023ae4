#!/usr/bin/env bash
# test.sh [all|cluster] [FILTER...] — what `make test` and `make cluster` run.
#   all      rig programs, build, verify, every test, and last the cluster stories
#   cluster  the cluster stories only; FILTER is passed to the test binary
# The stories run on a rig of their own (RIG_STATE), which is taken down however the run ends.
# On failure the logs of its parts stay in target/rig-logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

what=${1:-all}
[ $# = 0 ] || shift
case $what in all | cluster) ;; *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac

rig=tests/rig/rig.sh
export RIG_STATE=${RIG_STATE:-${TMPDIR:-/tmp}/stairlock-test-$$}
export RIG_PORT=${RIG_PORT:-16540} # beside the ports of `make rig`
rig_log=target/rig-down.log
rig_logs=target/rig-logs
mkdir -p target

# All tests are built for the target of the image: they hold for what ships, and it is not built once more for the pods. Some
# are built as `cargo test` does, with what it has built.
. tests/scripts/target.sh
target='' program=''
[ "$what" != all ] || target=$(static_target || true)
case $target in
*-musl)
  export CARGO_BUILD_TARGET=$target
  program=${CARGO_TARGET_DIR:-target}/$target/debug/stairlock
  ;;
esac

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

# Silent: the summary of the stories stays the last thing on the screen.
finish() {
  local code=$?
  trap - EXIT
  rm -rf "$rig_logs"
  [ "$code" = 0 ] || [ ! -d "$RIG_STATE/logs" ] || cp -r "$RIG_STATE/logs" "$rig_logs" || true
  "$rig" down > "$rig_log" 2>&1 || code=$((code == 0 ? 1 : code))
  exit "$code"
}

# Each test binary but those that need the rig: tests/NAME.rs or tests/NAME/main.rs.
others() {
  local path name
  for path in tests/*.rs tests/*/main.rs; do
    name=${path#tests/}
    name=${name%/main.rs}
    name=${name%.rs}
    case $name in cluster | audit) continue ;; esac
    [ ! -e "$path" ] || printf -- '--test\n%s\n' "$name"
  done
}

step "programs of the rig"
RIG_FLUX=0 "$rig" build

# Flux's controllers take minutes to compile and only the stories need them: in the time that the cores have left until
# then. In a session of its own, so that nothing of it survives a run that fails.
flux_log=target/rig-flux.log
setsid nice -n 19 "$rig" build flux > "$flux_log" 2>&1 < /dev/null &
flux=$!
trap 'kill -- "-$flux" 2> /dev/null || true' EXIT

step "build"
# The program among them: cargo build would compile half of its dependencies a second time, with fewer features.
cargo test --locked --no-run

if [ "$what" = all ]; then
  step "verify"
  STAIRLOCK_BINARY=$program make --no-print-directory verify
  step "tests without a cluster"
  mapfile -t binaries < <(others)
  cargo test --locked --lib --bins "${binaries[@]}"
  cargo test --locked --doc
fi

# Real pods need root; without it the stories say that they had fake ones.
if [ "$what" = all ] && [ "$(id -u)" = 0 ]; then
  step "the image as pods of config/default: a release, a promotion, a rollback, with traffic"
  STAIRLOCK_BINARY=$program POD=1 RIG_STATE=$RIG_STATE-pods RIG_PORT=$((RIG_PORT + 100)) tests/rig/demo.sh
fi

step "programs of Flux"
wait "$flux" || { cat "$flux_log" >&2; exit 1; }
cat "$flux_log"

step "rig up"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$rig" up

step "cluster stories"
# No network in there: everything is compiled by now. The stories mostly wait, so more of them than there are cores.
"$rig" run env RUST_TEST_THREADS="${STORIES:-6}" cargo test --offline --locked --test cluster -- "$@"

# What was forbidden or granted in vain is known only after all of them.
if [ $# = 0 ]; then
  step "audit log of the stories"
  "$rig" run cargo test --offline --locked --test audit
  # The table of requests: the simulated API server was held to stored answers above, they are held to the real one here.
  step "conformance beside the real API server"
  "$rig" run cargo test --offline --locked --test conformance
fi
