#!/bin/sh
# Starts a new pgweir on the port of the running one, which then ends when its clients have left. No client is refused or disconnected.
# Use it to start the first pgweir, too. "Without downtime" in docs/running.md says which settings the file needs.
#
#   restart.sh pgweir.ini [/run/pgweir]
#
# The two alternate as numbers 1 and 2. Each has its number as its peer_id, and its pidfile and unix socket in a folder named after the number.
set -eu

config=${1:?usage: restart.sh pgweir.ini [/run/pgweir]}
run=${2:-/run/pgweir}
pgweir=${PGWEIR:-pgweir}

runs() {
  [ -s "$run/$1/pgweir.pid" ] && kill -0 "$(cat "$run/$1/pgweir.pid")" 2>/dev/null
}

if runs 1 && runs 2; then
  echo "restart.sh: 1 and 2 both run: the older one still waits for its clients. To hasten it, send it SIGINT (kill -INT)" >&2
  exit 1
fi
if runs 1; then old=1 new=2; else old=2 new=1; fi

mkdir -p "$run/$new"
# Succeeds only if the new pgweir listens; otherwise the script ends here, and nothing has changed.
$pgweir --daemon --so-reuseport 1 --peer-id "$new" --unix-socket-dir "$run/$new" --pidfile "$run/$new/pgweir.pid" "$config"
echo "pgweir $new serves clients, process $(cat "$run/$new/pgweir.pid")"

if runs "$old"; then
  kill -TERM "$(cat "$run/$old/pgweir.pid")"
  echo "pgweir $old ends when its clients have left, process $(cat "$run/$old/pgweir.pid")"
fi
