# shellcheck shell=bash
# What this machine has, and what it still needs.
# Sourced, never run. Installs Debian packages only, only those named, and says so first;
# never changes how the system's own services start, never removes anything.

oldest_rabbitmq=3.10

# The folder of the newest RabbitMQ that packages put in place, or the one that was named.
rabbitmq_home() {
    local candidate found=${SAFEGUARDING_RABBITMQ_HOME:-}
    if [[ -z $found ]]; then
        for candidate in /usr/lib/rabbitmq/lib/rabbitmq_server-*; do
            [[ -x $candidate/sbin/rabbitmq-server ]] && found=$candidate
        done
    fi
    printf '%s' "$found"
}

version_at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

rabbitmq_is_there() {
    local home
    home=$(rabbitmq_home)
    [[ -n $home ]] && have erl && have epmd
}

check_rabbitmq() {
    local home version
    home=$(rabbitmq_home)
    [[ -n $home && -x $home/sbin/rabbitmq-server ]] || fail "RabbitMQ is not installed" \
        "Install it: apt-get install --no-install-recommends rabbitmq-server   ($oldest_rabbitmq or later)" \
        "If it is installed elsewhere, name its folder (the one that holds sbin/): SAFEGUARDING_RABBITMQ_HOME"
    version=${home##*rabbitmq_server-}
    if [[ $version != "$home" ]] && ! version_at_least "$version" "$oldest_rabbitmq"; then
        fail "RabbitMQ $version is too old" "$oldest_rabbitmq or later is needed: quorum queues that hand on undeliverable messages at least once."
    fi
    { have erl && have epmd; } || fail "Erlang (erl, epmd) is not on the PATH" "It comes with the package rabbitmq-server. PATH is $PATH"
}

# rust-version in the workspace's Cargo.toml is the one place that says which compiler.
check_rust() {
    local root=$1 wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    have cargo || fail "Rust (cargo) is not installed" \
        "Rust $wanted or later is needed; Debian 12's own is older. Install it with rustup (https://rustup.rs) and open a new shell."
    found=$(cargo --version 2>/dev/null | awk '{ print $2 }')
    [[ -n $found ]] || fail "cargo is there but does not run" "Try: cargo --version"
    version_at_least "$found" "$wanted" || fail "Rust $found is too old: $wanted or later is needed" "With rustup: rustup update stable"
}

# Which Debian packages stand for the programs that are missing; one per line, none if all is there.
missing_packages() {
    local need
    for need in "$@"; do
        case $need in
            compiler) have cc || printf '%s\n' gcc libc6-dev ;;
            openssl) have openssl || printf '%s\n' openssl ;;
            rabbitmq) rabbitmq_is_there || printf '%s\n' rabbitmq-server ;;
            shellcheck) have shellcheck || printf '%s\n' shellcheck ;;
            python) python3 -c 'import venv, ensurepip' 2>/dev/null || printf '%s\n' python3 python3-venv ;;
            node) { have node && have npm; } || printf '%s\n' nodejs npm ;;
            *) fail "no package is known for '$need'" "A mistake in the calling script." ;;
        esac
    done
}

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

# Asked for before anything runs in the background, where no password can be typed.
check_may_install() {
    have apt-get || fail "programs are missing and this machine has no apt-get: $*" \
        "Needed: RabbitMQ $oldest_rabbitmq or later with Erlang, openssl, a C compiler (cc), Rust (cargo)." \
        "Install them with this system's own tools and run this again."
    ((EUID == 0)) && return 0
    have sudo || fail "packages must be installed and neither root nor sudo is at hand: $*" "As root: apt-get install --no-install-recommends $*"
    if [[ -t 0 ]]; then sudo -v; else sudo -n true 2>/dev/null; fi ||
        fail "packages must be installed and sudo was not granted: $*" "Run it yourself: sudo apt-get install --no-install-recommends $*"
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends "$@" </dev/null
}

# The package lists are fetched only when the first attempt shows that they are stale or absent.
install_packages() {
    local log=$1
    shift
    say "installing $*"
    apt_install "$@" >"$log" 2>&1 && return 0
    as_root apt-get -o DPkg::Lock::Timeout=120 update </dev/null >>"$log" 2>&1 || true
    apt_install "$@" >>"$log" 2>&1 ||
        fail "apt-get could not install $*" "The end of $log:" "" "$(tail -n 8 "$log")" "" "Install them by hand, then run this again."
}
