# shellcheck shell=bash
# controller.sh — sourced inside a rig, after tests/rig/lib.sh: runs the controller as a process of that rig, with the
# shipped ServiceAccount and roles. Ends with the rig, or by kill_controller.

controller_port=$((P + 30))
controller_account=system:serviceaccount:stairlock-system:stairlock

install_controller() { # CRD, namespace, account and roles, without the Deployment; a kubeconfig with the account's token
  kubectl apply --server-side -f config/default/namespace.yaml > /dev/null
  kubectl apply --server-side -k config/crd > /dev/null
  kubectl apply --server-side -k config/rbac > /dev/null
  kubectl wait --for condition=Established crd/rollouts.stairlock.dev --timeout 30s > /dev/null
  local token
  token=$(kubectl -n stairlock-system create token stairlock --duration 24h)
  (
    umask 077
    cat > "$S/controller.kubeconfig" << K
{"apiVersion":"v1","kind":"Config","current-context":"rig",
 "clusters":[{"name":"rig","cluster":{"server":"$API_URL","certificate-authority-data":"$(base64 -w0 "$API_CA")"}}],
 "users":[{"name":"rig","user":{"token":"$token"}}],
 "contexts":[{"name":"rig","context":{"cluster":"rig","user":"rig"}}]}
K
  )
}

start_controller() { # BINARY ARGS... — and waits until it is ready
  start stairlock "$@" --kubeconfig "$S/controller.kubeconfig" --bind-address "127.0.0.1:$controller_port"
  until_ok 30 stairlock "the controller" curl -sf -m 2 -o /dev/null "http://127.0.0.1:$controller_port/readyz"
}
