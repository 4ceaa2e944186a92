# shellcheck shell=bash
# The local stack as parts: configurations, certificates, the node, the two programs.
# Sourced, never run. Everything lies in one folder ($run) and listens on loopback from one
# port base; a program is restarted only when it or its configuration changed; nothing here
# ever removes a ledger or a queue.

# Who exists in the local stack. Councils and forces are real, every person is invented.
senders=(school.999001 school.999002 nhs.ZZ304)
councils=(la.E08000035 la.E10000016 la.E09000025)
desks=(front-door edt early-help front-door-manager)
# Only Leeds has connected those who answer a disagreement above its manager.
above_the_manager=(la.E08000035.safeguarding-lead la.E08000035.head-of-service la.E08000035.safeguarding-partners)
forces=(police.13 police.46)
# Whoever runs the broker: no party, sends and receives nothing.
operator=operator.desk

parties() {
    local council desk
    printf '%s\n' "${senders[@]}" "${forces[@]}" "${above_the_manager[@]}"
    for council in "${councils[@]}"; do
        for desk in "${desks[@]}"; do printf '%s.%s\n' "$council" "$desk"; done
    done
}

# use_stack REPOSITORY FOLDER PORT_BASE: which stack all else here is about. Absolute paths.
use_stack() {
    root=$1
    run=$2
    port_base=$3
    vhost=safeguarding
    programs=$root/target/debug
    gateway_port=$((port_base + 43))
    operate_port=$((port_base + 44))
    broker_metrics_port=$((port_base + 45))
    adapter_metrics_port=$((port_base + 46))
    amqps_port=$((port_base + 71))
    management_port=$((port_base + 72))
}

# Cargo knows where it builds to; people set that in more than one place.
find_programs() {
    local target
    target=$(cargo metadata --manifest-path "$root/Cargo.toml" --no-deps --format-version 1 --offline 2>/dev/null |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p') || true
    programs=${target:-$root/target}/debug
}

# A file that would not change is not touched: its age says when it last did.
write_if_changed() {
    local file=$1 text
    text=$(cat)
    [[ -f $file && $(<"$file") == "$text" ]] || printf '%s\n' "$text" >"$file"
}

configuration() {
    fill_in "$root/deploy/config/$1" AMQPS_PORT "$amqps_port" MANAGEMENT_PORT "$management_port" \
        GATEWAY_PORT "$gateway_port" OPERATE_PORT "$operate_port" \
        BROKER_METRICS_PORT "$broker_metrics_port" ADAPTER_METRICS_PORT "$adapter_metrics_port" \
        VHOST "$vhost" ENDPOINTS "$root/deploy/endpoints.toml" PARTY "${2:-}"
}

write_configurations() {
    local party
    mkdir -p "$run/ledger" "$run/log"
    configuration broker.toml | write_if_changed "$run/broker.toml"
    configuration adapter.toml | write_if_changed "$run/adapter.toml"
    configuration operator.toml "$operator" | write_if_changed "$run/$operator.toml"
    while read -r party; do
        party_configuration "$party" | write_if_changed "$run/$party.toml"
    done < <(parties)
}

# With the ledger's public key, once there is one: a front door then checks that what it receives was
# recorded before it was sent.
party_configuration() {
    configuration party.toml "$1"
    [[ ! -s $run/ledger/public.key ]] || printf '\n[ledger]\npublic_key = "%s"\n' "$(<"$run/ledger/public.key")"
}

# The broker makes its signing key at the first start.
hand_out_ledger_key() {
    [[ -s $run/ledger/public.key ]] || "$programs/safeguarding-broker" ledger key --config "$run/broker.toml" >"$run/ledger/public.key"
    write_configurations
}

make_certificates() {
    local names
    mapfile -t names < <(parties)
    "$root/deploy/certificates" "$run/certificates" rabbitmq service.router service.adapter "$operator" "${names[@]}"
}

start_node() {
    SAFEGUARDING_CERTIFICATES="$run/certificates" "$root/deploy/rabbitmq" start "$run/rabbitmq" "$port_base"
}

program_of() { printf 'safeguarding-%s' "$1"; }
program_pid() { our_pid "$run/$1.pid" "$run" "$(program_of "$1") serve"; }

# What a running program was started from: its binary and everything it read.
origin_of() {
    local name=$1
    stat -c '%Y %s' "$programs/$(program_of "$name")"
    cksum <"$run/$name.toml"
    cksum <"$root/deploy/endpoints.toml"
}

health() {
    local port=$1 status=''
    # The kernel's table first: a connection that is refused would only cost an error message.
    port_is_listening "$port" || return 1
    {
        printf 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&8
        read -r -t 5 -u 8 status || true
        exec 8>&-
    } 8<>"/dev/tcp/127.0.0.1/$port" 2>/dev/null || return 1
    [[ $status == *" 200 "* ]]
}

program_is_settled() { process_is_gone "$1" || health "$2"; }

# start_program NAME METRICS_PORT PORT...: running and ready when it returns.
start_program() {
    local name=$1 metrics_port=$2 pid
    pid=$(program_pid "$name")
    if [[ -n $pid && $(origin_of "$name") == "$(cat "$run/$name.origin" 2>/dev/null)" ]] && health "$metrics_port"; then
        say "$(program_of "$name") already runs (process $pid)"
        return 0
    fi
    if [[ -n $pid ]]; then
        say "$(program_of "$name") or its configuration has changed: restarting it"
        stop_program "$name"
    fi
    check_free_ports "${@:2}"
    keep_log_short "$run/log/$name.log"
    (
        cd "$run" || exit
        exec setsid "$programs/$(program_of "$name")" serve --config "$run/$name.toml" \
            >>"$run/log/$name.log" 2>&1 </dev/null 9>&-
    ) &
    pid=$!
    printf '%s\n' "$pid" >"$run/$name.pid"
    origin_of "$name" >"$run/$name.origin"
    wait_until 60 program_is_settled "$pid" "$metrics_port" || why_not_ready "$name" "is not ready after 60 s"
    health "$metrics_port" || why_not_ready "$name" "ended while starting"
    say "$(program_of "$name") ready (process $pid)"
}

why_not_ready() {
    fail "$(program_of "$1") $2" "The end of $run/log/$1.log:" "" "$(tail -n 8 "$run/log/$1.log")" "" \
        "To see what it thinks of its configuration: $programs/$(program_of "$1") check --config $run/$1.toml"
}

check_free_ports() {
    local port
    for port in "$@"; do
        port_is_listening "$port" && fail "port $port is taken by another program$(port_holder "$port")" \
            "End that program, or choose other ports: SAFEGUARDING_PORT_BASE=17600 deploy/up   (now $port_base)"
    done
    return 0
}

keep_log_short() {
    if [[ -f $1 ]] && (($(stat -c %s "$1") > 10485760)); then mv "$1" "$1.before"; fi
}

# True when it was running.
stop_program() {
    local name=$1 pid
    pid=$(program_pid "$name")
    rm -f "$run/$name.pid" "$run/$name.origin"
    [[ -n $pid ]] || return 1
    end_process "$pid" 30
}
