#!/usr/bin/env bash
# The README's tour on a real control plane, step by step, with what must be true after each. It also kills the manager,
# stops everything and starts it again.
#
# KUBEBUILDER_ASSETS names the folder of the control plane's programs: `make e2e` sets it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/e2e/instance.sh

start_manager() {
  "$work/strongroom" manager --kubeconfig "$data/manager.kubeconfig" --namespace strongroom-system \
    --metrics-bind-address 0 --gateway-bind-address 0 --health-probe-bind-address 0 >>"$data/logs/manager.log" 2>&1 &
  manager=$!
}

projected() { kubectl get secret -n shop session-key -o jsonpath='{.data.keys}' | base64 -d; }
version_of() { kubectl get secret -n shop session-key -o jsonpath='{.metadata.resourceVersion}'; }
is_ready() { kubectl wait --for=condition=Ready -n shop sms/session-key --timeout=1s; }
keys_are() { [ "$(projected)" = "$1" ]; }
keys_are_not() { [ "$(projected)" != "$1" ]; }
echoed() { [ "$(kubectl get sms -n shop session-key -o jsonpath='{.status.lastHandledRotateAt}')" = "$1" ]; }
gone() { ! kubectl get "$@" 2>/dev/null; }

build_programs
echo "[e2e] make run, in a folder of its own"
start_instance --manager "$work/strongroom"
. "$data/env"
ok "the control plane and strongroom are ready"

kubectl apply -f config/samples/quickstart.yaml
kubectl wait --for=condition=Ready -n shop sms/session-key --timeout=30s
ok "kubectl wait: the secret is Ready within 30 s"
table=$(kubectl get strongroom -n shop)
echo "$table"
grep -q '^kmskey.strongroom.dev/shop ' <<<"$table" || fail "the key is not in kubectl get strongroom"
grep -q '^secret.strongroom.dev/session-key *True' <<<"$table" || fail "the secret is not in kubectl get strongroom"
grep -q '^parameter.strongroom.dev/log-level ' <<<"$table" || fail "the parameter is not in kubectl get strongroom"
ok "kubectl get strongroom lists the key, the secret and the parameter"

first=$(projected)
[[ $first =~ ^[A-Za-z0-9]{48},$ ]] || fail "the projection is not 48 letters and digits, a comma, and no previous value"
ok "the native Secret has the generated value"

kubectl wait --for=condition=Ready -n shop ssmp/log-level --timeout=30s
configured() { [ "$(kubectl get configmap -n shop shop-config -o jsonpath='{.data.LOG_LEVEL}')" = "$1" ]; }
configured info || fail "the ConfigMap does not have the parameter's value"
kubectl patch -n shop ssmp/log-level --type merge -p '{"spec":{"value":"debug"}}'
eventually 15 "a changed parameter is shown in its ConfigMap" configured debug
! kubectl patch -n shop ssmp/log-level --type merge -p '{"spec":{"value":"loud"}}' 2>/dev/null || fail "a value that the pattern refuses was taken"
kubectl delete configmap -n shop shop-config
eventually 15 "a deleted ConfigMap comes back" configured debug

kubectl annotate -n shop sms/session-key strongroom.dev/rotate=now
eventually 15 "the annotation is echoed" echoed now
second=$(projected)
[ "${second#*,}" = "${first%,}" ] || fail "AWSCURRENT did not become AWSPREVIOUS in the projection"
[ "${second%,*}" != "${first%,}" ] || fail "the value did not change"
ok "AWSCURRENT became AWSPREVIOUS, and the projection followed"

rotated=$(kubectl strongroom rotate -n shop session-key)
[ "$rotated" = "Secret shop/session-key: rotated, version $(kubectl get sms -n shop session-key -o jsonpath='{.status.currentVersionId}')" ] ||
  fail "kubectl strongroom rotate says: $rotated"
history=$(kubectl strongroom history -n shop session-key)
echo "$history"
[ "$(awk 'NR > 1 {print $1, $3}' <<<"$history")" = $'3 AWSCURRENT\n2 AWSPREVIOUS\n1 <none>' ] || fail "the history is another"
third=$(projected)
[ "${third#*,}" = "${second%,*}" ] || fail "the projection did not follow"
second=$third
ok "kubectl strongroom rotates, and shows the history"

