#!/bin/bash
# The settings, all from the environment; an empty or blank variable counts as unset. Every fault is reported before
# the program ends with status 78 (EX_CONFIG). What passes here can stand in nginx's configuration as it is.
# shellcheck disable=SC2034  # used in the other files

LETS_ENCRYPT=https://acme-v02.api.letsencrypt.org/directory
LETS_ENCRYPT_STAGING=https://acme-staging-v02.api.letsencrypt.org/directory

_label='[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
_octet='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
_ipv4="$_octet(\.$_octet){3}"
_ipv6='\[[0-9a-f:.]+\]'
_faults=()

_fault() {
  _faults+=("$*")
}

# _words TEXT: into the array `words`, without pathname expansion.
_words() {
  IFS=$', \t\n' read -r -d '' -a words <<<"$1" || true
}

_is_number() { # TEXT LEAST MOST
  [[ $1 =~ ^[1-9][0-9]{0,9}$ ]] && (($1 >= $2 && $1 <= $3))
}

_read_domain() {
  local words name
  NAMES=()
  _words "${DOMAIN:-}"
  for name in "${words[@],,}"; do
    if [[ $name == *'*'* ]]; then
      _fault "DOMAIN: $name: HTTP-01 cannot prove a wildcard; list the names"
    elif [[ $name == *[!a-z0-9.-]* ]]; then
      _fault "DOMAIN: $name: not a host name; international names are written as xn--…"
    elif ! [[ $name =~ ^($_label\.)+$_label$ ]] || [[ $name =~ \.[0-9]+$ ]] || ((${#name} > 253)); then
      _fault "DOMAIN: $name: not a full host name such as app.example.com"
    elif [[ " ${NAMES[*]} " != *" $name "* ]]; then
      NAMES+=("$name")
    fi
  done
}

_read_ca() {
  local staging=${STAGING:-}
  case "${staging,,}" in
    '' | 0 | false | no | off) staging= ;;
    1 | true | yes | on) staging=1 ;;
    *) _fault "STAGING: $staging: neither true nor false"; staging= ;;
  esac
  if [[ -z ${ACME_SERVER:-} ]]; then
    ACME_SERVER=${staging:+$LETS_ENCRYPT_STAGING}
    ACME_SERVER=${ACME_SERVER:-$LETS_ENCRYPT}
  elif [[ -n $staging ]]; then
    _fault "STAGING and ACME_SERVER are both set; STAGING is for Let's Encrypt, the CA without ACME_SERVER"
  elif ! [[ $ACME_SERVER =~ ^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~%/-]*)?$ ]]; then
    _fault "ACME_SERVER: $ACME_SERVER: not the https:// URL of an ACME directory"
  fi
  EMAIL=${EMAIL:-}
  if [[ -n $EMAIL ]] && ! [[ ${EMAIL,,} =~ ^[a-z0-9._%+=-]+@($_label\.)+$_label$ ]]; then
    _fault "EMAIL: $EMAIL: not a mail address"
  fi
  ACME_CA_BUNDLE=${ACME_CA_BUNDLE:-}
  # dehydrated splits curl's options at blanks.
  if [[ -n $ACME_CA_BUNDLE ]] && ! [[ -r $ACME_CA_BUNDLE && $ACME_CA_BUNDLE =~ ^/[A-Za-z0-9._/-]+$ ]]; then
    _fault "ACME_CA_BUNDLE: $ACME_CA_BUNDLE: not the absolute path of a file that can be read"
  fi
  ACME_PROFILE=${ACME_PROFILE:-}
  if [[ -n $ACME_PROFILE ]] && ! [[ $ACME_PROFILE =~ ^[A-Za-z0-9._-]{1,64}$ ]]; then
    _fault "ACME_PROFILE: $ACME_PROFILE: not the name of a profile such as tlsserver"
  elif [[ -n $ACME_PROFILE ]] && ! grep -q ACME_PROFILE "$(type -P dehydrated)"; then
    # It would order without, and nobody would know.
    _fault "ACME_PROFILE: $ACME_PROFILE: this dehydrated cannot ask for a profile; version 0.7.2 (Debian 13) can"
  fi
}

_read_times() {
  local words delay
  RENEW_DAYS=${RENEW_DAYS:-}
  [[ -z $RENEW_DAYS ]] || _is_number "$RENEW_DAYS" 1 3650 ||
    _fault "RENEW_DAYS: $RENEW_DAYS: not a number from 1 to 3650"
  # Let's Encrypt allows five failures an hour of one account for one name. After these delays there are four
  # attempts in the worst hour.
  _words "${RETRY_DELAYS:-120 900 1800 3600 7200 14400}"
  RETRY_DELAYS=("${words[@]}")
  for delay in "${words[@]}"; do
    _is_number "$delay" 1 604800 || _fault "RETRY_DELAYS: $delay: not a number of seconds from 1 to 604800"
  done
}

