#!/bin/bash
# nginx: its configuration from the templates, its start, its reload.
# shellcheck disable=SC2153,SC2154  # CERTIFICATE, KEY and lock come from the other files

# render TEMPLATE FILE NAME=VALUE...: every @NAME@ of the template replaced.
render() {
  local text pair
  text=$(<"$HERE/nginx/$1")
  for pair in "${@:3}"; do
    # Quoted, or bash puts what was matched for each & of the value.
    text=${text//"@${pair%%=*}@"/"${pair#*=}"}
  done
  # A disk that is full leaves the old file as it is.
  printf '%s\n' "$text" >"$2.new" && mv -f "$2.new" "$2"
}

# listen_on PORT OPTIONS: nginx's listen directives.
listen_on() {
  printf "listen %s:$1$2;\n" "${LISTEN[@]}"
}

write_web_configuration() {
  local user='' site
  # A master without root cannot change user, and nobody else needs it to.
  ((EUID != 0)) || user='user www-data;'
  render nginx.conf "$RUN_DIR/nginx.conf" "USER=$user" "RUN_DIR=$RUN_DIR" "ACCESS_LOG=$ACCESS_LOG" \
    "LISTEN=$(listen_on "$HTTP_PORT" ' default_server')"
  render challenge.conf "$RUN_DIR/challenge.conf" "WEBROOT=$WEBROOT"
  render health.conf "$RUN_DIR/health.conf" "RUN_DIR=$RUN_DIR"
  rm -f "$RUN_DIR"/sites/*.conf "$RUN_DIR/nginx.pid"
  ((${#NAMES[@]})) || return 0

  local key=$RUN_DIR/keys/self-signed.key certificate=$RUN_DIR/keys/self-signed.pem
  # Who connects with a name that has no certificate yet must not see which names there will be.
  (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj "/CN=no certificate yet" -keyout "$key" -out "$certificate" 2>/dev/null)
  render tls.conf "$RUN_DIR/sites/_tls.conf" "RUN_DIR=$RUN_DIR" "CERTIFICATE=$certificate" "KEY=$key" \
    "LISTEN=$(listen_on "$HTTPS_PORT" ' ssl http2 default_server')"
  if [[ -n $TARGET_ENDPOINT ]]; then
    render app.conf "$RUN_DIR/app.conf" "RESOLVERS=$(resolvers)" "HOST=$TARGET_HOST" \
      "TARGET=$TARGET_SCHEME://$(target_address)$TARGET_PORT"
  else
    render no-app.conf "$RUN_DIR/app.conf"
  fi
  for site in "${NAMES[@]}"; do
    write_site "$site"
  done
}

declare -A SERVED=()

# write_site NAME: HTTPS for it, if it has a certificate, which is then in SERVED.
write_site() {
  find_certificate "$1" || return 0
  render site.conf "$RUN_DIR/sites/$1.conf" "NAME=$1" "RUN_DIR=$RUN_DIR" "CERTIFICATE=$CERTIFICATE" "KEY=$KEY" \
    "LISTEN_HTTP=$(listen_on "$HTTP_PORT" '')" "LISTEN_HTTPS=$(listen_on "$HTTPS_PORT" ' ssl http2')" &&
    SERVED[$1]=$CERTIFICATE
}

# serve_newest NAME: the certificate it has, if that is another than is served. What fails is tried again.
serve_newest() {
  if find_certificate "$1" && [[ ${SERVED[$1]-} != "$CERTIFICATE" ]]; then
    if ! write_site "$1" || ! reload_web_server; then
      SERVED[$1]=
    fi
  fi
}

# nginx asks the DNS and not /etc/hosts, where localhost and docker's extra_hosts are.
target_address() {
  local address
  address=$(getent -s files ahostsv4 "$TARGET_HOST" || getent -s files ahostsv6 "$TARGET_HOST") || true
  read -r address _ <<<"$address"
  [[ $address != *:* ]] || address="[$address]"
  echo "${address:-$TARGET_HOST}"
}

resolvers() {
  local word address found=()
  while read -r word address _; do
    [[ $word == nameserver && $address != *%* ]] || continue
    [[ $address != *:* ]] || address="[$address]"
    found+=("$address")
  done </etc/resolv.conf
  echo "${found[@]-127.0.0.1}"
}

start_web_server() {
  local worker=$BASHPID
  watch_web_server "$worker" &
}

# watch_web_server WORKER: runs nginx; when that ends, sends USR1 to the process WORKER until it is told to stop.
# A trap does no more than an assignment: bash 5.2 does not bear one within another.
watch_web_server() {
  local nginx told='' status
  exec {lock}<&-
  trap 'told=${told:-$SECONDS}' TERM HUP
  # Before it has read its configuration, nginx would open Debian's log file for its errors.
  nginx -e stderr -c "$RUN_DIR/nginx.conf" &
  nginx=$!
  while status=0 && { wait "$nginx" || status=$?; } && kill -0 "$nginx" 2>/dev/null; do
    # A signal has ended the wait. QUIT lets nginx finish the answers under way, for as long as
    # worker_shutdown_timeout.
    if ((SECONDS - ${told:-$SECONDS} > 7)); then
      kill -KILL "$nginx" || true
    elif [[ $told ]]; then
      kill -QUIT "$nginx" || true
    fi
  done
  [[ ! $told ]] || exit 0
  log "nginx has ended with status $status"
  while [[ ! $told ]] && kill -USR1 "$1" 2>/dev/null; do
    sleep 0.05
  done
}

# A configuration that does not load stays out: nginx goes on with the one it has.
reload_web_server() {
  local nginx
  if ! nginx -e stderr -q -t -c "$RUN_DIR/nginx.conf"; then
    log "nginx refuses the new configuration and goes on with the old one"
    return 1
  fi
  # Who waits for it notices that it has ended; one that has only begun is told at the next look.
  read -r nginx <"$RUN_DIR/nginx.pid" && kill -HUP "$nginx"
}
