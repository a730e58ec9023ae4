#!/usr/bin/env bash
# parts.sh up PART... — starts the parts of a rig; called by rig.sh, as root inside namespaces of the rig's own (RIG_NS=1).
# Everything that can start at once does; then each part is waited for in turn, one line each.
# As a sourced file it gives rig.sh kill_parts and node_down.
[ -n "${rig:-}" ] || . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

node=rig-node node_ip=10.243.0.1   # the node's address: kubelet refuses loopback, so one that only this namespace has

line() { printf '%-52s %5s s\n' "$1" "$(took "$2")"; }

addresses() { # where the API server listens. In a namespace: at port 443 of any address, the kubernetes Service's among them,
  # so that pods reach it by the address that they are given, without kube-proxy
  if [ "${RIG_NS:-}" = 1 ]; then
    api_host=$node_ip api_bind=0.0.0.0 api_port=443 reconciler=lease
    ip link add rignode type bridge   # not every kernel has dummy devices
    ip addr add "$node_ip/32" dev rignode
    ip addr add 10.96.0.1/32 dev rignode
    ip link set rignode up
  else
    api_host=127.0.0.1 api_bind=127.0.0.1 api_port=$P reconciler=none
  fi
  api_url=https://$api_host:$api_port reg=127.0.0.1:$((P + 7)) etcd_url=http://127.0.0.1:$((P + 1))
}

certificates() {
  local since
  since=$(now)
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/ca.key"
  openssl req -x509 -new -key "$pki/ca.key" -days 30 -subj /CN=rig-ca -out "$pki/ca.crt"
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/sa.key"
  openssl ec -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2> /dev/null
  cert apiserver kube-apiserver rig "IP:127.0.0.1,IP:$api_host,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  cert admin admin system:masters ""
  cert kcm system:kube-controller-manager rig ""
  cert scheduler system:kube-scheduler rig ""
  cert kwok kwok system:masters ""
  cert reflector image-reflector-controller system:masters ""
  cert acceptor gateway-acceptor system:masters ""
  cert source-controller source-controller system:masters ""
  cert kustomize-controller kustomize-controller system:masters ""
  kubeconfig "$KUBECONFIG" admin "$api_url"
  for name in kcm scheduler kwok reflector acceptor source-controller kustomize-controller; do kubeconfig "$S/$name.kubeconfig" "$name" "$api_url"; done
  line certificates "$since"
}

control_plane() {
  # no fsync: the state is thrown away, and writes are several times faster
  start etcd "$B/etcd" --name rig --data-dir "$S/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
    --listen-peer-urls "http://127.0.0.1:$((P + 2))" --initial-advertise-peer-urls "http://127.0.0.1:$((P + 2))" \
    --initial-cluster "rig=http://127.0.0.1:$((P + 2))"
  # shellcheck disable=SC2086 # RIG_API_ARGS is a list of words
  start kube-apiserver "$B/kube-apiserver" --etcd-servers "$etcd_url" \
    --bind-address "$api_bind" --advertise-address "$api_host" --secure-port "$api_port" --endpoint-reconciler-type "$reconciler" \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" --client-ca-file "$pki/ca.crt" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/sa.pub" \
    --service-account-signing-key-file "$pki/sa.key" --service-cluster-ip-range 10.96.0.0/16 \
    --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
    --kubelet-preferred-address-types InternalIP --authorization-mode Node,RBAC --allow-privileged \
    --audit-policy-file "$rig/audit.yaml" --audit-log-path "$S/audit.log" ${RIG_API_ARGS:-}
}

controllers() { # no pod ranges for nodes: real and fake pods have ranges of their own
  # shellcheck disable=SC2086 # RIG_KCM_ARGS is a list of words
  start kube-controller-manager "$B/kube-controller-manager" --kubeconfig "$S/kcm.kubeconfig" \
    --bind-address 127.0.0.1 --secure-port "$((P + 3))" --leader-elect=false --use-service-account-credentials \
    --kube-api-qps 500 --kube-api-burst 1000 --root-ca-file "$pki/ca.crt" --service-account-private-key-file "$pki/sa.key" \
    --allocate-node-cidrs=false --service-cluster-ip-range 10.96.0.0/16 ${RIG_KCM_ARGS:-}
  start kube-scheduler "$B/kube-scheduler" --kubeconfig "$S/scheduler.kubeconfig" --leader-elect=false \
    --bind-address 127.0.0.1 --secure-port "$((P + 4))" --kube-api-qps 500 --kube-api-burst 1000
}

