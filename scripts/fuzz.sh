#!/usr/bin/env bash
# Feeds fuzz targets for so many seconds each, as many at once as there are processors: scripts/fuzz.sh SECONDS
# [TARGET...]
#
# The compiler of rust-toolchain.toml is enough: what cargo-fuzz needs nightly for is the address sanitizer, and there
# is no unsafe code here. libFuzzer comes with a crate.
#
# SEED=1 in the environment makes the same inputs each time, as many as the time allows; 0 makes others each time.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift
targets=("$@")
if [ $# -eq 0 ]; then
    for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# The instrumentation that libFuzzer looks at. Only for the host's code, not for that of build scripts; hence --target.
host=$(rustc -vV | sed -n 's/^host: //p')
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
coverage+=' -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table'
coverage+=' -Cllvm-args=-sanitizer-coverage-trace-compares'
binaries=()
for target in "${targets[@]}"; do binaries+=(--bin "$target"); done
RUSTFLAGS="--cfg fuzzing $coverage" cargo build --locked --profile fuzz --package metahub-fuzz --features libfuzzer \
    --target-dir target/fuzz --target "$host" "${binaries[@]}"

# feed TARGET: the corpus grows and stays; what fails is in target/fuzz/failures.
feed() {
    local target=$1 log=target/fuzz/$1.log
    mkdir -p "fuzz/corpus/$target" "fuzz/seeds/$target" target/fuzz/failures
    local folders=("fuzz/corpus/$target" "fuzz/seeds/$target")
    [ "$target" != selection ] || folders+=(tests/fixtures/indexes)
    # Long histories and documents find more, and take longer.
    local longest=4096
    [ "$target" != flow ] || longest=1500
    if "target/fuzz/$host/fuzz/$target" -seed="${SEED:-0}" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -max_len="$longest" -artifact_prefix="target/fuzz/failures/$target-" "${folders[@]}" >"$log" 2>&1; then
        printf '%-15s %s\n' "$target" "$(grep '^Done' "$log")"
    else
        printf '%-15s FAILS\n' "$target"
        # Lines that begin with a number sign only report progress.
        grep -v '^#' "$log" | tail -n 40
        return 1
    fi
}
export -f feed
export host seconds
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'feed {}' || {
    echo "repeat it: target/fuzz/$host/fuzz/TARGET target/fuzz/failures/FILE"
    exit 1
}
