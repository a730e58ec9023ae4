#!/usr/bin/env bash
# lock.sh NAME MODULE@VERSION PACKAGE... [+ MODULE@VERSION PACKAGE...] — writes tools/NAME/go.mod and go.sum anew, for
# another version of a program:
#   lock.sh etcd go.etcd.io/etcd/server/v3@v3.7.3 go.etcd.io/etcd/server/v3
#   lock.sh crane github.com/google/go-containerregistry@v0.22.1 github.com/google/go-containerregistry/cmd/crane
#   lock.sh k8s-0.34 github.com/projectcontour/contour@v1.33.8 github.com/projectcontour/contour/cmd/contour \
#     + github.com/fluxcd/source-controller@v1.7.3 github.com/fluxcd/source-controller
#   lock.sh k8s-0.36 sigs.k8s.io/kwok@v0.8.0 sigs.k8s.io/kwok/cmd/kwok \
#     + github.com/fluxcd/kustomize-controller@v1.9.5 github.com/fluxcd/kustomize-controller
#   lock.sh controller-gen sigs.k8s.io/controller-tools@v0.23.0 sigs.k8s.io/controller-tools/cmd/controller-gen
#   lock.sh kube k8s.io/kubernetes@v1.36.3 k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kubectl}
# Programs on the same Kubernetes libraries share a lock, so that these are compiled once (a third of the work).
# A wrapper module, because `go install PACKAGE@VERSION` refuses modules with replace directives. go.sum starts as the
# program's own: the checksum database does not know every version that the proxy has.
# (tools/flux-apis and tools/gateway-api are plain modules: `go get` and `go mod tidy` there. Envoy: requirements.txt.)
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 2; }
name=$1 first=$2
shift
dir=$(cd "$(dirname "$0")" && pwd)/$name
mkdir -p "$dir"
cd "$dir"
rm -f go.mod go.sum
export GOWORK=off GOFLAGS=-mod=mod
field() { sed -n "s/.*\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" <<< "$json"; }
json=$(cd / && go mod download -json "$first")
{
  printf 'module rig/tools/%s\n\ngo 1.26.0\n' "$name"
  if [ "$name" = kube ]; then   # it requires its staging modules at v0.0.0; the published ones are v0.MINOR.PATCH
    printf '\nrequire %s %s\n\nreplace (\n' "${first%@*}" "${first#*@}"
    grep -oE '^\s*k8s.io/[a-z-]+ v0\.0\.0$' "$(field GoMod)" | awk -v v="v0.${first#*@v1.}" '{print "\t" $1 " => " $1 " " v}' | sort -u
    printf ')\n'
  fi
  case "$*" in *fluxcd*)   # as in the go.mod of both controllers: for BLAKE3
    digest=github.com/opencontainers/go-digest
    printf '\nreplace %s => %s v1.0.1-0.20220411205349-bde1400a84be\n' "$digest" "$digest" ;;
  esac
} > go.mod
tools=() next=module
for word in "$@"; do
  case $next,$word in
  module,*)
    version=${word#*@} next=package json=$(cd / && go mod download -json "$word")
    cat "$(field Dir)/go.sum" >> go.sum ;;
  package,+) next=module ;;
  package,*) tools+=("$word@$version") ;;
  esac
done
go get -tool "${tools[@]}"
