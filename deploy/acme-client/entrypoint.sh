#!/bin/bash
# Serves ACME HTTP-01 challenges, obtains and renews the certificates of $DOMAIN, and serves HTTPS with them.
#
# Three processes. The first does nothing but take signals: bash 5.2 now and then loses one that comes while it
# expands a command substitution or waits for a command. The second works, and is told to stop until it has. It
# waits for whatever is under way at the moment (an order, a pause). The third waits for nginx, and tells the second
# of its end. So a signal is answered at once, and the end of nginx is noticed at once. None waits for either of two
# children: `wait -n` of bash 5.2 now and then sleeps on where one ends just before it begins to sleep.
# shellcheck disable=SC2317  # traps and `run` call what seems to be out of reach
set -euo pipefail
export LC_ALL=C TZ=UTC

HERE=$(dirname "$(readlink -f "$0")")
# shellcheck disable=SC1091  # linted on their own
{
  . "$HERE/settings.sh"
  . "$HERE/web.sh"
  . "$HERE/certificates.sh"
  . "$HERE/renewal.sh"
  . "$HERE/renewal_info.sh"
}

log() {
  # Where nobody takes the line, as on a disk that is full, the work goes on.
  printf '%(%Y-%m-%dT%H:%M:%SZ)T acme-client: %s\n' -1 "$*" || true
}

# run COMMAND...: its exit status. A signal is answered meanwhile.
run() {
  "$@" &
  wait $!
}

# pause SECONDS. It must not keep the lock should this process be killed.
pause() {
  exec {lock}<&-
  exec sleep "$1"
}

# stop STATUS: ends the children, then this process. It asks them until they are gone: a child that has not
# come to its exec(2) yet loses a signal.
stop() {
  local child signal=TERM some_left=yes begun=$SECONDS
  local -A gone=()
  trap - EXIT
  trap '' TERM INT HUP QUIT USR1
  while [[ $some_left ]]; do
    some_left=
    for child in $(jobs -pr); do
      # bash forgets the end of a child that dies just as a signal interrupts wait: as when the whole process
      # group gets it, by Ctrl-C. jobs lists that one for ever.
      [[ ! ${gone[$child]-} ]] || continue
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
  local name at now soonest obstacle pause=1
  for name in "${NAMES[@]}"; do
    report "$name"
  done
  while :; do
    look_at_ends
    ask_about_renewals
    printf -v now '%(%s)T' -1
    soonest=$((NEXT_ALARM < now + 3600 ? NEXT_ALARM : now + 3600))
    for name in "${NAMES[@]}"; do
      serve_newest "$name"
      at=$(next_attempt "$name")
      if ((at <= now)); then
        # A CA that cannot be reached, as when the network is not up yet, is no failed order. Nor is a full
        # disk: an order that leaves nothing behind, not even that it was made, is not made.
        obstacle=
        if ! has_room; then
          obstacle="$WITHOUT_ROOM is full or cannot be written: ordering nothing for $name"
        elif ! ca_answers; then
          obstacle="$ACME_SERVER does not answer"
        elif ! count_attempt "$name"; then
          obstacle="$CA_DIR/retry cannot be written: ordering nothing for $name"
        fi
        if [[ $obstacle ]]; then
          log "$obstacle; asking again in $pause s"
          soonest=$((NEXT_ALARM < now + pause ? NEXT_ALARM : now + pause))
          pause=$((pause < 30 ? 2 * pause : 60))
          break
        fi
        pause=1
        obtain "$name"
        look_at_ends
        at=$(next_attempt "$name")
      fi
      soonest=$((at < soonest ? at : soonest))
    done
    printf -v now '%(%s)T' -1
    run pause $((soonest > now ? soonest - now : 1))
  done
}

work() {
  trap 'stop 0' TERM HUP
  trap 'stop 70' USR1
  read_settings
  prepare_directories
  exec {lock}<"$STATE_DIR"
  if ! flock --nonblock "$lock"; then
    log "another process works in STATE_DIR $STATE_DIR" >&2
    exit 75
  fi
  write_web_configuration
  look_at_ends
  # Whatever this ends by, its children end with it.
  trap 'stop $?' EXIT
  start_web_server
  if ((${#NAMES[@]} == 0)); then
    log "DOMAIN is not set: serving challenges from $WEBROOT only"
    run pause infinity
  fi
  write_acme_configuration
  keep_certificates
}

# stop_worker: ends the second process, and this one.
stop_worker() {
  local worker=$! begun=$SECONDS
  trap '' TERM INT HUP QUIT
  while ((SECONDS - begun <= 11)) && kill -TERM "$worker" 2>/dev/null; do
    sleep 0.05
  done
  kill -KILL "$worker" 2>/dev/null || true
  exit 0
}

trap stop_worker TERM INT HUP QUIT
work &
status=0
wait $! || status=$?
exit "$status"
