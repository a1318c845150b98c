# A new account with users of its own: what kubectl makes is there in the APIs, and who may do what. It is sourced by clients.sh.
# shellcheck shell=bash

kubectl apply -f - >/dev/null <<'MANIFEST'
apiVersion: v1
kind: Namespace
metadata: {name: payments, labels: {strongroom.dev/account-id: "123456789012"}}
---
apiVersion: strongroom.dev/v1alpha1
kind: IAMUser
metadata: {name: owner, namespace: payments}
spec:
  accessKeys: [{name: laptop}]
  managedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"]
---
apiVersion: strongroom.dev/v1alpha1
kind: IAMUser
metadata: {name: clerk, namespace: payments}
spec:
  accessKeys: [{name: laptop}]
---
apiVersion: strongroom.dev/v1alpha1
kind: Secret
metadata: {name: by-kubectl, namespace: payments}
spec:
  name: prod/payments/by-kubectl
  generate: {password: {length: 20, excludePunctuation: true}}
  target: {name: by-kubectl, template: {data: {value: "{{ .current }}"}}}
---
apiVersion: strongroom.dev/v1alpha1
kind: KMSKey
metadata: {name: ledger, namespace: payments}
spec: {description: ledger, aliases: [alias/ledger]}
MANIFEST
kubectl wait --for=condition=Ready -n payments iamuser/owner iamuser/clerk sms/by-kubectl kmskey/ledger --timeout=30s >/dev/null
owner=("$(secret_of payments owner-laptop AWS_ACCESS_KEY_ID)" "$(secret_of payments owner-laptop AWS_SECRET_ACCESS_KEY)")
clerk=("$(secret_of payments clerk-laptop AWS_ACCESS_KEY_ID)" "$(secret_of payments clerk-laptop AWS_SECRET_ACCESS_KEY)")
as_owner() { with_key "${owner[@]}" aws "$@"; }
as_clerk() { with_key "${clerk[@]}" aws "$@"; }

is "arn:aws:iam::123456789012:user/owner" "$(as_owner sts get-caller-identity --query Arn)" "a namespace's account id is in its ARNs"
is "$(secret_of payments by-kubectl value)" \
  "$(as_owner secretsmanager get-secret-value --secret-id prod/payments/by-kubectl --query SecretString)" "the API reads the secret that kubectl made"
is "prod/payments/by-kubectl" "$(as_owner secretsmanager list-secrets --query 'SecretList[].Name')" "secretsmanager list-secrets lists it, and nothing of other accounts"
is "$(kubectl get kmskey -n payments ledger -o 'jsonpath={.status.keyId}')" \
  "$(as_owner kms describe-key --key-id alias/ledger --query KeyMetadata.KeyId)" "kms describe-key finds the key that kubectl made by its alias"
grep -q "$(kubectl get kmskey -n payments ledger -o 'jsonpath={.status.arn}')" <<<"$(as_owner kms list-keys)" || fail "kms list-keys lacks it"
ok "kms list-keys lists it"

not_allowed="is not authorized to perform: secretsmanager:GetSecretValue on resource: prod/payments/by-kubectl because no identity-based policy allows the secretsmanager:GetSecretValue action"
refused "$(an_error AccessDeniedException GetSecretValue "User: arn:aws:iam::123456789012:user/clerk $not_allowed")" \
  "a user without a policy reads nothing" as_clerk secretsmanager get-secret-value --secret-id prod/payments/by-kubectl
is "arn:aws:iam::123456789012:user/clerk" "$(as_clerk sts get-caller-identity --query Arn)" "who one is needs no permission"

kubectl patch iamuser -n payments clerk --type merge -p '{"spec":{"accessKeys":[]}}' >/dev/null
sleep 1 # what is promised
refused "$(an_error InvalidClientTokenId GetCallerIdentity "The security token included in the request is invalid.")" \
  "an access key that is taken out of the spec is refused within a second" as_clerk sts get-caller-identity
