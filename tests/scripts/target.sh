# shellcheck shell=bash
# target.sh — sourced: says for which target a static binary is built on this machine, the one of the image.
#   static_target  prints its triple; musl, where that is there or can be had

static_target() {
  local cpu
  cpu=$(uname -m)
  case $cpu in x86_64 | aarch64) ;; *) return 1 ;; esac
  if musl_ready "$cpu-unknown-linux-musl"; then echo "$cpu-unknown-linux-musl"; else echo "$cpu-unknown-linux-gnu"; fi
}

musl_ready() { # TARGET: it is there or can be had, and a C compiler for it
  command -v rustup > /dev/null || return 1
  rustup target list --installed | grep -qx "$1" || timeout 300 rustup target add "$1" > /dev/null 2>&1 || return 1
  command -v musl-gcc > /dev/null && return
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
  echo "installs musl-tools" >&2
  timeout 300 apt-get install -y -q musl-tools > /dev/null 2>&1
}
