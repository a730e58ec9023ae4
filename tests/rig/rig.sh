#!/usr/bin/env bash
# rig.sh — a cluster of real parts as plain processes, for the tests and the demo. No container engine.
#   rig.sh build [GROUP...]   makes the programs in the cache: core kwok node contour flux (default: what this user can run)
#   rig.sh up [PART...]       kwok: control plane, fake nodes, CRDs, registry, reflector, acceptor (always there)
#                             flux: source-controller and kustomize-controller
#                             node: a real node beside them; contour: a Gateway API data plane (both need root)
#                             default: everything possible; RIG_FLUX=0 leaves out flux
#   rig.sh run COMMAND...     runs a command inside, with the variables of $RIG_STATE/env
#   rig.sh expose             makes API server, registry and Gateway reachable on 127.0.0.1 of the machine itself, at
#                             RIG_PORT, +7 and +8020, and prints the KUBECONFIG to use there
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
  local isolated='' word began_at
  parts=("$@")
  # a namespace needs root and a kernel that lets it
  if [ "$(id -u)" = 0 ] && unshare --net --mount true 2> /dev/null; then isolated=1; fi
  if [ ${#parts[@]} = 0 ]; then
    parts=(kwok)
    [ "${RIG_FLUX:-1}" = 0 ] || parts+=(flux)
    [ -z "$isolated" ] || parts+=(node contour)
    [ -n "$isolated" ] || say "rig: not root, or no namespaces for root: fake pods only, no data plane"
  fi
  for word in "${parts[@]}"; do case $word in
    kwok | flux) ;;
    node | contour) [ -n "$isolated" ] || die "$word needs root and namespaces" ;;
    *) die "unknown part $word (kwok flux node contour)" ;;
  esac; done
  wants kwok || parts=(kwok "${parts[@]}")
  for word in openssl curl setsid flock awk tar; do command -v "$word" > /dev/null || die "$word is missing on this machine"; done
  "$rig/build.sh" core "${parts[@]}"
  command -v ip > /dev/null || isolated=''
  lock
  if [ -s "$S/env" ] && [ "$(cat "$S/parts")" = "${parts[*]}" ] && all_alive; then
    say "rig: already up ($S)"
    return
  fi
  remove
  began_at=$(now)
  mkdir -p "$pki" "$S/logs" "$S/pids" "$S/etcd"
  printf '%s\n' "${parts[*]}" > "$S/parts"
  if [ -n "$isolated" ]; then
    ip netns add "$ns"
    ip -n "$ns" link set lo up
    set -- inside unshare --mount --propagation private env RIG_NS=1   # what is mounted ends with the processes
  else
    set -- env
  fi
  if ! "$@" RIG_STATE="$S" RIG_PORT="$P" "$rig/parts.sh" up "${parts[@]}"; then
    stop
    die "not up; the logs are in $S/logs until the next up or down"
  fi
  say "rig: up in $(took "$began_at") s ($S)"
}

lock() { # one up or down at a time for one state
  mkdir -p "$cache/locks"
  exec 8> "$cache/locks/$ns"
  flock -w 120 8 || die "gave up waiting for another up or down of $S"
}

all_alive() {
  local f
  for f in "$S"/pids/*; do alive "$(basename "$f")" || return 1; done
}

run() {
  [ -s "$S/env" ] || die "no rig is up in $S"
  [ $# -gt 0 ] || die "run what?"
  set -a
  # shellcheck disable=SC1091
  . "$S/env"
  set +a
  export STAIRLOCK_RIG=$S PATH
  if [ -e "/run/netns/$ns" ]; then exec nsenter --net="/run/netns/$ns" "$@"; fi
  exec "$@"
}

expose() {
  [ -s "$S/env" ] || die "no rig is up in $S"
  [ -e "/run/netns/$ns" ] || { say "$S/kubeconfig"; return; }
  if ! alive portal; then
    kubeconfig "$S/kubeconfig.host" admin "https://127.0.0.1:$P"
    start portal "$B/portal" "/run/netns/$ns" "127.0.0.1:$P=10.243.0.1:443" \
      "127.0.0.1:$((P + 7))=127.0.0.1:$((P + 7))" "127.0.0.1:$((P + 8020))=127.0.0.1:$((P + 8020))"
    until_ok 10 portal "the portal" kubectl --kubeconfig "$S/kubeconfig.host" get --raw /readyz
  fi
  say "$S/kubeconfig.host"
}

status() { # name, pid, resident MiB, CPU seconds
  [ -d "$S/pids" ] || { say "no rig in $S"; return; }
  local f name pid
  for f in "$S"/pids/*; do
    [ -e "$f" ] || continue
    name=$(basename "$f")
    alive "$name" || { printf '%-26s dead\n' "$name"; continue; }
    pid=$(cut -d' ' -f1 "$f")
    printf '%-26s %7s  %4d MiB  cpu %s\n' "$name" "$pid" "$(($(awk '/VmRSS/ {print $2}' "/proc/$pid/status") / 1024))" "$(ps -o time= -p "$pid")"
  done
  cat "$S/env" 2> /dev/null || say "not up: no $S/env"
}

down() { lock; remove; }

remove() { # the state, too: it is thrown away
  [ ! -e "$S" ] || [ -d "$S/pids" ] || die "$S is not the state of a rig"
  stop
  rm -rf "$S"
}

stop() { # only what this rig started: by pid and start time, by its own cgroup, by its own socket
  local names=() f
  for f in "$S"/stories/pids/*; do   # what tests began that were ended before they could end it
    ! lasts "$f" || kill -9 "$(cut -d' ' -f1 "$f")" 2> /dev/null || true
  done
  kill_parts kubelet containerd
  node_down
  if [ -d "$S/pids" ]; then
    mapfile -t names < <(ls "$S/pids")
  elif [ -e "/run/netns/$ns" ]; then   # somebody removed the state of a running rig: what is left is in its namespace
    ip netns pids "$ns" | xargs -r kill -9
  fi
  kill_parts "${names[@]}"
  [ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
}

case ${1:-} in
build) shift; exec "$rig/build.sh" "$@" ;;
up | run | expose | status | down) "$@" ;;
*) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
