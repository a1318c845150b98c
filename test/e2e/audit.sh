# The audit log after all that. It is sourced by clients.sh.
# shellcheck shell=bash

log=$data/logs/audit.log
records() { wc -l <"$log"; }
before=$(records)
aws sts get-caller-identity >/dev/null
is $((before + 1)) "$(records)" "a request makes one record"
! with_key "$AWS_ACCESS_KEY_ID" wrong aws sts get-caller-identity 2>/dev/null || fail "it is not refused"
is $((before + 2)) "$(records)" "a refused one does, too"
is "$(records)" "$(grep -o '"requestID":"[^"]*"' "$log" | sort -u | wc -l)" "each record has a request id of its own"
"$python" -c 'import json, sys; [json.loads(line) for line in sys.stdin]' <"$log" || fail "a record is no JSON"
ok "each record is JSON"
# Not by an argument of grep's: a value would be seen in the list of processes.
printf '%s\n' "$value" "$hidden" "$data_key" "$shop_value" "$AWS_SECRET_ACCESS_KEY" "${owner[1]}" "$pod_secret" "$pod_token" "$(cat "$work/token")" >"$work/secrets"
is "" "$(grep -lF -f "$work/secrets" -r "$data/logs" || true)" "no secret value, key, session or token is in any log"