crds() { # with the fake Gateway that gateway-acceptor serves
  local files=(-f "$cache/crds/flux.yaml" -f "$cache/crds/gateway.yaml")
  ! wants contour || files+=(-f "$cache/crds/contour.yaml")
  kubectl apply --server-side "${files[@]}"
  kubectl wait --for condition=Established crd --all --timeout 30s
  kubectl apply --server-side -f - << K
apiVersion: v1
kind: Namespace
metadata: {name: gw}
---
apiVersion: v1
kind: Namespace
metadata: {name: flux-system}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: fake}
spec: {controllerName: stairlock.dev/test-gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: fake, namespace: gw}
spec:
  gatewayClassName: fake
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
K
}

flux() { # only objects with this label: the stories also stage Flux's objects by hand, which nobody may touch
  local common=(--watch-all-namespaces --watch-label-selector test.stairlock.dev/flux=real --enable-leader-election=false
    --concurrent 8 --kube-api-qps 500 --kube-api-burst 1000 --min-retry-delay 200ms --max-retry-delay 2s
    --requeue-dependency 1s --interval-jitter-percentage 0 --events-addr '')
  mkdir -p "$S/flux/tmp"
  # artifacts are served at the address that is advertised in them
  RUNTIME_NAMESPACE=flux-system KUBECONFIG=$S/source-controller.kubeconfig TMPDIR=$S/flux/tmp \
    start source-controller "$B/source-controller" "${common[@]}" --storage-path "$S/flux" \
    --storage-addr "127.0.0.1:$((P + 10))" --storage-adv-addr "127.0.0.1:$((P + 10))" \
    --metrics-addr "127.0.0.1:$((P + 11))" --health-addr "127.0.0.1:$((P + 12))"
  RUNTIME_NAMESPACE=flux-system KUBECONFIG=$S/kustomize-controller.kubeconfig TMPDIR=$S/flux/tmp \
    start kustomize-controller "$B/kustomize-controller" "${common[@]}" \
    --metrics-addr "127.0.0.1:$((P + 13))" --health-addr "127.0.0.1:$((P + 14))"
}

kwok() {
  { cat "$cache/kwok-nodes.yaml"
    awk 'NR == FNR {tpl = tpl "      " $0 "\n"; next} /^ *STATUS$/ {printf "%s", tpl; next} {print}' "$rig/kwok/pod-status.tpl" "$rig/kwok/pods.yaml"
  } > "$S/kwok.yaml"
  start kwok "$B/kwok" --kubeconfig "$S/kwok.kubeconfig" --config "$S/kwok.yaml" --manage-all-nodes=false \
    --manage-nodes-with-label-selector type=kwok --node-lease-duration-seconds 40 --cidr 10.245.0.0/16 --node-ip "$api_host"
  local i
  for i in 1 2 3; do cat << N
apiVersion: v1
kind: Node
metadata: {name: kwok-$i, labels: {type: kwok, kubernetes.io/hostname: kwok-$i, kubernetes.io/os: linux, kubernetes.io/arch: amd64}}
status: {allocatable: {cpu: "64", memory: 256Gi, pods: "500"}, capacity: {cpu: "64", memory: 256Gi, pods: "500"}}
---
N
  done | kubectl apply -f -
}

runtime() { # containerd, and the pause image from nothing
  local c
  mkdir -p "$S/cni" "$S/kubelet" "$S/containerd"
  # folders that cannot be set by an option: here they are empty ones of the rig's own, gone with its mount namespace
  for c in /run/containerd /var/lib/cni /var/lib/kubelet /var/log/containers; do
    mkdir -p "$c"
    mount -t tmpfs tmpfs "$c"
  done
  cgroup_dirs | xargs mkdir -p   # of its own: a kubelet kills what it finds below its root and does not know
  if [ -e /sys/fs/cgroup/cpuset/cpuset.cpus ]; then
    for c in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$c" > "/sys/fs/cgroup/cpuset/$cgroup/cpuset.$c"; done
  fi
  cat > "$S/cni/10-rig.conflist" << C
{"cniVersion":"1.0.0","name":"rig","plugins":[{"type":"bridge","bridge":"rig0","isDefaultGateway":true,"hairpinMode":true,
 "ipam":{"type":"host-local","dataDir":"$S/cni-ipam","ranges":[[{"subnet":"10.244.0.0/24"}]]}}]}
C
  # restrict_oom_score_adj: a root without CAP_SYS_RESOURCE may not lower oom scores, and without it no pod starts
  cat > "$S/containerd.toml" << C
version = 2
root = "$S/containerd/root"
state = "$S/containerd/state"
[grpc]
  address = "$S/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$reg/pause:1"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$S/cni"
C
  start containerd containerd -c "$S/containerd.toml"
}

