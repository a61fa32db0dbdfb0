#!/bin/sh
# Runs container software where it cannot leave anything behind: in a process and a mount namespace of its own. When
# the namespace's first process ends, the kernel ends every other one in it (daemons, shims, containers) and all their
# mounts go with the namespace.
#
# usage: sh sandbox.sh DIRECTORY CGROUP [--net]
#
# With --net the network namespace is its own too, and empty.
#
# Prints the first process's id as the caller sees it, then waits for the end of standard input. The caller holds the
# other end of that pipe and need not do anything: the pipe also closes when the caller is killed.
directory=$1
cgroup=$2
namespaces=${3:-}

# shellcheck disable=SC2016,SC2086 # the inner shell expands this, and there may be no further namespace
unshare --mount $namespaces --propagation private --pid --fork --kill-child sh -c '
    read -r pid rest < /proc/self/stat # still the /proc of the caller
    mount -n -t proc proc /proc || exit 1
    # Files that these programs write to fixed places (shim sockets, caches) go away too, and no program finds systemd.
    mount -n -t tmpfs metahub-tests /run || exit 1
    mount -n -t tmpfs metahub-tests /var/lib || exit 1
    mount -n --bind "$1/etc-hosts" /etc/hosts || exit 1
    echo "$pid"
    cat > /dev/null
    exit 0 # keeps this shell here beside cat, to collect the orphans that end in the meantime
' sh "$directory"
status=$?

# Control groups know no namespace to die with. A group that its last process has just left may be busy for a moment.
for _ in 1 2 3 4 5; do
    find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2> /dev/null
    [ -z "$(find /sys/fs/cgroup -type d -name "$cgroup*" 2> /dev/null)" ] && break
    sleep 0.1
done
rm -rf "$directory"
exit $status
