#!/usr/bin/env bash
# demo.sh — a release climbs, a bad one is rolled back, on a rig of its own (RIG_STATE), with the controller as a process.
#   KEEP=1   leaves cluster and controller running and prints the KUBECONFIG to use
#   POD=1    runs the controller as pods of config/default instead, from the image of image.sh; needs root
# As root with real pods and a real data plane; else with fake pods, and it says so.
export RIG_STATE=${RIG_STATE:-${TMPDIR:-/tmp}/stairlock-demo} RIG_PORT=${RIG_PORT:-16640} RIG_FLUX=0
. "$(dirname "$0")/lib.sh"
cd "$rig/../.."
. tests/scripts/controller.sh
export PYTHONPATH=tests/scripts PYTHONDONTWRITEBYTECODE=1
binary=${CARGO_TARGET_DIR:-target}/debug/stairlock

deploy_pods() { # config/default with the image of the rig's registry, on the real node
  local ref=$REGISTRY/stairlock tag=demo overlay=$S/deploy
  crane push --insecure target/image.tar "$ref:$tag" > "$S/logs/push.log" 2>&1
  mkdir -p "$overlay"
  cat > "$overlay/kustomization.yaml" << K
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$overlay" config/default)]
images: [{name: stairlock, newName: $ref, newTag: $tag}]
patches:
- target: {kind: Deployment, name: stairlock-controller}
  patch: |
    - {op: add, path: /spec/template/spec/nodeSelector, value: {type: real}}
    - {op: add, path: /spec/template/spec/tolerations, value: [{key: stairlock.dev/real, operator: Exists}]}
K
  kubectl apply --server-side -k "$overlay" > /dev/null
  kubectl -n stairlock-system rollout status deployment/stairlock-controller --timeout 120s
}

inside() { # the part that runs in the rig
  if [ -n "${POD:-}" ]; then
    deploy_pods
  else
    install_controller
    start_controller "$binary"
  fi
  exec python3 tests/scripts/demo.py
}

finish() {
  local code=$?
  trap - EXIT
  if [ "$code" != 0 ]; then
    printf '\ndemo: failed; the last lines of the controller:\n' >&2
    if [ -n "${POD:-}" ]; then
      # an evicted pod has no log any more, but a reason
      "$rig/rig.sh" run kubectl -n stairlock-system get events --sort-by .lastTimestamp 2>&1 | tail -n 15 >&2 || true
      "$rig/rig.sh" run kubectl -n stairlock-system logs -l app.kubernetes.io/name=stairlock --tail 15 >&2 || true
    else
      tail -n 15 "$S/logs/stairlock.log" >&2 2> /dev/null || true
    fi
  fi
  if [ -n "${KEEP:-}" ] && [ -s "$S/env" ]; then
    printf '\nexport KUBECONFIG=%s\n' "$("$rig/rig.sh" expose)"
    say "kubectl -n demo get slr; away with it: RIG_STATE=$S tests/rig/rig.sh down"
  else
    "$rig/rig.sh" down || code=$((code == 0 ? 1 : code))
  fi
  exit "$code"
}

if [ "${1:-}" = inside ]; then inside; fi
[ -z "${POD:-}" ] || [ "$(id -u)" = 0 ] || die "POD=1 needs root"
"$rig/rig.sh" build
# here, not inside: in there is no network
if [ -n "${POD:-}" ]; then FAST=${FAST-1} tests/scripts/image.sh; else cargo build --locked; fi
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$rig/rig.sh" down
"$rig/rig.sh" up
"$rig/rig.sh" run "$rig/demo.sh" inside