real_node() {
  # kubelet sets these for the whole machine: it gets to see copies (the mount namespace is the rig's own)
  local key
  mkdir "$S/sysctl"
  for key in vm/overcommit_memory kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    cat "/proc/sys/$key" > "$S/sysctl/${key//\//.}"
    mount --bind "$S/sysctl/${key//\//.}" "/proc/sys/$key"
  done
  cert kubelet "system:node:$node" system:nodes "IP:$node_ip,DNS:$node"
  kubeconfig "$S/kubelet.kubeconfig" kubelet "$api_url"
  cat > "$S/kubelet.yaml" << K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
port: $((P + 5))
readOnlyPort: 0
healthzPort: $((P + 6))
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: AlwaysAllow}
registerWithTaints: [{key: stairlock.dev/real, effect: NoSchedule}]
containerRuntimeEndpoint: unix://$S/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
resolvConf: ""
clusterDomain: cluster.local
podLogsDir: $S/podlogs
makeIPTablesUtilChains: false
serializeImagePulls: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 100Mi, imagefs.available: 100Mi}
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s
K
  start kubelet "$B/kubelet" --config "$S/kubelet.yaml" --kubeconfig "$S/kubelet.kubeconfig" \
    --root-dir "$S/kubelet" --cert-dir "$S/kubelet/pki" --hostname-override "$node" --node-ip "$node_ip" --node-labels type=real
}

pause_image() {
  tar -h -C "$B" --owner 0 --group 0 --mtime @0 -cf "$S/pause.tar" pause
  crane append --insecure -f "$S/pause.tar" -t "$reg/pause:1"
  crane mutate --insecure "$reg/pause:1" -t "$reg/pause:1" --entrypoint /pause --set-platform "linux/$(go_arch)"
}
go_arch() { case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac; }

