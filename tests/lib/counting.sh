# shellcheck shell=bash
# What passed and what failed, over everything that tests/run does.
# Sourced, never run. A check is a command with a name; its output goes to a log and is shown
# when it failed. Nothing is counted as passed that did not say so itself.
# shellcheck disable=SC2154 # run is set by use_stack, in stack.sh

passed=0
failed=0
failures=()
durations=()

run_phase() {
    local name=$1 phase_began before
    phase_began=$(now_ms)
    before=$passed/$failed
    printf '\n== %s\n' "$name"
    "phase_$name"
    durations+=("$(printf '%-10s %10s' "$name" "$(seconds_since "$phase_began")")")
    [[ $before != "$passed/$failed" || $name == prepare ]] || it_failed "$name" "no check of this phase reported anything"
}

it_passed() {
    passed=$((passed + 1))
    printf '   ok      %s\n' "$1"
}

it_failed() {
    failed=$((failed + 1))
    failures+=("$1${2:+: $2}")
    printf '   FAILED  %s%s\n' "$1" "${2:+: $2}"
}

log_of() { printf '%s/log/%s.log' "$run" "${1//[^A-Za-z0-9]/-}"; }

# check NAME COMMAND...
check() {
    local name=$1 log
    shift
    log=$(log_of "$name")
    # In a shell of its own, so that a function that gives up ends the check and not the run.
    if ("$@") >"$log" 2>&1 </dev/null 9>&-; then
        it_passed "$name"
    else
        it_failed "$name"
        tail -n 40 "$log" | sed 's/^/           /'
    fi
}

# The opposite: the command must be refused.
check_refused() { check "$1" fails "${@:2}"; }
fails() { ! "$@"; }

# Sums the closing lines of cargo's test programs. An ignored test is a test that nobody ran.
count_cargo_tests() {
    local log=$1 status=$2 ok=0 bad=0 ignored=0 line
    while read -r line; do
        [[ $line =~ ([0-9]+)\ passed\;\ ([0-9]+)\ failed\;\ ([0-9]+)\ ignored ]] || continue
        ok=$((ok + BASH_REMATCH[1]))
        bad=$((bad + BASH_REMATCH[2]))
        ignored=$((ignored + BASH_REMATCH[3]))
    done < <(grep '^test result:' "$log")
    passed=$((passed + ok))
    printf '   %d passed, %d failed, %d ignored\n' "$ok" "$bad" "$ignored"
    while read -r line; do it_failed "$line"; done < <(sed -nE 's/^test (.*) \.\.\. FAILED$/\1/p' "$log")
    ((ignored == 0)) || it_failed "$ignored ignored tests" "a test that is not run proves nothing: $(sed -nE 's/^test (.*) \.\.\. ignored.*/\1/p' "$log" | tr '\n' ' ')"
    if ((status != 0 && bad == 0)); then it_failed "cargo test" "ended with status $status; see $log"; fi
    if ((status == 0 && ok == 0)); then it_failed "cargo test" "no test ran; see $log"; fi
}

# A foreign client reports a line a check: `ok NAME` or `not ok NAME: why`.
count_reports() {
    local name=$1 log=$2 status=$3 line reported=0 refused=0
    while read -r line; do
        case $line in
            "ok "*) it_passed "$name: ${line#ok }"; reported=1 ;;
            "not ok "*) it_failed "$name: ${line#not ok }"; reported=1; refused=1 ;;
        esac
    done <"$log"
    if ((reported == 0)); then
        it_failed "$name" "reported nothing (status $status)"
        tail -n 20 "$log" | sed 's/^/           /'
    elif ((status != 0 && refused == 0)); then
        it_failed "$name" "ended with status $status"
        tail -n 20 "$log" | sed 's/^/           /'
    fi
}

say_result() {
    local line
    printf '\n== Times\n'
    printf '   %s\n' "${durations[@]}" "$(printf '%-10s %10s' "altogether" "$(seconds_since "$1")")"
    if ((failed)); then
        printf '\n== Failed (logs: tests/.run/log)\n'
        printf '   %s\n' "${failures[@]}"
    fi
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0))
}
