#!/usr/bin/env bash
# rig.sh — a cluster of real parts as plain processes, for the tests and the demo. No container engine.
#   rig.sh build [GROUP...]   makes the programs in the cache: core kwok node contour (default: what this user can run)
#   rig.sh up [PART...]       kwok: control plane, fake nodes, CRDs, registry, reflector, acceptor (always there)
#                             node: a real node beside them; contour: a Gateway API data plane (both need root)
#                             default: everything possible
#   rig.sh run COMMAND...     runs a command inside, with the variables of $RIG_STATE/env
#   rig.sh status | down
# RIG_STATE names the rig (default ${TMPDIR:-/tmp}/stairlock-rig). As root each rig has a network namespace of its own;
# without root it is on 127.0.0.1, at 40 ports from RIG_PORT (default 16440).
. "$(dirname "$0")/lib.sh"
. "$rig/parts.sh"

wants() { [[ " ${parts[*]} " == *" $1 "* ]]; }

inside() { # COMMAND... — in the rig's network namespace, if it has one.
  # nsenter, not `ip netns exec`: that mounts a new /sys, which hides the cgroups from kubelet and runc
  if [ -e "/run/netns/$ns" ]; then nsenter --net="/run/netns/$ns" "$@"; else "$@"; fi
}

up() {
  local root='' word began_at
  [ "$(id -u)" != 0 ] || root=1
  parts=("$@")
  if [ ${#parts[@]} = 0 ]; then
    parts=(kwok)
    [ -z "$root" ] || parts=(kwok node contour)
    [ -n "$root" ] || say "rig: not root: fake pods only, no data plane"
  fi
  for word in "${parts[@]}"; do case $word in
    kwok) ;;
    node | contour) [ -n "$root" ] || die "$word needs root" ;;
    *) die "unknown part $word (kwok node contour)" ;;
  esac; done
  wants kwok || parts=(kwok "${parts[@]}")
  local groups=(core "${parts[@]}")
  "$rig/build.sh" "${groups[@]}"
  if [ -s "$S/env" ] && [ "$(cat "$S/parts")" = "${parts[*]}" ] && all_alive; then
    say "rig: already up ($S)"
    return
  fi
  [ ! -e "$S" ] && [ ! -e "/run/netns/$ns" ] || down
  began_at=$(now)
  mkdir -p "$pki" "$S/logs" "$S/pids" "$S/etcd"
  printf '%s\n' "${parts[*]}" > "$S/parts"
  if [ -n "$root" ]; then
    ip netns add "$ns"
    ip -n "$ns" link set lo up
  fi
  inside env RIG_STATE="$S" RIG_PORT="$P" "$rig/parts.sh" up "${parts[@]}" || { say "rig: not up; the state is kept in $S until the next up or down"; exit 1; }
  say "rig: up in $(took "$began_at") s ($S)"
}

all_alive() {
  local f
  for f in "$S"/pids/*; do alive "$(basename "$f")" || return 1; done
}

run() {
  [ -s "$S/env" ] || die "no rig is up in $S"
  [ $# -gt 0 ] || die "run what?"
  set -a
  . "$S/env"
  set +a
  export STAIRLOCK_RIG=$S PATH
  if [ -e "/run/netns/$ns" ]; then exec nsenter --net="/run/netns/$ns" "$@"; fi
  exec "$@"
}

status() { # name, pid, resident MiB, CPU seconds
  [ -d "$S/pids" ] || { say "no rig in $S"; return; }
  local f name pid
  for f in "$S"/pids/*; do
    name=$(basename "$f")
    alive "$name" || { printf '%-26s dead\n' "$name"; continue; }
    pid=$(cut -d' ' -f1 "$f")
    printf '%-26s %7s  %4d MiB  cpu %s\n' "$name" "$pid" "$(($(awk '/VmRSS/ {print $2}' "/proc/$pid/status") / 1024))" "$(ps -o time= -p "$pid")"
  done
  cat "$S/env" 2> /dev/null || say "not up: no $S/env"
}

down() { # only what this rig started: by pid and start time, by its own cgroup, by its own socket. The state is thrown away
  [ -e "$S" ] || [ -e "/run/netns/$ns" ] || return 0
  [ ! -e "$S" ] || [ -d "$S/pids" ] || die "$S is not the state of a rig"
  local f name pid
  for name in kubelet containerd; do kill_part "$name"; done
  node_down
  for f in "$S"/pids/*; do [ ! -e "$f" ] || kill_part "$(basename "$f")"; done
  [ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
  rm -rf "$S"
}

case ${1:-} in
build) shift; exec "$rig/build.sh" "$@" ;;
up | run | status | down) "$@" ;;
*) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
