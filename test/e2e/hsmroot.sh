#!/usr/bin/env bash
# `make run ROOT=hsm`: the root of trust is an HSMCluster from the first start on. The quickstart is applied; the instance is stopped, started
# again and read; a node is killed; a start with another root is refused.
#
# KUBEBUILDER_ASSETS names the folder of the control plane's programs: `make e2e` sets it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/e2e/instance.sh
. test/e2e/words.sh

build_programs
echo "[e2e] make run ROOT=hsm, in a folder of its own"
start_instance --manager "$work/strongroom" --root hsm
. "$data/env"
kubectl wait --for=condition=Ready -n strongroom-system hsm/root --timeout=30s
kubectl wait --for=condition=RootOfTrust -n strongroom-system hsm/root --timeout=30s
ok "the HSMCluster is the root of trust"
! kubectl get secret -n strongroom-system strongroom-root 2>/dev/null || fail "there is a root in a core Secret"
ok "and there is none in a core Secret"

kubectl create namespace shop
kubectl apply -f test/e2e/examples/quickstart.yaml
kubectl wait --for=condition=Ready -n shop kmskey/shop sms/session-key ssmp/log-level --timeout=30s
is True "$(kubectl get kmskey -n shop shop -o 'jsonpath={.status.conditions[?(@.type=="RootProtected")].status}')" "the key says that its root is protected"
read_secret() { aws secretsmanager get-secret-value --secret-id prod/shop/session-key --query SecretString; }
kubectl apply -f - >/dev/null <<'Y'
apiVersion: strongroom.dev/v1alpha1
kind: IAMUser
metadata: {name: reader, namespace: shop}
spec:
  policies:
    - name: read
      document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["secretsmanager:GetSecretValue", "kms:Decrypt"], Resource: "*"}]}
  accessKeys: [{name: laptop}]
Y
kubectl wait --for=condition=Ready -n shop iamuser/reader --timeout=30s
reader=("$(secret_of shop reader-laptop AWS_ACCESS_KEY_ID)" "$(secret_of shop reader-laptop AWS_SECRET_ACCESS_KEY)")
value=$(with_key "${reader[@]}" read_secret)
[[ $value =~ ^[A-Za-z0-9]{48}$ ]] || fail "the secret is \"$value\""
ok "the quickstart's secret is there"

echo "[e2e] stopped, and started again"
stop_instance
start_instance --manager "$work/strongroom" --root hsm
. "$data/env"
is "$value" "$(with_key "${reader[@]}" read_secret)" "the secret is the same after a restart"

nodes() { pgrep -f "strongroom hsm .*$data/hsm" || true; }
for node in $(nodes); do kill -9 "$node"; done
is "$value" "$(with_key "${reader[@]}" read_secret)" "the secret is read while all nodes are dead"
kubectl delete --wait=false -n strongroom-system hsm/root
kubectl wait --for=condition=DeletionBlocked -n strongroom-system hsm/root --timeout=30s
ok "the HSMCluster is not deleted"

echo "[e2e] started with another root"
stop_instance
"$work/run" --data-dir "$data" --manager "$work/strongroom" >>"$work/other.log" 2>&1 &
instance=$!
refuses() { grep -q 'start it with --root=hsm:strongroom-system/root' "$data/logs/strongroom.log"; }
eventually 50 "a manager with a root in a core Secret refuses, and says how to start it" refuses
! kubectl get secret -n strongroom-system strongroom-root 2>/dev/null || fail "there is a root in a core Secret"
ok "and makes none"

echo "$passed passed, 0 failed"
