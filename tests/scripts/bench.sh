#!/usr/bin/env bash
# bench.sh — what a release costs: the figures of the reference stories on a rig of its own with fake pods, as one table and
# as target/bench.json. Nothing is asserted: a machine that is busy measures itself.
#   QUICK=1   fewer releases and Rollouts, to try the bench itself
export RIG_STATE=${RIG_STATE:-${TMPDIR:-/tmp}/stairlock-bench} RIG_PORT=${RIG_PORT:-16740}
. "$(dirname "$0")/../rig/lib.sh"
cd "$rig/../.."
. tests/scripts/controller.sh
export PYTHONPATH=tests/scripts PYTHONDONTWRITEBYTECODE=1
binary=${CARGO_TARGET_DIR:-target}/dist/stairlock

inside() { # the part that runs in the rig
  install_controller
  export CONTROLLER_ACCOUNT=$controller_account CONTROLLER_PORT=$controller_port CONTROLLER_PID=$S/pids/stairlock
  export -f start_controller start until_ok alive began fail_log
  export S P controller_port binary
  start_controller "$binary" --leader-election=true --identity bench
  exec python3 tests/scripts/bench.py
}

finish() {
  local code=$?
  trap - EXIT
  if [ "$code" != 0 ]; then
    printf '\nbench: failed; the last lines of the controller:\n' >&2
    tail -n 15 "$S/logs/stairlock.log" >&2 2> /dev/null || true
  fi
  "$rig/rig.sh" down || code=$((code == 0 ? 1 : code))
  exit "$code"
}

if [ "${1:-}" = inside ]; then inside; fi
# First, while nothing else runs: the simulator on one core.
cargo bench --locked --bench sim
"$rig/rig.sh" build core kwok
# the controller as images have it
cargo build --locked --profile dist
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$rig/rig.sh" down
"$rig/rig.sh" up kwok
"$rig/rig.sh" run "$PWD/tests/scripts/bench.sh" inside
