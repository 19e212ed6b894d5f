#!/bin/bash
# When a certificate is renewed, and from when on its age is an alarm. All times are seconds since 1970.
# shellcheck disable=SC2154  # what comes from the other files

DAY=86400

# read_certificate FILE: into `begin`, `end`, `life` and `id`, its name in renewal information (RFC 9773, 4.1), which
# is empty if its issuer gave it no key identifier.
read_certificate() {
  local text key serial
  text=$(openssl x509 -in "$1" -noout -startdate -enddate -serial -ext authorityKeyIdentifier 2>/dev/null)
  begin=$(date -d "$(sed -n 's/^notBefore=//p' <<<"$text")" +%s)
  end=$(date -d "$(sed -n 's/^notAfter=//p' <<<"$text")" +%s)
  # Both ends are part of it (RFC 5280).
  life=$((end - begin + 1))
  key=$(sed -nE 's/^ +(keyid:)?([0-9A-F]{2}(:[0-9A-F]{2})*) *$/\2/p' <<<"$text")
  serial=$(sed -n 's/^serial=//p' <<<"$text")
  # As in DER: a number whose first bit is set has a zero before it.
  [[ $serial != [89A-F]* ]] || serial=00$serial
  id=
  if [[ $key =~ ^[0-9A-F:]+$ && $serial =~ ^([0-9A-F]{2})+$ ]]; then
    id=$(_base64url "${key//:/}").$(_base64url "$serial")
  fi
}

_base64url() { # HEXADECIMAL
  # shellcheck disable=SC2001  # bash has no replacement for every two characters
  printf '%b' "$(sed 's/../\\x&/g' <<<"$1")" | base64 -w 0 | tr '+/' '-_' | tr -d =
}

# renewal_rule: when to renew the certificate that was read, if its CA does not say: with two thirds of its life over
# or, where that is under ten days, half of it; with RENEW_DAYS, that many days before its end.
renewal_rule() {
  local at
  if ((RENEW_DAYS)); then
    # Never in the first third, or it would be due again as soon as it is there.
    at=$((end - RENEW_DAYS * DAY))
    echo $((at > begin + life / 3 ? at : begin + life / 3))
  elif ((life < 10 * DAY)); then
    echo $((begin + life / 2))
  else
    echo $((begin + life * 2 / 3))
  fi
}

# alarm_time: from when on it is an alarm that this is still the certificate: seven days before its end, or a third
# of its life where that is less.
alarm_time() {
  echo $((end - (life / 3 < 7 * DAY ? life / 3 : 7 * DAY)))
}

# renewal_time NAME FILE: when that certificate is to be renewed.
renewal_time() {
  local begin end life id planned
  read_certificate "$2"
  planned=$(planned_renewal "$1" "$id")
  if ((planned)); then
    echo "$planned"
  else
    renewal_rule
  fi
}

# choose_time FROM TO: a time to renew the certificate that was read within that window of its CA's, or status 1 where
# that makes no sense. CHOSEN, if it lies in there, stays.
choose_time() {
  local rule earliest latest from=$1 to=$2
  # A window in the past means at once. But a CA that says so of each new certificate must not get an order for
  # each answer.
  earliest=$((begin + (life / 3 < DAY ? life / 3 : DAY)))
  latest=$(alarm_time) rule=$(renewal_rule)
  ((!RENEW_DAYS || latest < rule)) || latest=$rule
  ((from < to && to >= earliest && from < latest)) || return 1
  from=$((from > earliest ? from : earliest)) to=$((to < latest ? to : latest))
  if ((CHOSEN >= from && CHOSEN <= to)); then
    echo "$CHOSEN"
  else
    echo $((from + SRANDOM % (to - from + 1)))
  fi
}

# The names whose certificates are too near to their end, as at the last look, and when the next one will be.
ALARMS=
NEXT_ALARM=0

# look_at_ends: while there is a file RUN_DIR/alarm, nginx answers 503 to /health.
look_at_ends() {
  local name at now begin end life id alarms=()
  printf -v now '%(%s)T' -1
  NEXT_ALARM=$((now + DAY))
  for name in "${NAMES[@]}"; do
    find_certificate "$name" || continue
    read_certificate "$CERTIFICATE"
    at=$(alarm_time)
    if ((at <= now)); then
      alarms+=("$name")
    elif ((at < NEXT_ALARM)); then
      NEXT_ALARM=$at
    fi
  done
  if ((${#alarms[@]})); then
    : >"$RUN_DIR/alarm" || true
  else
    rm -f "$RUN_DIR/alarm" || true
  fi
  [[ ${alarms[*]-} != "$ALARMS" ]] || return 0
  ALARMS=${alarms[*]-}
  if [[ $ALARMS ]]; then
    log "near their end and not renewed: $ALARMS; /health answers 503"
  else
    log "all are renewed; /health answers 200"
  fi
}
