#!/usr/bin/env bash
# Makes the compiled filter, the file named, smaller and a little faster with Binaryen's wasm-opt.
#
# What came of the same file before is kept beside the build, because it takes seconds and `make build` runs often.
set -euo pipefail
cd "$(dirname "$0")/.."

filter=$1
kept=target/optimized

# What rustc compiles for (its target's defaults, and +simd128 of .cargo/config.toml).
features=(
    --enable-bulk-memory
    --enable-multivalue
    --enable-mutable-globals
    --enable-nontrapping-float-to-int
    --enable-reference-types
    --enable-sign-ext
    --enable-simd
)

wasm_opt=$(command -v wasm-opt || echo .tools/binaryen/usr/bin/wasm-opt)
version=$("$wasm_opt" --version)
name=$({ cat "$filter"; printf '%s' "$version" "${features[@]}"; } | sha256sum | cut -d' ' -f1)
if [ ! -e "$kept/$name.wasm" ]; then
    rm -rf "$kept"
    mkdir -p "$kept"
    "$wasm_opt" -Os "${features[@]}" "$filter" --output "$kept/new.wasm"
    mv "$kept/new.wasm" "$kept/$name.wasm"
fi
# Replaced, not written to: cargo keeps a second link to it and takes its content for its own.
cp "$kept/$name.wasm" "$filter.new"
before=$(stat --format=%s "$filter")
mv "$filter.new" "$filter"
echo "$filter: $(stat --format=%s "$filter") bytes, $before before $version"
