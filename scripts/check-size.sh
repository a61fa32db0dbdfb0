#!/usr/bin/env bash
# Fails if the filter, the file named, is larger than 1,000,000 bytes. If the build had no wasm-opt to make the filter
# smaller, the script only warns.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=1000000
size=$(stat --format=%s "$1")
if [ "$size" -le "$limit" ]; then
    echo "$1 has $size bytes of the $limit it may have"
    exit
fi
excess="$1 has $size bytes, $((size - limit)) more than the $limit it may have"
if scripts/install.sh which-wasm-opt >/dev/null 2>&1; then
    echo "$excess" >&2
    exit 1
fi
echo "warning: $excess, because there is no wasm-opt" >&2
