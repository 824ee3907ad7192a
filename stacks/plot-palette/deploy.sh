#!/bin/sh
# Deploys Plot & Palette on this machine and looks after it; Mainstay does the work.
#
#   ./deploy.sh deploy [--domain NAME] [--ssl yes|no]   all of it: settings, database, application, front door; again: "no change"
#   ./deploy.sh status                                  what runs
#   ./deploy.sh logs [OPTIONS]                          what all of it printed, merged by time (-f follows)
#   ./deploy.sh restart                                 all of it, in order
#   ./deploy.sh cleanup [--dry-run] [-y]                removes what the stack does not own any more
#
# Without a sub-command it asks, on a terminal. Answers are kept in `.env` beside this file. MAINSTAY names the program if it is
# not on the PATH; HTTP and HTTPS the addresses to listen on.
set -eu
cd "$(dirname "$0")"
mainstay=${MAINSTAY:-mainstay}

usage() {
    sed -n '/^#   /s/^# *//p' "./$(basename "$0")" >&2
    exit 2
}

# Sets NAME=value in `.env`, which nobody else reads (mktemp sees to that) and which is never half written.
keep() {
    new=$(mktemp ./.env.XXXXXX)
    { [ ! -e .env ] || grep -v "^$1=" .env || true; } >"$new"
    printf '%s=%s\n' "$1" "$2" >>"$new"
    mv "$new" .env
}

kept() {
    [ ! -e .env ] || sed -n "s/^$1=//p" .env | tail -n 1
}

deploy() {
    domain=$(kept DOMAIN) ssl=$(kept SSL)
    while [ $# -gt 0 ]; do
        case $1 in
            --domain) domain=${2:?a host name follows --domain} ;;
            --ssl) ssl=${2:?yes or no follows --ssl} ;;
            *) usage ;;
        esac
        shift 2
    done
    case $ssl in yes | no) ;; '') ssl=yes ;; *) usage ;; esac
    case ${domain:=plot-palette.localhost} in *[!a-z0-9.-]* | .* | *.)
        echo "error: $domain is no host name" >&2
        exit 2
        ;;
    esac
    # Ports below 1024, and what everybody reaches, are root's to give.
    if [ "$(id -u)" = 0 ]; then
        http=${HTTP:-0.0.0.0:80} https=${HTTPS:-0.0.0.0:443} logs=${LOGS:-/var/log/plot-palette}
    else
        http=${HTTP:-127.0.0.1:8080} https=${HTTPS:-127.0.0.1:8443} logs=${LOGS:-}
    fi
    [ "$ssl" = yes ] || https=
    keep DOMAIN "$domain"
    keep SSL "$ssl"
    keep PLOT_PALETTE_HTTP "$http"
    keep PLOT_PALETTE_HTTPS "$https"
    keep PLOT_PALETTE_LOGS "$logs"
    "$mainstay" start
    "$mainstay" status
    verify
}

# Asks /api/health as a browser would, certificate included.
verify() {
    root=
    [ "$ssl" = no ] || root=$("$mainstay" certs root --pem)
    ROOT=$root python3 - "$domain" "${https:-$http}" <<'PYTHON'
import http.client, json, os, socket, ssl, sys

domain, address = sys.argv[1:]
host, port = address.rsplit(":", 1)
host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host)
stream = socket.create_connection((host, int(port)), timeout=10)
if os.environ["ROOT"]:
    stream = ssl.create_default_context(cadata=os.environ["ROOT"]).wrap_socket(stream, server_hostname=domain)
connection = http.client.HTTPConnection(domain)
connection.sock = stream
connection.request("GET", "/api/health")
answer = connection.getresponse()
said = json.loads(answer.read() or b"{}") if answer.getheader("Content-Type", "").startswith("application/json") else {}
print(f"health: {answer.status} {said.get('status', '')} {said.get('error', '')}".rstrip())
sys.exit(answer.status != 200)
PYTHON
}

ask() {
    [ -t 0 ] || usage
    printf 'What is to be done? deploy, status, logs, restart, cleanup [deploy] '
    read -r what
    [ "${what:=deploy}" = deploy ] || exec "./$(basename "$0")" "$what"
    printf 'Under which host name? [%s] ' "${name:=$(kept DOMAIN)}"
    read -r domain
    printf 'Set up SSL (HTTPS, and HTTP leads there)? [Y/n] '
    read -r ssl
    case $ssl in [Nn]*) ssl=no ;; *) ssl=yes ;; esac
    domain=${domain:-${name:-plot-palette.localhost}}
    deploy --domain "$domain" --ssl "$ssl"
}

if [ $# = 0 ]; then
    ask
    exit
fi
what=$1
shift
case $what in
    deploy) deploy "$@" ;;
    status | logs | restart | cleanup) exec "$mainstay" "$what" "$@" ;;
    *) usage ;;
esac
