#!/usr/bin/env bash
# Plants the faults in fuzz/mutations one by one into a copy of the last commit, and says which target notices each, at
# which of its pseudo-random inputs and with which message: scripts/mutations.sh [NAME...]. It fails if a fault goes
# unnoticed.
#
# CASES (3000) is how many inputs each target gets; `make check` gives 500 to each, and 300 to `flow`.
set -euo pipefail
cd "$(dirname "$0")/.."

cases=${CASES:-3000}
patches=$PWD/fuzz/mutations
built=$PWD/target/fuzz
# `flow` comes last, because code that reads configurations wrongly would also spoil its histories.
targets=(selection authorization request_line configuration token_answers tickets json flow)
names=("$@")
if [ $# -eq 0 ]; then
    for file in "$patches"/*.patch; do names+=("$(basename "$file" .patch)"); done
fi

mkdir -p "$built"
tree=$(mktemp -d)
git worktree add --quiet --detach "$tree" HEAD
trap 'git worktree remove --force "$tree"' EXIT

# notice: the first target that fails, and its message; 1 if none does, 2 if there is nothing to run.
notice() {
    local target output words number
    (cd "$tree" && cargo build --quiet --locked --profile mutant --package metahub-fuzz \
        --target-dir "$built" --bin cases) \
        2>"$built/mutation.log" || {
        cat "$built/mutation.log" >&2
        return 2
    }
    for target in "${targets[@]}"; do
        output=$(RUST_BACKTRACE=0 timeout 600 "$built/mutant/cases" "$target" "$cases" 2>&1) && continue
        number=$(sed -n 's/^case \([0-9]*\) of .*/\1/p' <<<"$output")
        [ -n "$number" ] || {
            echo "$output" >&2
            return 2
        }
        # The panic's message is in the line after its position.
        words=$(grep -m1 -A1 'panicked at' <<<"$output" | tail -n 1 | tr -d '|`' | cut -c 1-70)
        # shellcheck disable=SC2016 # the backquotes are Markdown's
        printf '`%s`, input %s: %s' "$target" "$number" "$words"
        return
    done
    return 1
}

# attempt: the output of `notice`. A fault that could not be tried does not count as noticed.
attempt() {
    local status=0
    noticed=$(notice) || status=$?
    [ "$status" -ne 2 ] || {
        echo "nothing was shown: see above" >&2
        exit 2
    }
    return "$status"
}

if attempt; then
    echo "without any fault: $noticed" >&2
    exit 1
fi
unnoticed=0
for name in "${names[@]}"; do
    git -C "$tree" apply --whitespace=nowarn "$patches/$name.patch"
    attempt || unnoticed=$((unnoticed + 1)) noticed='nobody'
    # shellcheck disable=SC2016 # the backquotes are Markdown's
    printf '| `%s` | %s | %s |\n' "$name" "$(head -n 1 "$patches/$name.patch" | sed 's/\.$//')" "$noticed"
    git -C "$tree" apply --whitespace=nowarn --reverse "$patches/$name.patch"
done
[ "$unnoticed" -eq 0 ] || { echo "$unnoticed went unnoticed" >&2; exit 1; }
