#!/usr/bin/env bash
# Proves that only src/filter/ names the proxy-wasm SDK: everything else is tested natively, without Envoy.
set -euo pipefail
cd "$(dirname "$0")/.."

# The entry point in src/lib.rs may declare the module `filter`, but not touch the SDK.
if found=$(grep -rn --include='*.rs' 'proxy_wasm' src benches examples tests fuzz 2>/dev/null | grep -v '^src/filter/'); then
    printf 'proxy_wasm is named outside of src/filter/:\n%s\n' "$found" >&2
    exit 1
fi
grep -rq --include='*.rs' 'proxy_wasm' src/filter || {
    echo 'src/filter/ does not name proxy_wasm: this check looks in the wrong place' >&2
    exit 1
}
echo 'only src/filter/ names proxy_wasm'
