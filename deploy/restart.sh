#!/bin/sh
# Starts a new pgweir on the port of the one that runs, and has that one end when its clients have left: nobody is refused, or dropped.
# Also the way to start the first one. See "Without downtime" in docs/running.md for what the file has to say.
#
#   restart.sh pgweir.ini [/run/pgweir]
#
# Every pgweir has a number, its peer_id, and a folder of that name, with its pidfile and its unix socket. The two take turns.
set -eu

config=${1:?usage: restart.sh pgweir.ini [/run/pgweir]}
run=${2:-/run/pgweir}
pgweir=${PGWEIR:-pgweir}

runs() {
  [ -s "$run/$1/pgweir.pid" ] && kill -0 "$(cat "$run/$1/pgweir.pid")" 2>/dev/null
}

if runs 1 && runs 2; then
  echo "restart.sh: 1 and 2 both run: the one before still waits for its clients. kill -INT the older one to hurry it" >&2
  exit 1
fi
if runs 1; then old=1 new=2; else old=2 new=1; fi

mkdir -p "$run/$new"
# It ends well only when the new one listens; else nothing has changed.
$pgweir --daemon --so-reuseport 1 --peer-id "$new" --unix-socket-dir "$run/$new" --pidfile "$run/$new/pgweir.pid" "$config"
echo "pgweir $new serves clients, process $(cat "$run/$new/pgweir.pid")"

if runs "$old"; then
  kill -TERM "$(cat "$run/$old/pgweir.pid")"
  echo "pgweir $old ends when its clients have left, process $(cat "$run/$old/pgweir.pid")"
fi
