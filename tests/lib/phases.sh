# shellcheck shell=bash
# The phases of tests/run, in the order in which they tell a reader most for the least waiting.
# Sourced, never run. A phase is a list of checks; it never stops at the first that fails.
# shellcheck disable=SC2154 # root, run, ports and programs are set by use_stack, in stack.sh

phase_prepare() {
    install_debian_packages
    ! is_wanted clients || install_python_packages
    ! is_wanted clients contract || install_node_packages
    is_wanted rust clients || return 0
    make_certificates
    # Ready long before the first test has been compiled.
    start_node >"$run/log/rabbitmq-start.log" 2>&1 9>&- &
    node_start=$!
}

# The tests find the node through this folder, and certificates in what its node.env names.
await_node() {
    export SAFEGUARDING_TEST_RABBITMQ=$run/rabbitmq
    if [[ -n ${node_start:-} ]]; then
        wait "$node_start" || true
        node_start=
        cat "$run/log/rabbitmq-start.log"
    fi
    port_is_listening "$amqps_port"
}

phase_scripts() {
    local script stranger=$run/stranger own=$run/own
    mapfile -t scripts < <(cd "$root" && grep -lE '^#!.*bash|^# shellcheck shell=bash' deploy/* deploy/lib/* tests/run tests/lib/* .ci/run 2>/dev/null)
    for script in "${scripts[@]}"; do
        check "shellcheck $script" in_repository shellcheck -x -P . "$script"
    done
    for script in deploy/up deploy/down deploy/rabbitmq deploy/certificates; do
        check "$script --help" "$root/$script" --help
        check_refused "$script refuses an argument it does not know" "$root/$script" --surprise
    done

    rm -rf "$stranger" "$own"
    check "a certificate authority and its certificates are made" "$root/deploy/certificates" "$own" school.999001 rabbitmq
    check "a certificate is signed by its authority" openssl verify -CAfile "$own/ca.pem" "$own/school.999001.pem"
    check "making them again changes nothing" unchanged "$own/school.999001.pem" "$root/deploy/certificates" "$own" school.999001
    check "a certificate names the party" subject_is "$own/school.999001.pem" "CN = school.999001"
    check "private keys are their owner's alone" readable_by_owner_only "$own/school.999001.key" "$own/ca.key"
    check "an expired certificate can be had" "$root/deploy/certificates" --expired "$own" school.999002
    check_refused "an expired certificate does not verify" openssl verify -CAfile "$own/ca.pem" "$own/school.999002.pem"
    check "a stranger's authority can be had" "$root/deploy/certificates" "$stranger" school.999001
    check_refused "a stranger's certificate does not verify" openssl verify -CAfile "$own/ca.pem" "$stranger/school.999001.pem"
    check_refused "a name that leaves the folder is refused" "$root/deploy/certificates" "$own" ../elsewhere
    rm -rf "$stranger" "$own"
}

in_repository() { (cd "$root" && "$@"); }
unchanged() {
    local file=$1 before
    shift
    before=$(cksum <"$file")
    "$@" && [[ $(cksum <"$file") == "$before" ]]
}
subject_is() { [[ $(openssl x509 -in "$1" -noout -subject) == "subject=$2" ]]; }
readable_by_owner_only() { [[ $(stat -c %a "$@" | sort -u) == 600 ]]; }

phase_format() { check "cargo fmt --check" cargo fmt --manifest-path "$root/Cargo.toml" --all --check; }

phase_lints() {
    check "clippy, warnings are errors" cargo clippy --manifest-path "$root/Cargo.toml" --workspace --all-targets --locked -- -D warnings
    # Two providers in one program and rustls refuses to choose, at run time.
    check_refused "one crypto provider: aws-lc is not in the tree" in_repository cargo tree --locked --workspace -i aws-lc-sys
}

phase_contract() {
    local buf released
    buf=$(tools)/node/node_modules/.bin/buf
    check "buf lint" "$buf" lint "$root/proto"
    for released in "$root"/proto/released/*.binpb; do
        [[ -e $released ]] || { say "   nothing has been released yet: there is no descriptor to compare with"; break; }
        check "buf breaking against $(basename "$released" .binpb)" "$buf" breaking "$root/proto" --against "$released"
    done
}

phase_rust() {
    local log=$run/log/rust.log status=0
    await_node || { it_failed "the tests' RabbitMQ" "did not start"; return 0; }
    # Some tests start the real programs; cargo test alone builds only what it links.
    check "the programs build" build_programs
    cargo test --manifest-path "$root/Cargo.toml" --workspace --locked --no-fail-fast </dev/null 2>&1 9>&- |
        tee "$log" | { grep --line-buffered -E '^ +(Running|Doc-tests) |^test result|^error' || true; } || status=$?
    if ((status)); then
        printf '\n'
        grep -vE '^(running|test .* \.\.\. ok$|$| +(Compiling|Running|Doc-tests) )' "$log" | tail -n 120 || true
    fi
    count_cargo_tests "$log" "$status"
}

# The real programs, and clients that share no line of code with them.
phase_clients() {
    local client found=no
    await_node || { it_failed "the tests' RabbitMQ" "did not start"; return 0; }
    check "the programs build" build_programs
    find_programs
    check "stubs are made from our contract" make_stubs
    vhost=clients
    check "a virtual host of their own" own_virtual_host
    write_configurations
    check "the broker starts" start_program broker "$broker_metrics_port" "$operate_port"
    check "the adapter starts" start_program adapter "$adapter_metrics_port" "$gateway_port"
    for client in "$root"/tests/clients/*_test.{py,cjs}; do
        [[ -e $client ]] || continue
        found=yes
        run_client "$client"
    done
    for client in "$root"/examples/*/*.{py,cjs}; do
        [[ -e $client ]] || continue
        rm -rf "$run/keys"
        run_client "$client"
    done
    [[ $found == yes ]] || it_failed "foreign clients" "tests/clients holds no *_test.py and no *_test.cjs"
    stop_program adapter || true
    stop_program broker || true
}

build_programs() { cargo build --manifest-path "$root/Cargo.toml" --workspace --bins --locked; }

make_stubs() {
    local protos
    rm -rf "$run/stubs"
    mkdir -p "$run/stubs"
    mapfile -t protos < <(cd "$root/proto" && find . -name '*.proto' -printf '%P\n')
    (cd "$root/proto" && python -m grpc_tools.protoc -I . --python_out "$run/stubs" --grpc_python_out "$run/stubs" "${protos[@]}")
}

own_virtual_host() {
    "$run/rabbitmq/rabbitmqctl" add_vhost "$vhost"
    "$run/rabbitmq/rabbitmqctl" set_permissions -p "$vhost" provisioning '.*' '.*' '.*'
}

# What a client is told: where things are, and where its certificate lies.
run_client() {
    local client=$1 name log status=0 runner=python
    name=$(basename "$client")
    log=$(log_of "$name")
    [[ $client == *.cjs ]] && runner=node
    (
        export SAFEGUARDING_GATEWAY=localhost:$gateway_port SAFEGUARDING_AMQPS_PORT=$amqps_port
        export SAFEGUARDING_VHOST=$vhost SAFEGUARDING_CERTIFICATES=$run/certificates
        export SAFEGUARDING_PROTO=$root/proto SAFEGUARDING_KEYS=$run/keys
        export PYTHONPATH=$run/stubs NODE_PATH=$run/tools/node/node_modules
        cd "$run" && timeout 120 "$(runner_of "$runner")" "$client"
    ) >"$log" 2>&1 </dev/null || status=$?
    count_reports "$name" "$log" "$status"
}

runner_of() { if [[ $1 == python ]]; then printf '%s/python/bin/python' "$(tools)"; else command -v node; fi; }
