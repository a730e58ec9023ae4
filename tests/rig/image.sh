#!/usr/bin/env bash
# image.sh REGISTRY/REPO:TAG [NAME=VALUE...] — makes an image from nothing but the backend program and pushes it.
# The version that it reports is its tag; a tag that contains "bad" never becomes ready. More variables may be given.
. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || { sed -n '2,3s/^# //p' "$0"; exit 2; }
ref=$1 tag=${1##*:} path=${1#*/}
staged=${1%%/*}/staging/$path
shift
env=()
for pair in "VERSION=$tag" "$@"; do env+=(--env "$pair"); done
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tar -h -C "$B" --owner 0 --group 0 --mtime @0 -cf "$tmp/layer.tar" backend
# half-made under another name: who watches the repository sees the tag once, finished
{
  crane append --insecure -f "$tmp/layer.tar" -t "$staged"
  crane mutate --insecure "$staged" -t "$ref" --entrypoint /backend "${env[@]}" --set-platform "linux/$arch"
} > "$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
