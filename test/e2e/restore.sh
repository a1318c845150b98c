#!/usr/bin/env bash
# docs/backup.md on two real control planes, one after the other: its commands are taken from the page and run as they are, and
# what it says must be true after each. No pod runs here, so a manager is started and stopped beside the Deployment.
#
# KUBEBUILDER_ASSETS names the folder of the control plane's programs, HELM helm: `make e2e` sets both.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${KUBEBUILDER_ASSETS:?run it by make e2e}" "${HELM:?run it by make e2e}"
root=$PWD

work=$(mktemp -d)
instance= manager= data=
passed=0

stop() { # PID, by its own end
  [ -z "$1" ] || { kill -INT "$1" 2>/dev/null || true; wait "$1" || true; }
}

cleanup() {
  status=$?
  stop "$manager"
  stop "$instance"
  if [ $status -ne 0 ]; then
    tail -n 25 "$work"/*.log "$work"/*/logs/*.log 2>/dev/null || true
    echo "$passed passed, 1 failed"
  fi
  rm -rf "$work"
}
trap cleanup EXIT

ok() { passed=$((passed + 1)); echo "ok  $*"; }
fail() { echo "FAIL  $*" >&2; exit 1; }

eventually() { # SECONDS DESCRIPTION COMMAND...
  local deadline=$((SECONDS + $1)) description=$2
  shift 2
  until "$@" >"$work/last" 2>&1; do
    [ $SECONDS -lt $deadline ] || { cat "$work/last"; fail "$description"; }
    sleep 0.2
  done
  ok "$description"
}

# cluster NAME: a control plane of its own, without what hack/run installs beside the API.
cluster() {
  stop "$instance"
  data=$work/$1
  "$work/run" --data-dir "$data" >>"$work/run.log" 2>&1 &
  instance=$!
  local deadline=$((SECONDS + 180))
  until [ -e "$data/ready" ]; do
    kill -0 $instance 2>/dev/null || fail "the instance ended"
    [ $SECONDS -lt $deadline ] || fail "the instance is not ready after 3 minutes"
    sleep 0.2
  done
  . "$data/env"
}

start_manager() {
  "$work/strongroom" manager --leader-elect=false --kubeconfig "$data/manager.kubeconfig" --namespace strongroom-system \
    --metrics-bind-address 0 --gateway-bind-address 0 --health-probe-bind-address 0 >>"$work/manager.log" 2>&1 &
  manager=$!
}

stop_manager() { stop "$manager"; manager=; }

# What hack/run has installed is the chart's from now on.
helm() {
  if [ "$1" = install ]; then set -- "$@" --take-ownership --force-conflicts; fi
  (cd "$root" && "$HELM" "$@" >>"$work/helm.log")
}

# page N: runs the page's Nth block of commands.
page() {
  awk -v n="$1" '/^```sh/ {i++; on = i == n; next} /^```/ {on = 0} on' "$root/docs/backup.md" >"$work/block"
  [ -s "$work/block" ] || fail "docs/backup.md has no block $1"
  sed 's/^/    /' "$work/block"
  cd "$work"
  set -x
  . "$work/block"
  { set +x; } 2>/dev/null
  cd "$root"
}

value() { kubectl get secret -n shop session-key -o jsonpath='{.data.keys}'; }
arns() { kubectl get kmskeys,sms -A -o jsonpath='{range .items[*]}{.metadata.name} {.status.arn}{"\n"}{end}' | sort; }
ready() { kubectl wait --for=condition=Ready -n shop kmskey/shop sms/session-key --timeout=1s; }
same() { [ "$(value)" = "$first" ]; }
sealed() { grep -q 'sealed: nothing' "$work/manager.log"; }
has_root() { kubectl get secret -n strongroom-system strongroom-root; }

echo "[restore] building ..."
go build -o "$work/strongroom" .
go build -o "$work/run" ./hack/run
go build -o "$work/age-keygen" filippo.io/age/cmd/age-keygen
PATH=$work:$PATH

echo "[restore] an installation with a secret that was rotated"
cluster old
start_manager
kubectl apply -f config/samples/quickstart.yaml
eventually 60 "the secret is Ready" ready
kubectl annotate -n shop sms/session-key strongroom.dev/rotate=now
eventually 15 "it is rotated" bash -c '[ "$(kubectl get sms -n shop session-key -o jsonpath="{.status.lastHandledRotateAt}")" = now ]'
first=$(value)
had=$(arns)
page 3
# The former version is in force again, as UpdateSecretVersionStage writes it: only status tells.
kubectl get -n shop sms/session-key -o json | python3 -c '
import json, sys
status = json.load(sys.stdin)["status"]
former, last = status["versions"]
former["stages"], last["stages"] = last["stages"], former["stages"]
print(json.dumps({"status": {"versions": [former, last], "currentVersionId": former["versionId"]}}))' >"$work/moved.json"
kubectl patch -n shop sms/session-key --subresource=status --type=merge --patch-file "$work/moved.json"
kubectl annotate -n shop sms/session-key strongroom.dev/reconcile=now
moved() { [ "$(value)" != "$first" ]; }
eventually 15 "the former version is in force again" moved
back=$(value)
page 1
stop_manager
ok "a backup is taken"

echo "[restore] another cluster, started too early"
cluster early
start_manager
eventually 60 "a start without anything makes a new root" has_root
page 4
! kubectl create -f "$work/root.yaml" 2>"$work/last" || fail "another root takes the place of the one that is there"
grep -q AlreadyExists "$work/last" || fail "it does not say AlreadyExists"
ok "the old root is refused"
stop_manager
page 7
page 5
page 6 & waiting=$! # which waits for what the manager does
start_manager
wait "$waiting" || fail "the objects are not Ready"
eventually 15 "the values are the old ones" same
[ "$(arns)" = "$had" ] || fail "the ARNs are others: $(arns)"
ok "the ARNs are the old ones"
stop_manager

echo "[restore] a third cluster, as the page says"
cluster third
page 4
page 5
page 6 & waiting=$!
start_manager
wait "$waiting" || fail "the objects are not Ready"
eventually 15 "the values are the old ones" same
[ "$(arns)" = "$had" ] || fail "the ARNs are others: $(arns)"
ok "the ARNs are the old ones"
stop_manager

echo "[restore] a fourth cluster, from one file"
cluster fourth
page 4
page 2
[ "$(kubectl get secret -n strongroom-system strongroom-root -o jsonpath='{.data}')" = "$(kubectl create --dry-run=client -f "$work/root.yaml" -o jsonpath='{.data}')" ] || fail "the root is another"
page 6 & waiting=$!
start_manager
wait "$waiting" || fail "the objects are not Ready"
same_back() { [ "$(value)" = "$back" ]; }
eventually 15 "the value is the one of the version that was in force" same_back
[ "$(arns)" = "$had" ] || fail "the ARNs are others: $(arns)"
ok "the ARNs are the old ones"
strongroom restore --identity "$work/identity.txt" "$work/strongroom.age" >"$work/last"
grep -q ': 0 objects made; ' "$work/last" || fail "it made something again: $(cat "$work/last")"
ok "the same file again makes nothing"
stop_manager

echo "[restore] what is refused"
: >"$work/manager.log"
kubectl delete secret -n strongroom-system strongroom-root
start_manager
eventually 30 "without the root it is sealed" sealed
! has_root 2>/dev/null || fail "it made a root that opens nothing"
stop_manager
kubectl delete envelopes --all -n strongroom-system
: >"$work/manager.log"
start_manager
eventually 30 "without root and domain keys it is sealed, since there are Envelopes" sealed
! has_root 2>/dev/null || fail "it made a root that opens nothing"
ok "nothing new is made"

echo "$passed passed, 0 failed"