contour() { # Envoy listens on the Gateway's port + 8000
  printf 'gateway: {gatewayRef: {namespace: gw, name: gw}}\nnetwork: {admin-port: %d}\n' $((P + 26)) > "$S/contour.yaml"
  kubectl apply --server-side -f - << K
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: contour}
spec: {controllerName: projectcontour.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: gw}
spec:
  gatewayClassName: contour
  listeners: [{name: http, port: $((P + 20)), protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
K
  # features whose API versions this Contour does not share with newer CRDs are switched off
  start contour "$B/contour" serve --no-incluster --kubeconfig "$KUBECONFIG" --config-path "$S/contour.yaml" --insecure \
    --disable-leader-election --xds-address 127.0.0.1 --xds-port $((P + 21)) --http-address 127.0.0.1 --http-port $((P + 22)) \
    --health-address 127.0.0.1 --health-port $((P + 23)) --debug-http-port $((P + 24)) --stats-address 127.0.0.1 --stats-port $((P + 25)) \
    --envoy-service-http-address 127.0.0.1 --envoy-service-https-address 127.0.0.1 \
    --disable-feature tlsroutes --disable-feature tcproutes --disable-feature backendtlspolicies
  "$B/contour" bootstrap "$S/envoy.json" --xds-address 127.0.0.1 --xds-port $((P + 21)) --admin-address "$S/envoy.sock"
  start envoy "$B/envoy" -c "$S/envoy.json" --service-cluster projectcontour --service-node envoy-1 \
    --log-level warn --disable-hot-restart --concurrency 1
}

wants() { [[ " ${parts[*]} " == *" $1 "* ]]; }
http_ok() { curl -sf -m 2 -o /dev/null "$1"; }
quiet() { # WHAT COMMAND... — its output only if it fails
  local what=$1 out
  shift
  set +e; out=$(set -e; "$@" 2>&1); local rc=$?; set -e
  [ "$rc" = 0 ] || { printf 'rig: %s failed:\n%s\n' "$what" "$(tail -n 20 <<< "$out")" >&2; exit 1; }
}

parts_up() {
  parts=("$@")
  local t0 t1 gateway_url=''
  addresses
  certificates
  t0=$(now)
  control_plane
  start registry "$B/crane" registry serve --address "$reg"
  ! wants node || quiet containerd runtime
  until_ok 20 registry "the registry" http_ok "http://$reg/v2/"
  ! wants node || quiet "pause image" pause_image
  until_ok 60 "etcd kube-apiserver" "the API server" kubectl get --raw /readyz
  line "etcd, kube-apiserver, registry" "$t0"

  t0=$(now)
  controllers
  quiet "fake nodes" kwok
  if wants node; then
    until_ok 20 containerd containerd ctr -a "$S/containerd.sock" version
    quiet kubelet real_node
  fi
  t1=$(now)
  quiet CRDs crds
  line "CRDs of Flux and Gateway API" "$t1"
  start reflector "$B/reflector" --kubeconfig "$S/reflector.kubeconfig"
  start gateway-acceptor "$B/gateway-acceptor" --kubeconfig "$S/acceptor.kubeconfig"
  t1=$(now)
  ! wants flux || quiet flux flux
  ! wants contour || quiet contour contour
  until_ok 60 "kube-controller-manager kube-scheduler" "the controllers" kubectl -n default get serviceaccount default
  line "kube-controller-manager, kube-scheduler" "$t0"
  until_ok 60 kwok "the fake nodes" kubectl wait node -l type=kwok --for condition=Ready --timeout 1s
  line "KWOK: 3 nodes" "$t0"
  until_ok 30 "gateway-acceptor" "Gateway gw/fake" kubectl -n gw wait gateway fake --for condition=Programmed --timeout 1s
  line "reflector, gateway-acceptor" "$t1"
  if wants flux; then
    until_ok 60 source-controller "source-controller" http_ok "http://127.0.0.1:$((P + 12))/readyz"
    until_ok 60 kustomize-controller "kustomize-controller" http_ok "http://127.0.0.1:$((P + 14))/readyz"
    line "source-controller, kustomize-controller" "$t1"
  fi
  if wants node; then
    until_ok 60 "kubelet containerd" "the real node" kubectl wait node "$node" --for condition=Ready --timeout 1s
    line "containerd, kubelet: node $node" "$t0"
  fi
  if wants contour; then
    until_ok 60 "contour envoy" "Gateway gw/gw" kubectl -n gw wait gateway gw --for condition=Programmed --timeout 1s
    gateway_url=http://127.0.0.1:$((P + 20 + 8000))
    line "Contour, Envoy: Gateway gw/gw" "$t1"
  fi
  cat > "$S/env.new" << E
RIG_STATE=$S
RIG_PORT=$P
KUBECONFIG=$KUBECONFIG
KUBECACHEDIR=$KUBECACHEDIR
API_URL=$api_url
API_CA=$pki/ca.crt
AUDIT_LOG=$S/audit.log
REGISTRY=$reg
GATEWAY_URL=$gateway_url
REAL_NODE=$(wants node && echo 1 || echo 0)
BIN=$B
ETCD_URL=$etcd_url
E
  mv "$S/env.new" "$S/env"
}

kill_parts() { # NAME... — the state is thrown away, so without grace
  local name _
  for name in "$@"; do ! alive "$name" || kill -9 "$(cut -d' ' -f1 "$S/pids/$name")" 2> /dev/null || true; done
  for _ in {1..100}; do
    for name in "$@"; do ! alive "$name" || { sleep 0.05; continue 2; }; done
    break
  done
  for name in "$@"; do rm -f "$S/pids/$name"; done
}

node_down() { # best effort: whatever half of a node there is
  local dirs pids p _
  mapfile -t dirs < <(cgroup_dirs)
  for _ in {1..20}; do   # the pods' processes are in the rig's cgroup
    pids=$(find "${dirs[@]}" -name cgroup.procs -exec cat {} + 2> /dev/null | sort -u || true)
    [ -n "$pids" ] || break
    for p in $pids; do kill -9 "$p" 2> /dev/null || true; done
    sleep 0.05
  done
  for p in /proc/[0-9]*; do   # the shims are told by the socket in their command line
    case $( { tr '\0' ' ' < "$p/cmdline"; } 2> /dev/null) in
    *containerd-shim*" $S/containerd.sock "*) kill -9 "${p#/proc/}" 2> /dev/null || true ;;
    esac
  done
  for _ in {1..40}; do   # a cgroup is busy for a moment after its last process
    find "${dirs[@]}" -depth -type d -exec rmdir {} \; > /dev/null 2>&1 || true
    [ -n "$(find "${dirs[@]}" -maxdepth 0 2> /dev/null || true)" ] || return 0
    sleep 0.05
  done
  say "rig: could not remove the cgroup $cgroup"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case ${1:-} in up) shift; parts_up "$@" ;; *) die "called by rig.sh" ;; esac
fi
