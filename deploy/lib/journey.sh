# shellcheck shell=bash
# shellcheck disable=SC2154 # programs and run are set by use_stack, in stack.sh
# Synthetic referrals, sent as schools and answered as front doors with the same two programs
# that anybody else would use. They print the ladder themselves; this only tells them what to do.
# Sourced, never run. Every person named here is invented.

# Two columns of a conversation: whose words a line is.
as_said_by() { sed -u "s/^/   $(printf '%-11s' "$1")| /"; }

as_school() { "$programs/safeguarding-send" --config "$run/$1.toml" "${@:2}" 2>&1; }
at_the_desk() { "$programs/safeguarding-front-door" --config "$run/$1.toml" "${@:2}" 2>&1; }

# refer SCHOOL DESK SAMPLE PERSON OUTCOME REASON: one referral up its whole ladder.
refer() {
    local school=$1 desk=$2 sample=$3 person=$4 outcome=$5 reason=$6 delivery follower
    printf '\n-- %s raises "%s"\n' "$school" "$sample"
    as_school "$school" refer --sample "$sample" --follow-until closed | as_said_by school &
    follower=$!
    answer "$desk" "$person" "$outcome" "$reason" | as_said_by "front door"
    wait "$follower" || fail "the school did not see its referral closed" "Its ladder above says how far it came; the broker's log: $run/log/broker.log"
}

answer() {
    local desk=$1 person=$2 outcome=$3 reason=$4 delivery
    at_the_desk "$desk" next | tee "$run/delivery"
    delivery=$(grep -oiE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' "$run/delivery" | head -n 1)
    at_the_desk "$desk" acknowledge "$delivery" --as "$person"
    at_the_desk "$desk" decide "$delivery" --as "$person" --outcome "$outcome" --reason "$reason"
}

show_referrals() {
    refer school.999001 la.E08000035.front-door neglect \
        "Priya Shah, duty social worker" s17_assessment "assessment under section 17 begins today"
}
