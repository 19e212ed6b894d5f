#!/bin/bash
# Serves ACME HTTP-01 challenges, obtains and renews the certificates of $DOMAIN, and serves HTTPS with them.
#
# One process looks after two children: nginx, which runs all the time, and whatever is under way at the
# moment (an order, a pause). So a signal is answered at once, and the end of nginx is noticed at once.
set -euo pipefail
export LC_ALL=C TZ=UTC

HERE=$(dirname "$(readlink -f "$0")")
# shellcheck disable=SC1091  # linted on their own
{
  . "$HERE/settings.sh"
  . "$HERE/web.sh"
  . "$HERE/certificates.sh"
}

NGINX_PID=
TASK_PID=

log() {
  # Where nobody takes the line, as on a disk that is full, the work goes on.
  printf '%(%Y-%m-%dT%H:%M:%SZ)T acme-client: %s\n' -1 "$*" || true
}

# run COMMAND...: its exit status. If nginx ends meanwhile, so does everything.
run() {
  local ended status=0
  "$@" &
  TASK_PID=$!
  wait -n -p ended "$TASK_PID" "$NGINX_PID" || status=$?
  if [[ ${ended:-} == "$NGINX_PID" ]]; then
    log "nginx has ended with status $status"
    NGINX_PID=
    stop 70
  fi
  TASK_PID=
  return "$status"
}

# pause SECONDS. It must not keep the lock should this process be killed.
pause() {
  exec {lock}<&-
  exec sleep "$1"
}

# stop STATUS: ends the children, then this process. It asks them until they are gone: a child that has not
# come to its exec(2) yet loses a signal, and one that has just been started is not in TASK_PID yet.
stop() {
  local child signal some_left=yes begun=$SECONDS
  local -A gone=()
  trap '' TERM INT HUP QUIT
  while [[ $some_left ]]; do
    some_left=
    for child in $(jobs -pr); do
      # bash forgets the end of a child that dies just as a signal interrupts wait: as when the whole process
      # group gets it, by Ctrl-C. jobs lists that one for ever.
      [[ ! ${gone[$child]-} ]] || continue
      # QUIT lets nginx finish the answers under way, for as long as worker_shutdown_timeout.
      signal=$([[ $child == "$NGINX_PID" ]] && echo QUIT || echo TERM)
      ((SECONDS - begun <= 8)) || signal=KILL
      if kill -"$signal" "$child" 2>/dev/null; then
        some_left=yes
      else
        gone[$child]=yes
      fi
    done
    [[ ! $some_left ]] || sleep 0.05
  done
  log "stopped"
  exit "$1"
}

# Never returns. A pause is one hour at most: a clock that was set is noticed by then.
keep_certificates() {
  local name at now soonest ca_pause=1
  for name in "${NAMES[@]}"; do
    report "$name"
  done
  while :; do
    printf -v now '%(%s)T' -1
    soonest=$((now + 3600))
    for name in "${NAMES[@]}"; do
      at=$(next_attempt "$name")
      if ((at <= now)); then
        # A CA that cannot be reached, as when the network is not up yet, is no failed order.
        if ! ca_answers; then
          log "$ACME_SERVER does not answer; asking again in $ca_pause s"
          soonest=$((now + ca_pause))
          ca_pause=$((ca_pause < 30 ? 2 * ca_pause : 60))
          break
        fi
        ca_pause=1
        obtain "$name"
        at=$(next_attempt "$name")
      fi
      soonest=$((at < soonest ? at : soonest))
    done
    printf -v now '%(%s)T' -1
    run pause $((soonest > now ? soonest - now : 1))
  done
}

trap 'stop 0' TERM INT HUP QUIT
read_settings
prepare_directories
exec {lock}<"$STATE_DIR"
if ! flock --nonblock "$lock"; then
  log "another process works in STATE_DIR $STATE_DIR" >&2
  exit 75
fi
write_web_configuration
start_web_server
if ((${#NAMES[@]} == 0)); then
  log "DOMAIN is not set: serving challenges from $WEBROOT only"
  run pause infinity
fi
write_acme_configuration
keep_certificates
