# shellcheck shell=bash
# What the tests need beyond what deploy/up needs: shellcheck, Python and Node with a few
# pinned packages, kept in tests/.run/tools and made again only when the pins change.
# Sourced, never run. Installs Debian packages by name and nothing outside tests/.run else.
# shellcheck disable=SC2154 # root and run are set by use_stack, in stack.sh

tools() { printf '%s/tools' "$run"; }
python() { "$(tools)/python/bin/python" "$@"; }

install_debian_packages() {
    local needs=(compiler openssl rabbitmq) packages
    check_rust "$root"
    is_wanted scripts && needs+=(shellcheck)
    is_wanted clients && needs+=(python)
    is_wanted clients contract && needs+=(node)
    mapfile -t packages < <(missing_packages "${needs[@]}")
    ((${#packages[@]} == 0)) && return 0
    check_may_install "${packages[@]}"
    install_packages "$run/log/install.log" "${packages[@]}"
}

# made_from STAMP FILE...: whether what STAMP stands for was made from exactly these files.
made_from() { [[ -f $1 && $(cat "${@:2}" | cksum) == "$(<"$1")" ]]; }

install_python_packages() {
    local home pins=$root/tests/clients/requirements.txt log=$run/log/python.log
    home=$(tools)/python
    made_from "$home.made" "$pins" && return 0
    rm -rf "$home" "$home.made"
    mkdir -p "$(tools)"
    say "installing Python packages: $(grep -oE '^[a-z].*' "$pins" | tr '\n' ' ')"
    { python3 -m venv "$home" && "$home/bin/pip" install --disable-pip-version-check --only-binary :all: -r "$pins"; } >"$log" 2>&1 </dev/null ||
        fail "the Python packages could not be installed" "The end of $log:" "" "$(tail -n 6 "$log")"
    cksum <"$pins" >"$home.made"
}

install_node_packages() {
    local home pins=("$root"/tests/clients/package{,-lock}.json) log=$run/log/node.log
    home=$(tools)/node
    made_from "$home.made" "${pins[@]}" && return 0
    rm -rf "$home" "$home.made"
    mkdir -p "$home"
    say "installing Node packages: $(sed -nE 's/^ {4}"([^"]+)": "([0-9.]+)",?$/\1 \2/p' "${pins[0]}" | tr '\n' ' ')"
    cp "${pins[@]}" "$home/"
    # Their install scripts are not run: the programs come ready in the packages. Not `npm ci`: it
    # demands that the lock name buf's packages for every operating system, ours names Linux's.
    (cd "$home" && npm install --ignore-scripts --no-audit --no-fund) >"$log" 2>&1 </dev/null ||
        fail "the Node packages could not be installed" "The end of $log:" "" "$(tail -n 6 "$log")"
    cat "${pins[@]}" | cksum >"$home.made"
}
