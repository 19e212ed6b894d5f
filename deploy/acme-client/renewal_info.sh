#!/bin/bash
# What a CA says about when to renew (renewal information, RFC 9773): asked once a day for each certificate, with
# curl and openssl. What it answers is taken apart here, and a CA may answer anything.
# shellcheck disable=SC2034,SC2153,SC2154  # what comes from and goes to the other files

# read_json FILE: of the object in it, those strings that are wanted, into JSON. Status 1 if it is no JSON, or
# longer or deeper than such an object is.
read_json() {
  local text tokens at=0
  JSON=()
  text=$(head -c 16385 "$1" | tr '\000' '\001')
  # Blanks aside, no control characters: they would come out in the log.
  if ((${#text} > 16384)) || [[ ${text//[$'\t\r\n']/} == *[[:cntrl:]]* ]]; then
    return 1
  fi
  mapfile -t -n 2001 tokens < <(
    printf '%s\n' "$text" | grep -aoE '"([^"\\]|\\.)*"|[][{}:,]|[^][{}:,"[:space:]]+|"'
  )
  ((${#tokens[@]} <= 2000)) && [[ ${tokens[0]-} == '{' ]] && _json_value '' 0 && ((at == ${#tokens[@]}))
}

# _json_value PATH DEPTH: the value that begins with the token `at`; after it, `at` is behind it.
_json_value() {
  local token=${tokens[at]-} name='' close
  (($2 < 16)) || return 1
  at=$((at + 1))
  case $token in
    '{' | '[')
      close=$([[ $token == '{' ]] && echo '}' || echo ']')
      if [[ ${tokens[at]-} == "$close" ]]; then
        at=$((at + 1))
        return 0
      fi
      while :; do
        if [[ $token == '{' ]]; then
          name=${tokens[at]-}
          [[ $name == \"*\" && ${tokens[at + 1]-} == : ]] || return 1
          name=.${name:1:-1} at=$((at + 2))
        fi
        _json_value "$1$name" $(($2 + 1)) || return 1
        at=$((at + 1))
        case ${tokens[at - 1]-} in
          ,) ;;
          "$close") return 0 ;;
          *) return 1 ;;
        esac
      done
      ;;
    \"*\")
      case $1 in
        .renewalInfo | .explanationURL | .suggestedWindow.start | .suggestedWindow.end)
          token=${token:1:-1}
          JSON[$1]=${token//'\/'/'/'}
          ;;
      esac
      ;;
    *) [[ $token =~ ^(true|false|null|-?[0-9][0-9.eE+-]*)$ ]] ;;
  esac
}

# read_time TEXT: a time as in RFC 3339, in seconds since 1970.
read_time() {
  [[ ${1^^} =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$ ]] &&
    date -d "${1^^}" +%s 2>/dev/null
}

# fetch URL FILE: its headers are in FILE.headers. It ends when it has more than a directory could be long.
fetch() {
  trap '' XFSZ
  ulimit -f 64
  exec curl --silent --fail --globoff --location --max-redirs 3 --proto =https "${CURL_OPTIONS[@]}" --max-time 20 \
    --dump-header "$2.headers" --output "$2" --url "$1"
}

# interval FILE.headers: seconds until the next question: what the CA asks for, from an hour to a day.
interval() {
  local value now seconds=$DAY
  value=$(tr -d '\r' 2>/dev/null <"$1" | grep -aiE '^retry-after:' | tail -n 1 | cut -d: -f2-) || true
  read -r value <<<"$value" || true
  if [[ $value =~ ^[0-9]{1,9}$ ]]; then
    seconds=$((10#$value))
  elif [[ $value =~ ^[A-Z][a-z]{2},\ [0-9]{2}\ [A-Z][a-z]{2}\ [0-9]{4}\ [0-9:]{8}\ GMT$ ]]; then
    printf -v now '%(%s)T' -1
    seconds=$(date -d "$value" +%s 2>/dev/null) && seconds=$((seconds - now)) || seconds=$DAY
  fi
  echo $((seconds < 3600 ? 3600 : seconds > DAY ? DAY : seconds))
}

# What is known of each name's certificate, "ID NEXT CHOSEN": which one it is, when to ask next, when to renew
# (0: the CA has no say). It is in the volume too, if there is room: a restart does not ask again.
declare -A RENEWAL=() JSON=()

# read_renewal NAME ID: into `next` and CHOSEN, 0 if nothing is known of that certificate.
read_renewal() {
  [[ ${RENEWAL[$1]-} ]] || RENEWAL[$1]=$(head -c 300 "$CA_DIR/renewal/$1" 2>/dev/null | tr -d '\000') || true
  next=0 CHOSEN=0
  if [[ ${RENEWAL[$1]} =~ ^([A-Za-z0-9_.-]+)\ ([0-9]{1,12})\ ([0-9]{1,12})$ && ${BASH_REMATCH[1]} == "$2" ]]; then
    next=$((10#${BASH_REMATCH[2]})) CHOSEN=$((10#${BASH_REMATCH[3]}))
  fi
}

# write_renewal NAME ID NEXT CHOSEN
write_renewal() {
  local new=$CA_DIR/renewal/.$1
  RENEWAL[$1]="$2 $3 $4"
  { install -d -m 700 "$CA_DIR/renewal" && echo "${RENEWAL[$1]}" >"$new" && mv -f "$new" "$CA_DIR/renewal/$1"; } \
    2>/dev/null || true
}

# planned_renewal NAME ID: when its CA wants that certificate to be renewed; 0: it has not said so.
planned_renewal() {
  local next CHOSEN
  read_renewal "$1" "$2"
  echo "$CHOSEN"
}

# ask_about_renewals: asks for those names whose day is over.
ask_about_renewals() {
  local name now begin end life id next CHOSEN url=unknown answer=$RUN_DIR/tmp/renewal-info
  printf -v now '%(%s)T' -1
  for name in "${NAMES[@]}"; do
    find_certificate "$name" || continue
    read_certificate "$CERTIFICATE"
    [[ $id ]] || continue
    read_renewal "$name" "$id"
    # The clock may have been ahead when it was asked last. What is due anyway is no question.
    if ((next > now && next <= now + DAY)) || (($(renewal_rule) <= now)); then
      continue
    fi
    [[ $url != unknown ]] || find_renewal_info
    case $url in
      unreachable) next=$((now + 3600)) ;;
      '') next=$((now + DAY)) CHOSEN=0 ;;
      *) ask_about "$name" ;;
    esac
    write_renewal "$name" "$id" "$next" "$CHOSEN"
  done
  rm -f "$answer" "$answer.headers" || true
}

# find_renewal_info: into `url`, from the CA's directory; empty if it has none that can be asked.
find_renewal_info() {
  rm -f "$answer" "$answer.headers" || true
  if ! run fetch "$ACME_SERVER" "$answer"; then
    url=unreachable
    return
  fi
  url=
  if ! read_json "$answer"; then
    log "$ACME_SERVER is no directory that can be read: no renewal information"
  elif [[ ${JSON[.renewalInfo]-} =~ ^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~%/-]*)?$ ]]; then
    url=${JSON[.renewalInfo]%/}
  fi
}

# ask_about NAME: sets `next` and CHOSEN. Who does not answer now may do so later, and what it said stands; who
# answers nonsense has no say.
ask_about() {
  local from to at status=0 why
  rm -f "$answer" "$answer.headers" || true
  run fetch "$url/$id" "$answer" || status=$?
  if ((status)); then
    # 22: the server has refused.
    next=$((now + (status == 22 ? $(interval "$answer.headers") : 3600)))
    log "$1: no renewal information from $url (curl: $status)"
    return
  fi
  next=$((now + $(interval "$answer.headers")))
  if read_json "$answer" && from=$(read_time "${JSON[.suggestedWindow.start]-}") &&
    to=$(read_time "${JSON[.suggestedWindow.end]-}"); then
    if at=$(choose_time "$from" "$to"); then
      why=${JSON[.explanationURL]-}
      [[ $why =~ ^https?://[!-~]{1,1000}$ && $why != *\\* ]] || why=
      [[ $at == "$CHOSEN" && ! $why ]] ||
        printf -v why 'its CA wants a new certificate between %(%FT%TZ)T and %(%FT%TZ)T: to be renewed from %(%FT%TZ)T on%s' \
          "$from" "$to" "$at" "${why:+; it explains: $why}"
      [[ ! $why ]] || log "$1: $why"
      CHOSEN=$at
      return
    fi
    printf -v why 'a window from %(%FT%TZ)T to %(%FT%TZ)T is of no use for this certificate' "$from" "$to"
  else
    why='not to be understood'
  fi
  log "$1: renewal information from $url: $why"
  CHOSEN=0
}
