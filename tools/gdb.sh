#!/bin/sh
# Runs a board that waits for a debugger, with the debugger in this terminal and the board's console in a file; where
# there is no debugger for AArch64, runs the board here and says how to connect one.
#
#   tools/gdb.sh COMMAND...     the command that runs the board
set -eu

elf=build/kernel.elf
commands=tools/gdb/tine.py
console=build/gdb-console.log

debugger=
for candidate in gdb-multiarch aarch64-elf-gdb aarch64-none-elf-gdb aarch64-linux-gnu-gdb gdb; do
    if "$candidate" --batch -ex 'set architecture aarch64' 2>&1 | grep -q 'assumed to be set to "aarch64"\|is set to "aarch64"\|^The target architecture'; then
        debugger=$candidate
        break
    fi
done

if [ -z "$debugger" ]; then
    echo "No gdb here knows AArch64 (Debian: apt-get install gdb-multiarch). The board waits; connect with"
    echo "    gdb-multiarch $elf -ex 'source $commands' -ex 'target remote :1234'"
    exec "$@" --gdb
fi

# The board is a process group of its own: QEMU ends by the SIGINT with which Ctrl-C, in the debugger, is to stop what it runs.
# Without a terminal there is no job control, and no Ctrl-C.
group=
if [ -t 0 ]; then
    set -m
    group=-
fi
"$@" --gdb --no-console --serial-log "$console" &
board=$!
set +m
trap 'kill -- "$group$board" 2>/dev/null || true' EXIT
# Ctrl-C is for the debugger alone; a trap that is empty it would inherit.
trap : INT
echo "the board's console is in $console; \`continue\` lets the board go, Ctrl-C stops it, \`tine help\` lists what there is for Tine"
# rust-gdb adds the printers for Rust's types.
if command -v rust-gdb >/dev/null 2>&1; then
    RUST_GDB=$debugger rust-gdb "$elf" -ex "source $commands" -ex 'target remote :1234'
else
    "$debugger" "$elf" -ex "source $commands" -ex 'target remote :1234'
fi
