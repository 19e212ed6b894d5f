#!/bin/bash
# Certificates, by dehydrated: which are there, how to get one, and when to try again. When one is due: renewal.sh.
#
# Everything is kept per CA, so that a change from the staging CA to the real one and back finds its own
# account, certificates and failures again:
#   STATE_DIR/{CA}/accounts/   the account's key
#   STATE_DIR/{CA}/certs/NAME/ keys and certificates
#   STATE_DIR/{CA}/retry/NAME  failed attempts in a row, and when the next one may be
#   STATE_DIR/{CA}/renewal/NAME what the CA has said about when to renew

ca_directory() {
  local name=${ACME_SERVER#https://}
  echo "$STATE_DIR/${name//[!A-Za-z0-9.-]/_}"
}

write_acme_configuration() {
  CA_DIR=$(ca_directory)
  CURL_OPTIONS=(--connect-timeout 20 --max-time 60)
  [[ -z $ACME_CA_BUNDLE ]] || CURL_OPTIONS+=(--cacert "$ACME_CA_BUNDLE")
  # It is a piece of shell to dehydrated. KEYSIZE is the account key's. One key pair per certificate: find_certificate relies on it.
  printf '%s=%q\n' CA "$ACME_SERVER" BASEDIR "$CA_DIR" WELLKNOWN "$CHALLENGES" CONTACT_EMAIL "$EMAIL" \
    CURL_OPTS "${CURL_OPTIONS[*]}" ACME_PROFILE "$ACME_PROFILE" CHALLENGETYPE http-01 KEYSIZE 3072 KEY_ALGO prime256v1 PRIVATE_KEY_RENEW yes \
    >"$RUN_DIR/dehydrated.conf"
}

# has_room: whether all that an order writes can be written; if not, WITHOUT_ROOM is where.
has_room() {
  for WITHOUT_ROOM in "$CA_DIR" "$CHALLENGES" "$RUN_DIR"; do
    run install -d -m "$([[ $WITHOUT_ROOM == "$CA_DIR" ]] && echo 700 || echo 755)" "$WITHOUT_ROOM" || return
    run try_to_write "$WITHOUT_ROOM" || return
  done
  WITHOUT_ROOM=$CA_DIR
  run install -d -m 700 "$CA_DIR/retry" "$CA_DIR/certs" "$CA_DIR/accounts"
}

ca_answers() {
  run curl --silent --fail --location --output /dev/null "${CURL_OPTIONS[@]}" "$ACME_SERVER"
}

# find_certificate NAME: the pair in use, as CERTIFICATE and KEY. Only the link to the chain is believed:
# dehydrated sets it after all files of its time stamp are there, and the links one after the other.
find_certificate() {
  local directory link public
  directory=$(ca_directory)/certs/$1
  link=$(readlink "$directory/fullchain.pem") || return 1
  CERTIFICATE=$directory/$link
  KEY=$directory/privkey-${link#fullchain-}
  # A machine that lost its power may have left empty files.
  public=$(openssl x509 -in "$CERTIFICATE" -noout -pubkey 2>/dev/null) &&
    [[ $public == "$(openssl pkey -in "$KEY" -pubout 2>/dev/null)" ]]
}

# read_retry NAME: into `failures` and `not_before`.
read_retry() {
  local now longest=${RETRY_DELAYS[-1]} content
  failures=0 not_before=0
  [[ -e $CA_DIR/retry/$1 ]] || return 0
  content=$(cat "$CA_DIR/retry/$1") || true
  printf -v now '%(%s)T' -1
  if ! [[ $content =~ ^([0-9]{1,9})\ ([0-9]{1,12})$ ]]; then
    failures=1 not_before=$((now + RETRY_DELAYS[0]))
    write_retry "$1" || true
    return
  fi
  failures=${BASH_REMATCH[1]} not_before=${BASH_REMATCH[2]}
  # The clock was ahead when this was written.
  ((not_before <= now + longest)) || not_before=$((now + longest))
}

# write_retry NAME: from `failures` and `not_before`; whole or not at all, and onto the disk.
write_retry() {
  local new=$CA_DIR/retry/.$1
  echo "$failures $not_before" >"$new" && sync "$new" && mv -f "$new" "$CA_DIR/retry/$1" && sync "$CA_DIR/retry"
}

# next_attempt NAME: when to order a certificate for it; 0: now.
next_attempt() {
  local failures not_before due=0
  read_retry "$1"
  ! find_certificate "$1" || due=$(renewal_time "$1" "$CERTIFICATE")
  echo $((due > not_before ? due : not_before))
}

# report NAME: its state, for the log.
report() {
  local failures not_before text
  if find_certificate "$1"; then
    printf -v text 'has a certificate until %(%FT%TZ)T, to be renewed from %(%FT%TZ)T on' \
      "$(date -d "$(openssl x509 -in "$CERTIFICATE" -noout -enddate | cut -d= -f2)" +%s)" "$(renewal_time "$1" "$CERTIFICATE")"
  else
    text='has no certificate'
  fi
  read_retry "$1"
  ((failures == 0)) ||
    printf -v text '%s; failed attempts: %d, the next one not before %(%FT%TZ)T' "$text" "$failures" "$not_before"
  log "$1 $text"
}

# count_attempt NAME: an attempt counts as failed from its beginning: whatever ends this program midway, the
# next start waits.
count_attempt() {
  local failures not_before now last=$((${#RETRY_DELAYS[@]} - 1))
  printf -v now '%(%s)T' -1
  read_retry "$1"
  not_before=$((now + RETRY_DELAYS[failures < last ? failures : last]))
  failures=$((failures + 1))
  write_retry "$1"
}

# obtain NAME: orders a certificate for it.
obtain() {
  local now
  log "ordering a certificate for $1 from $ACME_SERVER"
  if order "$1"; then
    run sync -f "$CA_DIR" || log "$CA_DIR: what was written may be lost"
    serve_newest "$1"
    # One that is due again at once (a clock that is wrong, a life too short) must not be ordered in a loop.
    printf -v now '%(%s)T' -1
    if find_certificate "$1" && (($(renewal_time "$1" "$CERTIFICATE") > now)); then
      rm -f "$CA_DIR/retry/$1" || true
      [[ ${SERVED[$1]-} != "$CERTIFICATE" ]] || run acme --cleanup-delete >/dev/null || true
    fi
  fi
  report "$1"
}

order() {
  local account=("$CA_DIR"/accounts/*/registration_info.json)
  if [[ ! -s ${account[0]} ]]; then
    # A registration that was interrupted leaves a key that the CA does not know.
    rm -rf "$CA_DIR"/accounts/*
    run acme --register --accept-terms || return
  fi
  run acme --cron --force --domain "$1"
}

# A CA may leave an order "processing" for ever. timeout(1) ends all of its children with itself.
acme() {
  export TMPDIR=$RUN_DIR/tmp
  exec timeout --kill-after=3 600 dehydrated --config "$RUN_DIR/dehydrated.conf" --no-lock "$@"
}
