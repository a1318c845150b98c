#!/usr/bin/env bash
# The credential of a real PostgreSQL, rotated without downtime by the manifest that a user writes: a Secret whose two users take turns, a URL for
# the workload, and a Deployment that is restarted. Then what goes wrong: the server down, a password that somebody set, another host's certificate.
#
# The manifest names the server db.shop, on port 5432. So the script runs where the file of hosts is its own (a mount namespace), and the
# server on a loopback address that nobody else has.
#
# KUBEBUILDER_ASSETS names the folder of the control plane's programs: `make e2e` sets it.
set -euo pipefail
cd "$(dirname "$0")/../.."
address=127.53.2.1
if [ -z "${STRONGROOM_E2E_HOSTS:-}" ]; then
  hosts=$(mktemp)
  { cat /etc/hosts; echo "$address db.shop"; echo "$address other.shop"; } >"$hosts"
  chmod 644 "$hosts"
  STRONGROOM_E2E_HOSTS=$hosts STRONGROOM_E2E_UID=$(id -u) exec unshare --mount $([ "$(id -u)" = 0 ] || echo --map-root-user) -- "$BASH" "$0"
fi
mount --bind "$STRONGROOM_E2E_HOSTS" /etc/hosts
. test/e2e/instance.sh
. test/e2e/words.sh

# A server of our own, which does not run as root: as nobody, or as a user of a namespace in which we are root only by name.
bin=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)")
unprivileged=(unshare --user --map-user=1000 --)
[ "$STRONGROOM_E2E_UID" != 0 ] || unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
pg=$(mktemp -d)
database=
stop_database() {
  [ -z "$database" ] || { kill -INT "$database" 2>/dev/null && wait "$database"; } || true
  database=
}
trap 'cleanup; stop_database; rm -rf "$pg" "$STRONGROOM_E2E_HOSTS"' EXIT
start_database() {
  "${unprivileged[@]}" "$bin/postgres" -D "$pg/data" >>"$pg/log" 2>&1 &
  database=$!
  eventually 60 "PostgreSQL is up at db.shop" "$bin/pg_isready" -q -h db.shop -p 5432
}

password='correct horse battery staple'
echo "[e2e] a certificate authority, and a PostgreSQL server with a certificate for db.shop"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj '/CN=the database team' -keyout "$pg/ca.key" -out "$pg/ca.crt" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj '/CN=db' -keyout "$pg/tls.key" -out "$pg/tls.csr" 2>/dev/null
openssl x509 -req -in "$pg/tls.csr" -CA "$pg/ca.crt" -CAkey "$pg/ca.key" -days 1 -out "$pg/tls.crt" -extfile <(echo subjectAltName=DNS:db.shop) 2>/dev/null
printf %s "$password" >"$pg/password"
chmod 600 "$pg/tls.key"
[ "$STRONGROOM_E2E_UID" != 0 ] || chown -R 65534:65534 "$pg"
"${unprivileged[@]}" "$bin/initdb" -D "$pg/data" -U postgres --pwfile "$pg/password" --auth scram-sha-256 --encoding UTF8 --no-sync >/dev/null
cat >>"$pg/data/postgresql.conf" <<C
listen_addresses = '$address'
port = 5432
unix_socket_directories = ''
fsync = off
ssl = on
ssl_cert_file = '$pg/tls.crt'
ssl_key_file = '$pg/tls.key'
log_statement = all
C
start_database
# sql USER PASSWORD DATABASE STATEMENT, proven as strictly as the manifest has it.
sql() { PGPASSWORD=$2 "$bin/psql" -X -At "host=db.shop dbname=$3 user=$1 sslmode=verify-full sslrootcert=$pg/ca.crt" -c "$4"; }
sql postgres "$password" postgres "CREATE ROLE keeper LOGIN CREATEROLE PASSWORD '$password'" >/dev/null
sql postgres "$password" postgres 'CREATE DATABASE shop' >/dev/null

build_programs
echo "[e2e] make run, in a folder of its own"
start_instance --manager "$work/strongroom"
. "$data/env"
kubectl create namespace shop
kubectl create secret generic -n shop db-ca --from-file=ca.crt="$pg/ca.crt"
kubectl create secret generic -n shop db-admin-source \
  --from-literal=value="{\"host\":\"db.shop\",\"port\":5432,\"username\":\"keeper\",\"password\":\"$password\"}"
kubectl apply -f - <<'Y'
apiVersion: strongroom.dev/v1alpha1
kind: Secret
metadata: {name: db-admin, namespace: shop}
spec: {valueFrom: {secretKeyRef: {name: db-admin-source, key: value}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop, labels: {app: shop}}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: registry.example.com/shop, envFrom: [{secretRef: {name: shop-db}}]}]}
Y

