#!/bin/sh
# What the image runs: "gateway" (writes /data/wzp-gateway.yaml from the environment at the first start), "relay",
# "healthy" (the health check of either), or any other program with its arguments.
set -eu

config=/data/wzp-gateway.yaml
role_file=/tmp/wzp-role

password() {
    od -An -N12 -tx1 /dev/urandom | tr -d ' \n'
}

write_config() {
    : "${WZP_PUBLIC_ADDRESS:?set it to the address of this host that phones and WZP clients reach}"
    umask 077
    cat >"$config.new" <<YAML
# Written at the first start; yours to change. "wzp-gateway --print-config" shows every setting.
data_dir: /data
sip:
  listen: 0.0.0.0:${WZP_SIP_PORT:-5060}
  public_address: $WZP_PUBLIC_ADDRESS
media:
  public_address: $WZP_PUBLIC_ADDRESS
  ports_first: ${WZP_RTP_FIRST:-10000}
  ports_last: ${WZP_RTP_LAST:-10063}
relay:
  embedded: no
  connect: ${WZP_RELAY:-relay:4433}
users:
  - name: alice
    password: "$(password)"
    alias: alice
    number: "1001"
  - name: bob
    password: "$(password)"
    alias: bob
    number: "1002"
YAML
    mv "$config.new" "$config"
    echo "wrote $config with the users alice and bob; it holds their passwords" >&2
}

case ${1:-gateway} in
gateway)
    echo gateway >"$role_file"
    [ -f "$config" ] || write_config
    exec wzp-gateway --config "$config"
    ;;
relay)
    echo relay >"$role_file"
    exec wzp-relay --listen 0.0.0.0:4433 --identity /data/relay.seed --max-sessions "${WZP_MAX_SESSIONS:-1000}" \
        ${WZP_PUBLIC_ADDRESS:+--public-address "$WZP_PUBLIC_ADDRESS:${WZP_RELAY_PORT:-4433}"}
    ;;
healthy)
    if [ "$(cat "$role_file")" = relay ]; then
        exec wzp-client --relay 127.0.0.1:4433 ping
    fi
    exec wzpctl --socket /data/ctl.sock health
    ;;
*)
    exec "$@"
    ;;
esac
