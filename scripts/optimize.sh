#!/usr/bin/env bash
# Makes the compiled filter, the file named, smaller and a little faster with Binaryen's wasm-opt.
#
# The result for each input file is kept beside the build, because wasm-opt takes seconds and `make build` runs often.
set -euo pipefail
cd "$(dirname "$0")/.."

filter=$1
kept=target/optimized

# The WebAssembly features that rustc compiles for (its target's defaults, and +simd128 of .cargo/config.toml).
options=(
    -Os
    --enable-bulk-memory
    --enable-multivalue
    --enable-mutable-globals
    --enable-nontrapping-float-to-int
    --enable-reference-types
    --enable-sign-ext
    --enable-simd
    # No address below 1024 is ever taken: the end of the stack is there.
    --low-memory-unused
)

if ! wasm_opt=$(scripts/install.sh which-wasm-opt 2>/dev/null); then
    echo "warning: without wasm-opt $filter is larger than it need be; Envoy runs it all the same" >&2
    exit
fi
version=$("$wasm_opt" --version)
name=$({ cat "$filter"; printf '%s' "$version" "${options[@]}"; } | sha256sum | cut -d' ' -f1)
if [ ! -e "$kept/$name.wasm" ]; then
    mkdir -p "$kept"
    new=$kept/new.$$
    "$wasm_opt" "${options[@]}" "$filter" --output "$new"
    # Results of earlier builds are removed.
    rm -f "$kept"/*.wasm
    mv "$new" "$kept/$name.wasm"
fi
before=$(stat --format=%s "$filter")
cp "$kept/$name.wasm" "$filter"
echo "$filter: $(stat --format=%s "$filter") bytes, $before before $version"