echo "[e2e] the manifest as it is written"
kubectl apply -f test/e2e/examples/database-rotation.yaml
kubectl wait --for=condition=Ready -n shop sms/db --timeout=60s
url() { secret_of shop shop-db DATABASE_URL; }
# logs_in URL: tells who the sessions of a URL act as, and who logged in.
logs_in() { "$bin/psql" -X -At "$1?sslmode=verify-full&sslrootcert=$pg/ca.crt" -c 'SELECT current_user, session_user'; }
first=$(url)
[[ $first =~ ^postgres://shop:[^@/]+@db\.shop:5432/shop$ ]] || fail "the URL is another"
is 'shop|shop' "$(logs_in "$first")" "the workload logs in by its DATABASE_URL"
logs_in "$first" >/dev/null
sql postgres "$password" shop 'GRANT CREATE ON SCHEMA public TO shop' >/dev/null
"$bin/psql" -X -qAt "$first?sslmode=verify-full&sslrootcert=$pg/ca.crt" -c 'CREATE TABLE orders (n int); INSERT INTO orders VALUES (1)'
next=$(kubectl get sms -n shop db -o 'jsonpath={.status.nextRotationTime}')
[[ $next =~ T0[34]: ]] || fail "the next rotation is at $next, not between 3 and 5 o'clock"
ok "the next rotation is in the night's window: $next"

echo "[e2e] rotations"
restarts() { kubectl get deployment -n shop shop -o 'jsonpath={.metadata.generation}'; }
began=$(restarts)
kubectl strongroom rotate -n shop db
second=$(url)
[[ $second =~ ^postgres://shop_clone: ]] || fail "the second user is not in the URL"
is 'shop|shop_clone' "$(logs_in "$second")" "the second user logs in, and acts as the first"
is 'shop|shop' "$(logs_in "$first")" "the former credential stays good for those who have not restarted"
is 1 "$("$bin/psql" -X -At "$second?sslmode=verify-full&sslrootcert=$pg/ca.crt" -c 'SELECT n FROM orders')" "the second user sees the first one's tables"
restarted() { [ "$(restarts)" = "$1" ]; }
eventually 20 "the Deployment is restarted once" restarted $((began + 1))
kubectl strongroom rotate -n shop db
third=$(url)
is 'shop|shop' "$(logs_in "$third")" "the first user again, with another password"
is 'shop|shop_clone' "$(logs_in "$second")" "the credential before stays good"
! logs_in "$first" >/dev/null 2>&1 || fail "the one before that still logs in"
ok "the one before that does not log in any more"

echo "[e2e] what goes wrong"
condition() { kubectl get sms -n shop db -o "jsonpath={.status.conditions[?(@.type==\"$1\")].$2}"; }
stop_database
kubectl annotate --overwrite -n shop sms/db strongroom.dev/rotate=while-down
failing() { [ "$(condition RotationFailing status)" = True ]; }
eventually 60 "a server that is down is RotationFailing" failing
ok "with the cause: $(condition RotationFailing reason): $(condition RotationFailing message | cut -c1-160)"
is "$third" "$(url)" "the workload's credential stays as it is"
start_database
done_with() { [ "$(kubectl get sms -n shop db -o 'jsonpath={.status.lastHandledRotateAt}')" = "$1" ] && ! failing && [ "$(url)" != "$third" ]; }
eventually 180 "the rotation goes on when it is back" done_with while-down
fourth=$(url)
logs_in "$fourth" >/dev/null
ok "its credential logs in"

sql postgres "$password" postgres "ALTER ROLE shop PASSWORD 'by somebody'; ALTER ROLE shop_clone PASSWORD 'by somebody'" >/dev/null
kubectl strongroom rotate -n shop db
logs_in "$(url)" >/dev/null
ok "passwords that somebody else set are healed by the admin"

kubectl apply -f - <<'Y'
apiVersion: strongroom.dev/v1alpha1
kind: Secret
metadata: {name: other, namespace: shop}
spec:
  generate:
    json: {template: '{"engine":"postgres","host":"other.shop","port":5432,"dbname":"shop","username":"other"}', key: password}
  rotation:
    schedule: rate(1 day)
    postgres: {tls: {mode: verify-full, caSecretRef: {name: db-ca, key: ca.crt}}}
Y
refuses() { kubectl get sms -n shop other -o 'jsonpath={.status.conditions[*].message}' | grep -q "certificate"; }
eventually 60 "a server with another's certificate is refused" refuses

echo "[e2e] no password where it does not belong"
for url in "$first" "$second" "$third" "$fourth"; do
  secret=$(sed -E 's#^postgres://[^:]+:([^@]+)@.*#\1#' <<<"$url" | "$python" -c 'import sys, urllib.parse; print(urllib.parse.unquote(sys.stdin.read().strip()))')
  [ ${#secret} = 32 ] || fail "a password is not of 32 characters"
  ! grep -qF -e "$secret" -r "$data/logs" "$pg/log" || fail "a password is in a log"
  kubectl get secrets.strongroom.dev,envelopes,events -A -o yaml >"$work/objects" || fail "the objects cannot be read"
  ! grep -qF -e "$secret" "$work/objects" || fail "a password is in an object"
done
ok "no log of Strongroom's or PostgreSQL's, no object and no event has a password"

echo "$passed passed, 0 failed"
