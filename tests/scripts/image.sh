#!/usr/bin/env bash
# image.sh — makes the OCI image from nothing but a static binary and the CA bundle, without a container engine.
#   IMAGE=NAME:TAG     how it is called (default stairlock:VERSION of Cargo.toml)
#   FAST=1             the dev profile: built sooner, bigger; for tests
#   STAIRLOCK_BINARY=PATH  a static one that is built already
#   PUSH=HOST/NAME:TAG pushes it there; INSECURE=1 by plain HTTP
# Writes target/image.tar (an OCI layout that `docker load`, `ctr images import` and `crane push` read too) and prints the
# digest. The same sources and toolchain give the same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

. tests/scripts/target.sh
mkdir -p target
target=$(static_target) || die "no static target is known for $(uname -m)"
case $target in x86_64-*) arch=amd64 ;; *) arch=arm64 ;; esac

if [ -n "${STAIRLOCK_BINARY:-}" ]; then
  binary=$STAIRLOCK_BINARY
else
  profile=dist folder=dist
  [ -z "${FAST:-}" ] || profile=dev folder=debug
  # with --target the flags do not reach proc-macros, which cannot be static
  case $target in *-gnu) export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" ;; esac
  say "builds the binary for $target, profile $profile"
  cargo build --locked --profile "$profile" --target "$target" --bin stairlock
  binary=${CARGO_TARGET_DIR:-target}/$target/$folder/stairlock
fi
if [ -n "${FAST:-}" ]; then
  # not by a setting of the profile, with which everything would be built anew
  strip --strip-debug -o target/stairlock.stripped "$binary"
  binary=target/stairlock.stripped
fi

# What src/planted.rs leaves in a binary with its deliberate defects.
! grep -qaF 'built with planted defects' "$binary" || die "the binary was built with the feature planted"

bundle=''
for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  [ -n "$bundle" ] || [ ! -s "$file" ] || bundle=$file
done
[ -n "$bundle" ] || die "no CA bundle on this machine: install ca-certificates"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
out=target/image.tar
digest=$(python3 tests/scripts/pack_image.py "$out.new" "${IMAGE:-stairlock:$version}" "$arch" \
  "$binary=/stairlock:755" "$bundle=/etc/ssl/certs/ca-certificates.crt:644")
mv "$out.new" "$out"
say "$out, $(($(stat -c %s "$out") / 1024)) KiB, $digest"

[ -n "${PUSH:-}" ] || exit 0
PATH=${XDG_CACHE_HOME:-$HOME/.cache}/stairlock/bin:$PATH
command -v crane > /dev/null || die "PUSH needs crane: tests/rig/rig.sh build core"
layout=$(mktemp -d)
trap 'rm -rf "$layout"' EXIT
tar -xf "$out" -C "$layout"
crane push ${INSECURE:+--insecure} "$layout" "$PUSH" > "$layout/log" 2>&1 || { cat "$layout/log" >&2; exit 1; }
say "pushed to $PUSH@$digest"
