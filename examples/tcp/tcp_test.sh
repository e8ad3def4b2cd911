#!/usr/bin/env bash
# tcp_test.sh TCP_SERVER TCP_CLIENT: the server is killed and comes back while a client goes on calling it.
set -euo pipefail
server=$1
client=$2
patience=30
dir=$(mktemp -d)
mkfifo "$dir/server" "$dir/client" "$dir/input"
pids=()
trap 'kill -9 "${pids[@]}" 2> /dev/null || true; rm -rf "$dir"' EXIT

fail() {
  echo "failed: $1" >&2
  exit 1
}

# expect FD PATTERN: reads lines until one matches the pattern; leaves it in $line.
expect() {
  local seen=()
  while IFS= read -r -t "$patience" -u "$1" line; do
    # shellcheck disable=SC2053 # it is a pattern
    [[ $line == $2 ]] && return
    seen+=("${line:0:80}")
  done
  fail "no line '${2:0:80}'; there were: ${seen[*]}"
}

# start_server PORT CHUNK_SIZE
start_server() {
  "$server" "$1" "$2" > "$dir/server" 5>&- & # or the client's input would never end
  server_pid=$!
  pids+=("$server_pid")
}

exec 3<> "$dir/server" 4<> "$dir/client"
for chunk_size in 65536 7; do
  start_server 0 $chunk_size
  expect 3 'listening on 127.0.0.1:*'
  port=${line##*:}

  "$client" "$port" $chunk_size < "$dir/input" > "$dir/client" &
  client_pid=$!
  pids+=("$client_pid")
  exec 5> "$dir/input"
  echo one >&5
  expect 4 'server is there'
  expect 4 'served 1'
  expect 4 ONE
  echo two >&5
  expect 4 'served 2'
  expect 4 TWO

  {
    kill -9 "$server_pid"
    wait "$server_pid" && fail "the server ended by itself"
  } 2> /dev/null
  expect 4 'server is gone'
  echo three >&5 # waits
  start_server "$port" $chunk_size
  expect 3 "listening on 127.0.0.1:$port"
  expect 4 'server is there'
  expect 4 'served 1'
  expect 4 THREE

  # Far more than a chunk, in both directions.
  head -c 20000 /dev/zero | tr '\0' x >&5
  echo >&5
  expect 4 "$(head -c 20000 /dev/zero | tr '\0' X)"

  exec 5>&- # end of input
  wait "$client_pid" || fail "the client's exit status"
  kill "$server_pid"
  wait "$server_pid" || fail "the server's exit status"
done
echo passed
