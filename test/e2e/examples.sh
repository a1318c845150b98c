#!/usr/bin/env bash
# All five kinds on a real control plane, by manifests as users write them, checked from outside: the ConfigMap of a Parameter; a
# TLS Secret that openssl serves and verifies, across a renewal; a signature that was made in an HSM, and an HSM that is killed.
#
# KUBEBUILDER_ASSETS names the folder of the control plane's programs: `make e2e` sets it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/e2e/instance.sh
. test/e2e/words.sh

examples=test/e2e/examples
build_programs
echo "[e2e] make run, in a folder of its own"
start_instance --manager "$work/strongroom"
. "$data/env"

echo "[e2e] Secret, KMSKey and Parameter"
kubectl create namespace shop
kubectl apply -f $examples/quickstart.yaml
kubectl wait --for=condition=Ready -n shop kmskey/shop sms/session-key ssmp/log-level --timeout=30s
is info "$(kubectl get configmap -n shop shop-config -o jsonpath='{.data.LOG_LEVEL}')" "the ConfigMap has the parameter's value"
[[ $(secret_of shop session-key keys) =~ ^[A-Za-z0-9]{48},$ ]] || fail "the native Secret has not the generated value"
ok "the native Secret has the secret's value"
kubectl patch ssmp -n shop log-level --type merge -p '{"spec":{"value":"debug"}}'
level_is() { [ "$(kubectl get configmap -n shop shop-config -o jsonpath='{.data.LOG_LEVEL}')" = "$1" ]; }
eventually 15 "a new value of the parameter is in the ConfigMap" level_is debug
! said=$(kubectl patch ssmp -n shop log-level --type merge -p '{"spec":{"value":"loud"}}' 2>&1) || fail "a value outside of allowedPattern was taken"
ok "a value outside of allowedPattern is refused: $(tail -n 1 <<<"$said" | cut -c1-160)"
kubectl patch configmap -n shop shop-config --type merge -p '{"data":{"LOG_LEVEL":"hacked"}}'
eventually 15 "an edited ConfigMap is healed" level_is debug

echo "[e2e] IAMRole and a pod that takes it on"
kubectl create serviceaccount -n shop shop
kubectl apply -f $examples/identity.yaml
kubectl wait --for=condition=Ready -n shop iamrole/shop --timeout=30s
injected=$(kubectl get pod -n shop shop -o jsonpath='{.spec.containers[0].env[*].name}')
for name in AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_ENDPOINT_URL AWS_CA_BUNDLE; do
  grep -qw $name <<<"$injected" || fail "the pod lacks $name: it has $injected"
done
ok "the pod has the role's fields"

echo "[e2e] CertificateAuthority and Certificate"
kubectl apply -f $examples/certificate.yaml
kubectl wait --for=condition=Ready -n shop acmpca/internal acmcert/shop --timeout=60s
is kubernetes.io/tls "$(kubectl get secret -n shop shop-tls -o jsonpath='{.type}')" "the certificate's Secret is of Kubernetes's type for TLS"

# tls: writes what the Secret holds into files.
tls() {
  secret_of shop shop-tls 'tls\.crt' >"$work/tls.crt"
  secret_of shop shop-tls 'tls\.key' >"$work/tls.key"
  secret_of shop shop-tls 'ca\.crt' >"$work/ca.crt"
}
serial() { openssl x509 -in "$work/tls.crt" -noout -serial; }

# served: serves the files and verifies from outside what is served, by name and strictly.
served() {
  local port server verified
  port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  openssl s_server -accept "127.0.0.1:$port" -cert "$work/tls.crt" -cert_chain "$work/tls.crt" -key "$work/tls.key" -quiet -www >/dev/null 2>&1 &
  server=$!
  for _ in $(seq 50); do
    verified=$(openssl s_client -connect "127.0.0.1:$port" -servername www.shop.example.com -verify_hostname www.shop.example.com \
      -CAfile "$work/ca.crt" -x509_strict -verify_return_error </dev/null 2>/dev/null | grep '^Verify return code\|^ *Verify return code' | head -n 1) || true
    [ -z "$verified" ] || break
    sleep 0.1
  done
  kill $server 2>/dev/null || true
  wait $server 2>/dev/null || true
  grep -q '0 (ok)' <<<"$verified" || fail "what is served does not verify: $verified"
}

tls
openssl verify -x509_strict -CAfile "$work/ca.crt" "$work/tls.crt" >/dev/null
first=$(serial)
served
ok "openssl serves the certificate, and verifies what is served"
kubectl annotate -n shop acmcert/shop strongroom.dev/rotate=now
renewed() {
  tls
  [ "$(serial)" != "$first" ]
}
eventually 30 "a renewal on request has another serial number" renewed
openssl verify -x509_strict -CAfile "$work/ca.crt" "$work/tls.crt" >/dev/null
served
ok "the renewed certificate is served and verifies"

