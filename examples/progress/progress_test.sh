#!/bin/sh
# progress_test.sh PROGRESS: what the program prints, and its bar where there is a terminal.
set -eu
progress=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export LC_ALL=C

fail() {
  echo "failed: $1" >&2
  exit 1
}

cat > expected << 'TEXT'
3 of 3 nodes report every 1000 numbers
200000 numbers were reported while their calls ran
17984 primes are below 200000
TEXT
"$progress" --nodes 3 --limit 200000 --every 1000 > actual 2> errors || fail "exit status"
cmp expected actual || fail "other output than expected"
[ ! -s errors ] || fail "no progress bar without a terminal"

"$progress" --nodes 1 --limit 3 > actual || fail "exit status with one node"
grep -qx '1 primes are below 3' actual || fail "a limit that is no multiple of the steps"

# Interrupted: SIGTERM, as a shell starts what runs in the background deaf to SIGINT.
"$progress" --nodes 2 --limit 1000000000 --every 1000 > actual &
while ! grep -q '2 of 2 nodes' actual; do
  kill -0 $! || fail "it ended by itself"
  sleep 0.05
done
# shellcheck disable=SC2013 # numbers, one after the other
for child in $(cat /proc/$!/task/*/children); do
  [ "$(cat /proc/"$child"/comm)" = "$(basename "$progress")" ] || fail "tools call a child by another name"
done
kill -TERM $!
if wait $!; then
  fail "exit status when it was interrupted"
fi
grep -q 'not all were counted' actual || fail "an interrupt ends it in order"

if command -v script > /dev/null; then
  script -qec "'$progress' --limit 200000 --every 1000" /dev/null > terminal
  grep -q '50%' terminal || fail "a progress bar that moves on a terminal"
  grep -q '100% 200000/200000 numbers' terminal || fail "a progress bar that gets to its end"
fi
echo passed
