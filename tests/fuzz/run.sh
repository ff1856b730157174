#!/bin/sh
# Runs fuzz targets under libFuzzer: run.sh SECONDS [TARGET...]; all of them where none is named. What is found is in
# build/fuzz/found, a corpus that grows in build/fuzz/corpus. It begins with the one that is kept here, in corpus/; SECONDS
# "keep" makes that one anew: of all inputs that there are, as few as reach all that they reach together.
#
# The coverage that libFuzzer goes by is put in by flags that the stable compiler has; there is no sanitizer, for what is
# fuzzed is safe Rust that panics where others would overrun. So no nightly compiler is needed, but one for C++.
set -eu
seconds=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)/build/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$build/found"

cd "$here"
export CARGO_TARGET_DIR="$build/target"
targets=$(cargo run --quiet --release --bin seeds -- "$build/corpus")
for target in "$@"; do
    echo "$targets" | grep -qxF -- "$target" || { echo "there is no target $target; there are:" $targets >&2; exit 1; }
done
for target in ${*:-$targets}; do
    if [ -e "$here/corpus/$target.tar.gz" ]; then tar -xzf "$here/corpus/$target.tar.gz" -C "$build/corpus/$target"; fi
done
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --quiet --release --target "$host" --features libfuzzer --bin fuzz

if [ "$seconds" = keep ]; then
    mkdir -p "$here/corpus"
    for target in ${*:-$targets}; do
        fewer=$(mktemp -d)
        TINE_FUZZ=$target "$build/target/$host/release/fuzz" -merge=1 "$fewer" "$build/corpus/$target" -max_len=32768 \
            > "$build/$target.log" 2>&1 || { tail -n 40 "$build/$target.log"; exit 1; }
        # The same inputs make the same file.
        ls "$fewer" | tar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=644 -C "$fewer" -c -T - \
            | gzip -n9 > "$here/corpus/$target.tar.gz"
        echo "$target: $(ls "$fewer" | wc -l) inputs"
        rm -r "$fewer"
    done
    exit
fi

for target in ${*:-$targets}; do
    echo "== $target, $seconds s"
    # Each input has a minute to end, which is one of the clock and not of the processor, and a gigabyte.
    TINE_FUZZ=$target "$build/target/$host/release/fuzz" "$build/corpus/$target" -max_total_time="$seconds" \
        -timeout=60 -rss_limit_mb=1024 -max_len=32768 -print_final_stats=1 -artifact_prefix="$build/found/$target-" \
        > "$build/$target.log" 2>&1 || { tail -n 40 "$build/$target.log"; exit 1; }
    sed -n 's/^stat::number_of_executed_units: */inputs: /p; s/^stat::average_exec_per_sec: */a second: /p' "$build/$target.log"
    grep -o 'cov: [0-9]*' "$build/$target.log" | tail -n 1
done