echo "[e2e] HSMCluster, and a key in it"
kubectl apply -f $examples/hsm.yaml
kubectl wait --for=condition=Ready -n strongroom-system hsm/vault-floor --timeout=120s
kubectl wait --for=condition=Ready -n shop kmskey/payments --timeout=60s
ok "three HSM nodes are Ready, and the key is in them"
kubectl apply -f - >/dev/null <<'Y'
apiVersion: strongroom.dev/v1alpha1
kind: IAMUser
metadata: {name: payer, namespace: shop}
spec:
  policies:
    - name: sign
      document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["kms:Sign", "kms:GetPublicKey", "kms:CreateKey", "kms:Encrypt", "kms:Decrypt"], Resource: "*"}]}
  accessKeys: [{name: laptop}]
Y
kubectl wait --for=condition=Ready -n shop iamuser/payer --timeout=30s
payer=("$(secret_of shop payer-laptop AWS_ACCESS_KEY_ID)" "$(secret_of shop payer-laptop AWS_SECRET_ACCESS_KEY)")
as_payer() { with_key "${payer[@]}" aws "$@"; }
payments=$(kubectl get kmskey -n shop payments -o 'jsonpath={.status.keyId}')
printf 'pay 100 to bob' >"$work/order"
as_payer kms get-public-key --key-id "$payments" --query PublicKey | base64 -d >"$work/payments.der"
openssl pkey -pubin -inform DER -in "$work/payments.der" -out "$work/payments.pem"
sign() {
  as_payer kms sign --key-id "$payments" --message "fileb://$work/order" --message-type RAW --signing-algorithm ECDSA_SHA_256 \
    --query Signature | base64 -d >"$work/signature" && [ -s "$work/signature" ]
}
verified() { openssl dgst -sha256 -verify "$work/payments.pem" -signature "$work/signature" "$work/order"; }
sign
verified >/dev/null || fail "openssl does not verify the signature"
ok "openssl verifies what aws kms sign signed in the HSM"
printf 'pay 900 to eve' >"$work/order"
! verified >/dev/null 2>&1 || fail "openssl verifies the signature of another message"
ok "and of no other message"

nodes() { pgrep -f "strongroom hsm .*$data/hsm" || true; }
victim=$(nodes | head -n 1)
[ -n "$victim" ] || fail "there is no process of an HSM node"
kill -9 "$victim"
eventually 15 "the key signs while a node is dead" sign
verified >/dev/null || fail "openssl does not verify the signature"
whole() { [ -z "$(nodes | grep -x "$victim")" ] && kubectl wait --for=condition=Ready -n strongroom-system hsm/vault-floor --timeout=1s; }
eventually 90 "the killed node is back, and all three serve" whole
sign && verified >/dev/null || fail "the key does not sign afterwards"
ok "the key signs as before"

echo "[e2e] the same cluster by the APIs of CloudHSM and of custom key stores"
kubectl apply -f - >/dev/null <<'Y'
apiVersion: strongroom.dev/v1alpha1
kind: IAMUser
metadata: {name: keeper, namespace: strongroom-system}
spec:
  policies:
    - name: keep
      document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["cloudhsm:*", "kms:*CustomKeyStore*"], Resource: "*"}]}
  accessKeys: [{name: laptop}]
Y
kubectl wait --for=condition=Ready -n strongroom-system iamuser/keeper --timeout=30s
keeper=("$(secret_of strongroom-system keeper-laptop AWS_ACCESS_KEY_ID)" "$(secret_of strongroom-system keeper-laptop AWS_SECRET_ACCESS_KEY)")
as_keeper() { with_key "${keeper[@]}" aws "$@"; }
is ACTIVE "$(as_keeper cloudhsmv2 describe-clusters --filters "clusterIds=$(kubectl get -n strongroom-system hsm/vault-floor -o 'jsonpath={.status.clusterId}')" --query 'Clusters[].State')" \
  "aws cloudhsmv2 describe-clusters shows the cluster"
store=$(as_keeper kms describe-custom-key-stores --custom-key-store-name vault-floor --query 'CustomKeyStores[].CustomKeyStoreId')
arn=$(kubectl get kmskey -n shop payments -o 'jsonpath={.status.arn}')
as_keeper kms disconnect-custom-key-store --custom-key-store-id "$store"
refused "$(an_error KMSInvalidStateException Sign "$arn is unavailable.")" "a key of a disconnected store does not sign" \
  as_payer kms sign --key-id "$payments" --message "fileb://$work/order" --message-type RAW --signing-algorithm ECDSA_SHA_256
as_keeper kms connect-custom-key-store --custom-key-store-id "$store"
eventually 15 "and signs when the store is connected again" sign
made=$(as_payer kms create-key --origin AWS_CLOUDHSM --custom-key-store-id "$store" --query KeyMetadata.KeyId)
printf 'attack at dawn' >"$work/plain"
as_payer kms encrypt --key-id "$made" --plaintext "fileb://$work/plain" --query CiphertextBlob | base64 -d >"$work/blob"
is "attack at dawn" "$(as_payer kms decrypt --ciphertext-blob "fileb://$work/blob" --query Plaintext | base64 -d)" "aws kms create-key makes a key in the HSMs, which encrypts"

table=$(kubectl get strongroom -A)
echo "$table"
for kind in secret kmskey parameter certificate hsmcluster; do
  grep -q "$kind.strongroom.dev/" <<<"$table" || fail "kubectl get strongroom lacks the $kind"
done
ok "kubectl get strongroom lists all five kinds"

echo "$passed passed, 0 failed"
