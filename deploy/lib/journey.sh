# shellcheck shell=bash
# shellcheck disable=SC2154 # programs, run and operator are set in stack.sh
# Synthetic referrals, sent as schools and answered as front doors with the same two programs
# that anybody else would use. They print the ladder themselves; this only tells them what to do.
# Sourced, never run. Every person named here is invented.

# One line a referral: school, front door, sample, who answers, the outcome, and why.
referrals=(
    "school.999001|la.E08000035.front-door|neglect|Priya Shah, duty social worker|s17_assessment|assessment under section 17 begins today"
    "school.999002|la.E10000016.front-door|physical-abuse|Tom Adeyemi, team manager|strategy_discussion_s47|strategy discussion with the police at two o'clock"
    "school.999001|la.E09000025.front-door|exploitation|Grace Lindqvist, duty social worker|early_help|a youth worker will call the family this week"
)

show_referrals() {
    local line school desk sample person outcome reason
    for line in "${referrals[@]}"; do
        IFS='|' read -r school desk sample person outcome reason <<<"$line"
        refer "$school" "$desk" "$sample" "$person" "$outcome" "$reason"
    done
}

# Becomes the program: called in the background only, so that the process to end is the one that was started.
as_school() { exec "$programs/safeguarding-send" --config "$run/$1.toml" "${@:2}" 2>&1; }
at_the_desk() { "$programs/safeguarding-front-door" --config "$run/$1.toml" "${@:2}" 2>&1; }

# Two voices on one screen: whose words a line is.
as_said_by() { sed -u "s/^/   $(printf '%-11s' "$1")| /"; }

# One referral up its whole ladder. The school follows while the front door answers.
refer() {
    local school=$1 desk=$2 sample=$3 person=$4 outcome=$5 reason=$6 follower
    printf '\n-- %s raises "%s"\n' "$school" "$sample"
    # One process to wait for and to end; what it says goes through the other.
    as_school "$school" refer --sample "$sample" --follow-until closed </dev/null 9>&- > >(as_said_by school) &
    follower=$!
    if ! answer "$desk" "$person" "$outcome" "$reason" </dev/null | as_said_by "front door"; then
        kill "$follower" 2>/dev/null || true
        fail "the front door $desk could not answer" "What went wrong stands above; the broker's log: $run/log/broker.log"
    fi
    wait "$follower" || fail "the school did not see its referral closed" \
        "The ladder above shows how far it came; the broker's log: $run/log/broker.log"
}

# What is oldest on the queue is answered, whoever sent it: that is what a front door does. At night and at weekends
# what cannot wait lies with the same council's emergency duty team (RA-20).
answer() {
    local desk=$1 person=$2 outcome=$3 reason=$4 seen="" delivery round
    for round in {1..15}; do
        seen=$(at_the_desk "$desk" next --wait 2) && break
        [[ $desk == *.front-door ]] && desk=${desk%.front-door}.edt || desk=${desk%.edt}.front-door
        ((round < 15)) || { printf '%s\n' "$seen"; return 1; }
    done
    printf '%s\n' "$seen"
    delivery=$(grep -oiE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' <<<"$seen" | head -n 1)
    [[ -n $delivery ]] || { say "nothing came to $desk"; return 1; }
    at_the_desk "$desk" acknowledge "$delivery" --as "$person" &&
        at_the_desk "$desk" decide "$delivery" --as "$person" --outcome "$outcome" --reason "$reason"
}

# One that a rule puts before a person: nobody receives it until somebody at the operator's desk decides.
show_review() {
    printf '\n-- school.999001 raises "early-help-refused": a person decides whether it goes\n'
    as_school_once school.999001 refer --sample early-help-refused </dev/null | as_said_by school
    wait_until 30 something_waits || fail "nothing waits for a review" "The broker's log: $run/log/broker.log"
    at_the_operators review list | as_said_by operator
}

as_school_once() { (as_school "$@") || fail "the school could not send it" "What went wrong stands above."; }
at_the_operators() { "$programs/safeguarding-broker" "$@" --config "$run/$operator.toml" 2>&1; }
# The referral that waits longest, in the list's words.
waiting_referral() { at_the_operators review list | grep -oE '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1; }
waiting_number() { at_the_operators review list | grep -A1 "^$1" | grep -oE 'review [0-9]+' | grep -oE '[0-9]+'; }
something_waits() { [[ -n $(waiting_referral) ]]; }
