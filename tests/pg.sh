#!/usr/bin/env bash
# A throw-away PostgreSQL for tests: fsync on, 127.0.0.1, a random password, gone afterwards.
#   tests/pg.sh run CMD…   runs CMD with POINTSMAN_TEST_PG_URL set; without PostgreSQL it says so
#                          loudly and runs CMD anyway, or fails when CI=true
#   tests/pg.sh serve      prints the URL, serves until its standard input closes
# A POINTSMAN_TEST_PG_URL that is already set is used as it is.
set -euo pipefail

find_bin() { # the newest directory that holds postgres and initdb
  local name dir
  name=$(command -v initdb 2>/dev/null || true)
  if [[ -n $name ]]; then
    name=$(readlink -f "$name")
    [[ -x $(dirname "$name")/postgres ]] && { dirname "$name"; return; }
  fi
  for dir in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin 2>/dev/null | sort -rV); do
    [[ -x $dir/initdb && -x $dir/postgres ]] && { echo "$dir"; return; }
  done
  return 1
}

as_server_user() { # PostgreSQL refuses to run as root
  if [[ $EUID -ne 0 ]]; then "$@"; else
    local user=nobody
    id postgres >/dev/null 2>&1 && user=postgres
    if command -v setpriv >/dev/null 2>&1; then
      setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
    else
      runuser -u "$user" -- "$@"
    fi
  fi
}

serve() {
  local bin dir password port tries
  bin=$(find_bin) || { echo "no initdb and postgres found" >&2; exit 69; }
  dir=$(mktemp -d "${TMPDIR:-/tmp}/pointsman-pg.XXXXXX")
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s' "$password" >"$dir/password"
  [[ $EUID -eq 0 ]] && chown -R "$(id -u postgres 2>/dev/null || id -u nobody)" "$dir"
  cd "$dir" # the server user may not be allowed to stand where we were called
  # Expanded now on purpose: the locals are gone when the trap runs.
  # shellcheck disable=SC2064
  trap "as_server_user '$bin/pg_ctl' -D '$dir/data' -m immediate stop >/dev/null 2>&1 || true; cd /; rm -rf '$dir'" EXIT
  trap 'exit 143' TERM INT
  as_server_user "$bin/initdb" -D "$dir/data" -U pointsman --pwfile="$dir/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; exit 70; }
  for tries in 1 2 3 4 5; do # another process may take the port first
    port=$((20000 + RANDOM % 30000))
    as_server_user "$bin/pg_ctl" -D "$dir/data" -l "$dir/postgres.log" -w -t 30 start \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$dir' -c max_connections=300" \
      >/dev/null 2>&1 </dev/null && break
    [[ $tries -eq 5 ]] && { cat "$dir/postgres.log" >&2; exit 70; }
  done
  echo "postgres://pointsman:$password@127.0.0.1:$port/postgres"
  cat >/dev/null # until the caller is gone
}

run() {
  if [[ -n ${POINTSMAN_TEST_PG_URL:-} ]]; then exec "$@"; fi
  if ! find_bin >/dev/null && [[ ${CI:-} == true && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    apt-get install -y --no-install-recommends postgresql >&2 || true
  fi
  if ! find_bin >/dev/null; then
    echo "==================================================================" >&2
    echo "NO POSTGRESQL FOUND: the stories run on SQLite only." >&2
    echo "Install it (Debian: apt-get install postgresql) or set" >&2
    echo "POINTSMAN_TEST_PG_URL=postgres://user:password@host:port/postgres." >&2
    echo "==================================================================" >&2
    [[ ${CI:-} == true ]] && exit 69
    exec "$@"
  fi
  local url status=0
  coproc SERVER { exec "$0" serve; }
  local server=$SERVER_PID keep=${SERVER[1]}
  read -r url <&"${SERVER[0]}" || { echo "the throw-away PostgreSQL did not start" >&2; exit 70; }
  POINTSMAN_TEST_PG_URL=$url "$@" </dev/null || status=$?
  exec {keep}>&-
  wait "$server" 2>/dev/null || true
  exit "$status"
}

case ${1:-} in
serve) serve ;;
run) shift; run "$@" ;;
*) sed -n '2,6p' "$0" >&2; exit 64 ;;
esac
