# shellcheck shell=bash
# Words that every script of this folder uses: speaking, failing, ports, processes.
# Sourced, never run. It starts nothing, stops only a process it was handed and has
# recognised by its working folder, and asks the kernel (never a network probe) about ports.

say() { printf '%s\n' "$*"; }

# A failure is two sentences: what is wrong, and what to do about it.
fail() {
    printf '\n%s: %s\n' "${0##*/}" "$1" >&2
    shift
    local line
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

# The header of the calling script is its help: one text, so the two cannot disagree.
show_help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

have() { command -v "$1" >/dev/null 2>&1; }

# Milliseconds, without starting a process.
now_ms() { local now=${EPOCHREALTIME/[.,]/}; printf '%s' "$((now / 1000))"; }

seconds_since() {
    local elapsed_ms=$(($(now_ms) - $1))
    printf '%d.%d s' "$((elapsed_ms / 1000))" "$((elapsed_ms % 1000 / 100))"
}

# Read from the kernel's table: a probe by connecting would put a TLS alert into RabbitMQ's log.
port_is_listening() {
    local hex
    hex=$(printf '%04X' "$1")
    grep -qE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Who holds a port, as far as this user may see; for the message only.
port_holder() {
    have ss || return 0
    ss -Hltnp "sport = :$1" 2>/dev/null | sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/ (\1, process \2)/p' | head -n 1
}

# wait_until SECONDS COMMAND...: true as soon as the command is, false when the time is up.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

process_is_gone() { ! kill -0 "$1" 2>/dev/null; }

# A pid from a file may long belong to somebody else. Ours was started in a folder of ours
# and runs a program of this name; both must still be true.
process_is_ours() {
    local pid=$1 folder=$2 program=$3
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    [[ $(readlink "/proc/$pid/cwd" 2>/dev/null) == "$folder" ]] || return 1
    [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) == *"$program"* ]]
}

# The pid in a file, if that process is ours and alive; empty otherwise.
our_pid() {
    local pid_file=$1 folder=$2 program=$3 pid=
    if [[ -r $pid_file ]]; then read -r pid <"$pid_file" || true; fi
    if process_is_ours "$pid" "$folder" "$program"; then printf '%s' "$pid"; fi
}

# Asks politely, waits, and only then insists.
end_process() {
    local pid=$1 patience_seconds=$2
    kill -TERM "$pid" 2>/dev/null || return 0
    wait_until "$patience_seconds" process_is_gone "$pid" && return 0
    say "process $pid did not end within $patience_seconds s; ending it by force"
    kill -KILL "$pid" 2>/dev/null || return 0
    wait_until 10 process_is_gone "$pid"
}

# One KEY=value per line, read as text: such a file is never executed.
setting() { sed -n "s/^$2=//p" "$1" | head -n 1; }

# fill_in TEMPLATE NAME VALUE...: the template with every @NAME@ replaced, on standard output.
fill_in() {
    local text
    text=$(<"$1")
    shift
    while (($#)); do
        text=${text//"@$1@"/"$2"}
        shift 2
    done
    printf '%s\n' "$text"
}