_read_web() {
  local words address port
  TARGET_ENDPOINT=${TARGET_ENDPOINT:-}
  TARGET_ENDPOINT=${TARGET_ENDPOINT%/}
  if [[ -n $TARGET_ENDPOINT ]]; then
    if [[ ${TARGET_ENDPOINT,,} =~ ^(https?)://([a-z0-9]([a-z0-9._-]*[a-z0-9])?|$_ipv6)(:([0-9]+))?$ ]]; then
      TARGET_SCHEME=${BASH_REMATCH[1]} TARGET_HOST=${BASH_REMATCH[2]} port=${BASH_REMATCH[5]}
      [[ -z $port ]] || _is_number "$port" 1 65535 || _fault "TARGET_ENDPOINT: $TARGET_ENDPOINT: no such port"
      TARGET_PORT=${port:+:$port}
    else
      _fault "TARGET_ENDPOINT: $TARGET_ENDPOINT: not of the form http://app:8080, without a path"
    fi
  fi
  LISTEN=${LISTEN:-0.0.0.0$([[ ! -e /proc/net/if_inet6 ]] || echo ' [::]')}
  _words "$LISTEN"
  LISTEN=("${words[@]}")
  for address in "${words[@]}"; do
    [[ ${address,,} =~ ^($_ipv4|$_ipv6)$ ]] || _fault "LISTEN: $address: not an address such as 0.0.0.0 or [::]"
  done
  HTTP_PORT=${HTTP_PORT:-80}
  HTTPS_PORT=${HTTPS_PORT:-443}
  for port in HTTP_PORT HTTPS_PORT; do
    _is_number "${!port}" 1 65535 || _fault "$port: ${!port}: not a port"
  done
  [[ $HTTP_PORT != "$HTTPS_PORT" ]] || _fault "HTTP_PORT and HTTPS_PORT are the same"
}

_read_paths() {
  local path
  STATE_DIR=${STATE_DIR:-/var/lib/acme-client}
  WEBROOT=${WEBROOT:-/var/www/acme}
  RUN_DIR=${RUN_DIR:-/run/acme-client}
  ACCESS_LOG=${ACCESS_LOG:-/dev/stdout}
  for path in STATE_DIR WEBROOT RUN_DIR ACCESS_LOG; do
    [[ ${!path} =~ ^/[A-Za-z0-9._/-]+$ ]] ||
      _fault "$path: ${!path}: not an absolute path of letters, digits, '.', '_', '-' and '/'"
  done
}

_end_with_faults() {
  ((${#_faults[@]})) || return 0
  printf 'acme-client: %s\n' "${_faults[@]}" >&2
  exit 78
}

# Compose files leave blanks, and a list of separators is an empty one.
_unset_blank_ones() {
  local name
  for name in DOMAIN EMAIL STAGING ACME_SERVER ACME_CA_BUNDLE ACME_PROFILE TARGET_ENDPOINT RENEW_DAYS RETRY_DELAYS \
    LISTEN HTTP_PORT HTTPS_PORT STATE_DIR WEBROOT RUN_DIR ACCESS_LOG; do
    [[ ${!name:-} == *[!$', \t\r\n']* ]] || unset "$name"
  done
}

read_settings() {
  _unset_blank_ones
  _read_domain
  _read_ca
  _read_times
  _read_web
  _read_paths
  _end_with_faults
}

_has_a_certificate() {
  local name
  for name in "${NAMES[@]}"; do
    ! find_certificate "$name" || return 0
  done
  return 1
}

# try_to_write DIRECTORY: as many files as an order may leave there, and as much in them. Some file systems say
# only when it comes to the disk that there is no room.
try_to_write() {
  local room=$1/.room number status=0
  rm -rf "$room"
  mkdir -m 700 "$room" || return
  for number in {1..16}; do
    head -c 8192 /dev/zero >"$room/$number" || { status=$?; break; }
  done
  ((status)) || sync "$room"/* || status=$?
  rm -rf "$room"
  return "$status"
}

# Keys are in STATE_DIR and in one directory of RUN_DIR; nginx's workers need the rest of RUN_DIR.
prepare_directories() {
  local path
  CHALLENGES=$WEBROOT/.well-known/acme-challenge
  rm -rf "$RUN_DIR/tmp" || true
  install -d -m 755 "$CHALLENGES" "$RUN_DIR" "$RUN_DIR/sites" || true
  install -d -m 700 "$STATE_DIR" "$RUN_DIR/keys" "$RUN_DIR/tmp" || true
  for path in STATE_DIR WEBROOT RUN_DIR; do
    if [[ -d ${!path} && -w ${!path} ]]; then
      # The other two may be full: what is there can be served.
      [[ $path != RUN_DIR ]] || try_to_write "$RUN_DIR" || _fault "RUN_DIR: $RUN_DIR: no room in it"
    elif [[ $path != RUN_DIR && -d ${!path} ]] && _has_a_certificate; then
      log "$path ${!path} cannot be written: serving what is there"
    else
      _fault "$path: ${!path}: not a directory that can be written"
    fi
  done
  _end_with_faults
}
