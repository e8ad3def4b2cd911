#!/bin/sh
# hash_files_test.sh HASH_FILES: compares the program with sha256sum on files that are hard to get right.
set -eu
hash_files=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export LC_ALL=C

fail() {
  echo "failed: $1" >&2
  exit 1
}

mkdir -p tree/sub/deeper tree/empty
: > tree/empty_file
printf 'abc' > tree/abc
printf 'x' > 'tree/with space'
printf 'x' > 'tree/back\slash'
printf 'x' > "$(printf 'tree/new\nline')"
i=0
while [ $i -lt 100 ]; do
  echo "$i" > "tree/sub/file$i"
  i=$((i + 1))
done
head -c 3000000 /dev/zero > tree/sub/deeper/large
ln -s ../abc tree/sub/link # not followed in a walk, as find -type f does not

find tree -type f -print0 | sort -z | xargs -0 sha256sum > expected
"$hash_files" --nodes 3 tree > actual || fail "exit status of a walk"
cmp expected actual || fail "a walk differs from sha256sum"
"$hash_files" --nodes 1 tree | cmp expected - || fail "the order depends on the number of nodes"

sha256sum tree/sub/file7 tree/abc tree/sub/link > expected
"$hash_files" tree/sub/file7 tree/abc tree/sub/link | cmp expected - || fail "named files differ from sha256sum"

if "$hash_files" tree/abc no_such_file > actual 2> errors; then
  fail "a missing file must make the exit status 1"
fi
[ "$(wc -l < actual)" = 1 ] || fail "the readable file must be hashed all the same"
grep -q 'no_such_file: No such file or directory' errors || fail "the missing file must be reported"
if "$hash_files" 2> /dev/null; then
  fail "no path must be an error"
fi
"$hash_files" tree 2> errors > /dev/null || fail "exit status with stderr in a file"
[ ! -s errors ] || fail "no progress bar without a terminal"
if command -v script > /dev/null; then
  script -qec "'$hash_files' tree" /dev/null > terminal
  grep -q '100%' terminal || fail "a progress bar on a terminal"
fi
echo passed
