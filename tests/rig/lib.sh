# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used there
# lib.sh — sourced by the rig's scripts: places, processes with pid and log, bounded waits, certificates.
set -euo pipefail
rig=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/stairlock
B=$cache/bin
S=${RIG_STATE:-${TMPDIR:-/tmp}/stairlock-rig}
P=${RIG_PORT:-16440}
case $S in /*) ;; *) S=$PWD/$S ;; esac
pki=$S/pki
# the namespace and the cgroup bear the name of the state folder, so that two rigs never share them
ns=stairlock-$(basename "$S")-$(cksum <<< "$S" | cut -d' ' -f1)
cgroup=$ns
PATH=$B:$PATH
export KUBECONFIG=$S/kubeconfig KUBECACHEDIR=$S/kubecache   # another rig at this address has other kinds

say() { printf '%s\n' "$*"; }
die() { printf 'rig: %s\n' "$*" >&2; exit 1; }

cgroup_dirs() { # the rig's cgroup, once in each hierarchy that kubelet uses: one (v2) or one for each controller (v1)
  local dir
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    printf '%s\n' "/sys/fs/cgroup/$cgroup"
  else
    for dir in /sys/fs/cgroup/*/; do printf '%s\n' "$dir$cgroup"; done
  fi
}

now() { printf '%s' "${EPOCHREALTIME/,/.}"; }
took() { # SINCE — seconds with one decimal
  awk -v a="$(now)" -v b="$1" 'BEGIN {printf "%.1f", a - b}'
}

began() { # PID — the start time of a process that has not ended: with it a pid names one process for ever
  local line
  { read -r line < "/proc/$1/stat"; } 2> /dev/null || return 1
  # shellcheck disable=SC2086 # split into words
  set -- ${line##*) }
  [ "$1" != Z ] || return 1
  printf '%s' "${20}"
}

start() { # NAME COMMAND... — in the background, in a session of its own; pid and log are kept
  local name=$1 pid
  shift
  setsid "$@" > "$S/logs/$name.log" 2>&1 < /dev/null 8>&- &
  pid=$!
  printf '%s %s\n' "$pid" "$(began "$pid")" > "$S/pids/$name"
}

lasts() { # FILE — whether the process of which the file holds pid and start time is still there
  local pid born
  { read -r pid born < "$1"; } 2> /dev/null || return 1
  [ -n "$born" ] && [ "$(began "$pid")" = "$born" ]
}

alive() { lasts "$S/pids/$1"; } # NAME — whether the process that start() made is still there

until_ok() { # SECONDS PARTS WHAT COMMAND... — polls; gives up by the clock, or when one of the PARTS has died
  local end=$((SECONDS + $1)) parts=$2 what=$3 part
  shift 3
  until "$@" > /dev/null 2>&1; do
    for part in $parts; do
      alive "$part" || { fail_log "$part" "$part ended while waiting for $what"; return 1; }
    done
    if [ "$SECONDS" -ge "$end" ]; then
      printf 'rig: gave up on %s (%s)\n' "$what" "$*" >&2
      for part in $parts; do fail_log "$part" "log of $part"; done
      return 1
    fi
    sleep 0.1
  done
}

fail_log() { # PART TEXT
  printf 'rig: %s; the last lines of %s:\n' "$2" "$S/logs/$1.log" >&2
  tail -n 15 "$S/logs/$1.log" >&2 || true
}

cert() { # NAME CN O SAN — a certificate signed by the rig's CA
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/$1.key"
  openssl req -new -key "$pki/$1.key" -subj "/O=$3/CN=$2" -out "$pki/$1.csr"
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 30 -out "$pki/$1.crt" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s' "${4:+subjectAltName=$4}") 2> /dev/null
}

kubeconfig() { # FILE CERT URL — CA and client certificate inlined
  cat > "$1" << K
{"apiVersion":"v1","kind":"Config","current-context":"rig",
 "clusters":[{"name":"rig","cluster":{"server":"$3","certificate-authority-data":"$(base64 -w0 "$pki/ca.crt")"}}],
 "users":[{"name":"rig","user":{"client-certificate-data":"$(base64 -w0 "$pki/$2.crt")","client-key-data":"$(base64 -w0 "$pki/$2.key")"}}],
 "contexts":[{"name":"rig","context":{"cluster":"rig","user":"rig"}}]}
K
}
