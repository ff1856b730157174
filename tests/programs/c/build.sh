#!/bin/sh
# Builds the C program for the board with Debian's cross compiler, linked statically and dynamically:
#
#   tests/programs/c/build.sh DIRECTORY
#
# DIRECTORY becomes part of a root: the programs in bin/, the libraries that the dynamic one wants in lib/. Where there is no
# such compiler it is left empty, and the tests say that they leave the program out; `make cross` installs one.
set -eu

directory=$1
source=$(dirname "$0")/posix.c
CC=${CROSS_CC:-aarch64-linux-gnu-gcc}
FLAGS='-O2 -Wall -Wextra -Werror'

rm -rf "$directory"
mkdir -p "$directory/bin" "$directory/lib"
if ! command -v "$CC" >/dev/null; then
    echo "$directory: there is no $CC, so the tests' C program is left out; \`make cross\` installs it on Debian" >&2
    exit 0
fi
# One word for each flag.
# shellcheck disable=SC2086
{
    "$CC" $FLAGS -static -o "$directory/bin/posix" "$source"
    "$CC" $FLAGS -o "$directory/bin/posix-dynamic" "$source"
}
# The third one is loaded when a thread is cancelled.
for library in ld-linux-aarch64.so.1 libc.so.6 libgcc_s.so.1; do
    cp -L "$("$CC" -print-file-name=$library)" "$directory/lib/$library"
done
