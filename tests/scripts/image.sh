#!/usr/bin/env bash
# image.sh — makes the OCI image from nothing but a static binary and the CA bundle, without a container engine.
#   IMAGE=NAME:TAG     how it is called (default stairlock:VERSION of Cargo.toml)
#   FAST=1             the dev profile: built sooner, bigger; for tests
#   PUSH=HOST/NAME:TAG pushes it there; INSECURE=1 by plain HTTP
# Writes target/image.tar (an OCI layout that `docker load`, `ctr images import` and `crane push` read too) and prints the
# digest. The same sources and toolchain give the same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

case $(uname -m) in
x86_64) cpu=x86_64 arch=amd64 ;;
aarch64) cpu=aarch64 arch=arm64 ;;
*) die "no static target is known for $(uname -m)" ;;
esac

musl_ready() { # the target is there or can be had, and a C compiler for it
  local target=$cpu-unknown-linux-musl
  command -v rustup > /dev/null || return 1
  rustup target list --installed | grep -qx "$target" || timeout 300 rustup target add "$target" > /dev/null 2>&1 || return 1
  command -v musl-gcc > /dev/null && return
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
  say "installs musl-tools"
  timeout 300 apt-get install -y -q musl-tools > /dev/null 2>&1
}

profile=dist folder=dist
# Of the dev profile even less than is optimized for the simulator.
[ -z "${FAST:-}" ] || { profile=dev folder=debug; export CARGO_PROFILE_DEV_OPT_LEVEL=0; }
if musl_ready; then
  target=$cpu-unknown-linux-musl
else
  # with --target the flags do not reach proc-macros, which cannot be static
  target=$cpu-unknown-linux-gnu
  export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
fi
say "builds the binary for $target, profile $profile"
CARGO_PROFILE_DEV_STRIP=debuginfo cargo build --locked --profile "$profile" --target "$target" --bin stairlock
binary=${CARGO_TARGET_DIR:-target}/$target/$folder/stairlock

# What src/planted.rs leaves in a binary with its deliberate defects.
! grep -qaF 'built with planted defects' "$binary" || die "the binary was built with the feature planted"

bundle=''
for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  [ -n "$bundle" ] || [ ! -s "$file" ] || bundle=$file
done
[ -n "$bundle" ] || die "no CA bundle on this machine: install ca-certificates"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
out=target/image.tar
mkdir -p target
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