kubectl patch secret -n shop session-key --type merge -p '{"data":{"keys":"aGFja2Vk"}}'
eventually 15 "an edited native Secret is healed" keys_are "$second"
kubectl delete secret -n shop session-key
eventually 15 "a deleted native Secret comes back" keys_are "$second"

echo "[e2e] the manager is killed and started again"
stop_instance
start_instance
start_manager
eventually 15 "the secret is Ready after a stop and a start of everything" is_ready
eventually 5 "its value is the same" keys_are "$second"
before=$(version_of)
kill -9 "$manager"
wait "$manager" 2>/dev/null || true
kubectl annotate -n shop sms/session-key strongroom.dev/rotate=while-dead --overwrite
start_manager
eventually 30 "a rotation that was asked for while the manager was dead happens after its restart" echoed while-dead
third=$(projected)
[ "${third#*,}" = "${second%,*}" ] || fail "the former current value is not the previous one"
[ "$(version_of)" != "$before" ] || fail "the projection was not written"
before=$(version_of)
kill -9 "$manager"
wait "$manager" 2>/dev/null || true
start_manager
kubectl annotate -n shop sms/session-key strongroom.dev/reconcile=again --overwrite
eventually 30 "a reconciliation on request is echoed" \
  bash -c '[ "$(kubectl get sms -n shop session-key -o jsonpath="{.status.lastHandledReconcileAt}")" = again ]'
[ "$(version_of)" = "$before" ] || fail "a restart of the manager wrote an unchanged projection"
ok "a restart of the manager writes nothing"

for kind in secrets.strongroom.dev kmskeys envelopes events.events.k8s.io; do
  shown=$(kubectl get "$kind" -A -o yaml)
  ! grep -qF -e "${first%,}" -e "${second%,*}" -e "${third%,*}" <<<"$shown" || fail "a value is in $kind"
done
ok "no Secret, KMSKey, Envelope or event holds a value"

echo "[e2e] a value is sealed for Git"
printf %s 's3aled-in-git' | kubectl strongroom seal -n shop --key alias/shop --name prod/shop/smtp >"$data/smtp.yaml"
! grep -q 's3aled-in-git' "$data/smtp.yaml" || fail "the sealed value is in the clear"
kubectl apply -f "$data/smtp.yaml"
kubectl wait --for=condition=Ready -n shop sms/prod-shop-smtp --timeout=30s
[ "$(kubectl get secret -n shop prod-shop-smtp -o jsonpath='{.data.value}' | base64 -d)" = s3aled-in-git ] || fail "the sealed value is another"
ok "a sealed value is opened"
"$work/strongroom" sealing-key -n shop --key shop >"$data/shop.pub"
sed 's/prod-shop-smtp/thief/; s#prod/shop/smtp#thief#' "$data/smtp.yaml" | kubectl apply -f -
eventually 15 "a sealed value that is copied under another name does not open" \
  bash -c '[ "$(kubectl get sms -n shop thief -o jsonpath="{.status.conditions[?(@.type==\"Ready\")].reason}")" = SealedInvalid ]'
kubectl delete -n shop sms/thief

echo "[e2e] the secret is deleted and applied again"
kubectl delete -n shop sms/session-key
eventually 30 "the native Secret goes with it" gone secret -n shop session-key
eventually 15 "a tombstone is left" bash -c 'kubectl get envelopes -n shop | grep -q Tombstone'
kubectl apply -f config/samples/quickstart.yaml
kubectl wait --for=condition=Ready -n shop sms/session-key --timeout=30s
eventually 15 "applying it again within the recovery window brings the same values back" keys_are "$third"
eventually 15 "its tombstone goes" bash -c '! kubectl get envelopes -n shop | grep -q Tombstone'

echo "[e2e] the key is deleted while the secret needs it"
kubectl delete -n shop kmskey/shop --wait=false
eventually 15 "DeletionBlocked says so" kubectl wait --for=condition=DeletionBlocked -n shop kmskey/shop --timeout=1s
keys_are "$third" || fail "the projection changed"
kubectl delete namespace shop --wait=false
eventually 60 "a namespace can be deleted with everything in it" gone namespace shop

kill -TERM "$manager"
wait "$manager" || fail "the manager did not end with exit status 0 on SIGTERM"
manager=
ok "the manager ends cleanly on SIGTERM"
[ -z "$(grep -F -e "${first%,}" -e "${second%,*}" -r "$data/logs" || true)" ] || fail "a value is in a log"
ok "no log holds a value"

echo "$passed passed, 0 failed"
