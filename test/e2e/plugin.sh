# kubectl's plugin, against what accounts.sh and pods.sh made. It is sourced by clients.sh.
# shellcheck shell=bash

listed=$(kubectl strongroom get -n shop)
grep -Eq '^Secret +db +True +[A-Za-z]+ +arn:aws:secretsmanager:' <<<"$listed" || fail "kubectl strongroom get does not list the secret: $listed"
grep -Eq '^IAMRole +shop +True ' <<<"$listed" || fail "kubectl strongroom get does not list the role: $listed"
ok "kubectl strongroom get lists objects of all kinds, with their ARNs"

is "$(kubectl get sms -n shop db -o 'jsonpath={.status.currentVersionId}')" \
  "$(kubectl strongroom history -n shop prod/shop/db -o json | sed -n 's/.*"id": "\(.*\)",/\1/p')" "kubectl strongroom history finds a secret by its name in AWS"

is "$shop_value" "$(kubectl strongroom reveal prod/shop/db -n shop --service-account shop --role-arn "$role_arn")" \
  "kubectl strongroom reveal reads a value as a service account that assumes its role"
is "$(secret_of payments by-kubectl value)" \
  "$(with_key "${owner[@]}" kubectl strongroom reveal "$(kubectl get sms -n payments by-kubectl -o 'jsonpath={.status.arn}')")" "and by an access key and an ARN"

code=0
kubectl strongroom reveal prod/other -n shop --service-account shop --role-arn "$role_arn" >"$work/out" 2>"$work/err" || code=$?
is "4" "$code" "it is denied, with exit code 4, what the role may not read"
is "" "$(cat "$work/out")" "and prints nothing then"
grep -q "not authorized to perform: secretsmanager:GetSecretValue" "$work/err" || fail "it does not say why: $(cat "$work/err")"
code=0
kubectl strongroom reveal prod/missing -n payments >"$work/out" 2>"$work/err" || code=$?
is "3" "$code" "a secret that is not there has exit code 3"

kubectl strongroom rotate -n shop secret/db >"$work/out"
is "Secret shop/db: rotated, version $(kubectl get sms -n shop db -o 'jsonpath={.status.currentVersionId}')" "$(cat "$work/out")" \
  "kubectl strongroom rotate waits for the new version"
is "$shop_value" "$(kubectl strongroom reveal prod/shop/db --version-stage AWSPREVIOUS -n shop --service-account shop --role-arn "$role_arn")" \
  "the value before is the previous one"
shop_value=$(secret_of shop db value)

grep -q '^secret/db$' <<<"$(kubectl __complete strongroom history -n shop secret/ 2>/dev/null)" || fail "kubectl does not complete the plugin's arguments"
ok "kubectl completes the plugin's arguments"
