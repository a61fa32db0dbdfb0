#!/usr/bin/env bash
# Fails if the filter, the file named, is larger than 600,000 bytes.
set -euo pipefail

limit=600000
size=$(stat --format=%s "$1")
if [ "$size" -gt "$limit" ]; then
    echo "$1 has $size bytes, $((size - limit)) more than the $limit it may have" >&2
    exit 1
fi
echo "$1 has $size bytes of the $limit it may have"
