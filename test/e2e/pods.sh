# A pod's way to its secrets: the token of its service account, and nothing else. It is sourced by clients.sh.
# shellcheck shell=bash

kubectl create namespace shop >/dev/null
kubectl create serviceaccount -n shop shop >/dev/null
kubectl create serviceaccount -n shop stranger >/dev/null
kubectl apply -f - >/dev/null <<'MANIFEST'
apiVersion: strongroom.dev/v1alpha1
kind: IAMRole
metadata: {name: shop, namespace: shop}
spec:
  serviceAccounts: [shop]
  policies:
    - name: read-own-secrets
      document:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Action: secretsmanager:GetSecretValue
            Resource: arn:aws:secretsmanager:*:*:secret:prod/shop/*
---
apiVersion: strongroom.dev/v1alpha1
kind: Secret
metadata: {name: db, namespace: shop}
spec:
  name: prod/shop/db
  generate: {password: {length: 20, excludePunctuation: true}}
  target: {name: db, template: {data: {value: "{{ .current }}"}}}
---
apiVersion: strongroom.dev/v1alpha1
kind: Secret
metadata: {name: other, namespace: shop}
spec: {name: prod/other, generate: {password: {length: 20}}}
MANIFEST
kubectl wait --for=condition=Ready -n shop iamrole/shop sms/db sms/other --timeout=30s >/dev/null
role_arn=$(kubectl get iamrole -n shop shop -o 'jsonpath={.status.arn}')
shop_account=$(cut -d: -f5 <<<"$role_arn")
shop_value=$(secret_of shop db value)

# token SERVICE-ACCOUNT AUDIENCE FILE
token() { kubectl create token -n shop "$1" --audience "$2" >"$work/$3"; }
token shop sts.amazonaws.com token
token shop elsewhere.example.com token-of-another-audience
token stranger sts.amazonaws.com token-of-a-stranger

# The CLI cannot be given an endpoint for the STS that it asks by itself unless it knows AWS_ENDPOINT_URL, which Debian's does not.
# So the token is exchanged by a call, as older entry points of images do it.
assume() {
  env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY HOME="$(mktemp -d -p "$work")" "$aws_cli" --endpoint-url "$AWS_ENDPOINT_URL" \
    --ca-bundle "$AWS_CA_BUNDLE" --output text sts assume-role-with-web-identity --role-arn "${2:-$role_arn}" --role-session-name pod \
    --web-identity-token "$(cat "$work/$1")" --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]'
}

read -r pod_id pod_secret pod_token <<<"$(assume token)"
in_pod() { AWS_SESSION_TOKEN=$pod_token with_key "$pod_id" "$pod_secret" aws "$@"; }
session_arn=arn:aws:sts::$shop_account:assumed-role/shop/pod
is "$session_arn" "$(in_pod sts get-caller-identity --query Arn)" "a service account's token assumes its role"
is "$shop_value" "$(in_pod secretsmanager get-secret-value --secret-id prod/shop/db --query SecretString)" "it reads what its policy says"
refused "$(an_error AccessDeniedException GetSecretValue "User: $session_arn is not authorized to perform: secretsmanager:GetSecretValue on resource: prod/other because no identity-based policy allows the secretsmanager:GetSecretValue action")" \
  "and no other secret" in_pod secretsmanager get-secret-value --secret-id prod/other
refused "$(an_error AccessDeniedException ListSecrets "User: $session_arn is not authorized to perform: secretsmanager:ListSecrets because no identity-based policy allows the secretsmanager:ListSecrets action")" \
  "and lists nothing" in_pod secretsmanager list-secrets
refused "$(an_error InvalidIdentityToken AssumeRoleWithWebIdentity "Incorrect token audience")" "a token of another audience" assume token-of-another-audience
refused "$(an_error AccessDenied AssumeRoleWithWebIdentity "Not authorized to perform sts:AssumeRoleWithWebIdentity")" \
  "another service account's token" assume token-of-a-stranger
refused "$(an_error AccessDenied AssumeRoleWithWebIdentity "Not authorized to perform sts:AssumeRoleWithWebIdentity")" \
  "a role that is not there is told in the same words" assume token "arn:aws:iam::$shop_account:role/none"
