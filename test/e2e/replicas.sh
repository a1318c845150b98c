# Two replicas of Strongroom on one control plane, each with a port: both serve, and either alone. It is sourced by clients.sh.
# shellcheck shell=bash

port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port_a=$(port) port_b=$(port)
pid_a= pid_b=

# start_replica LETTER: as `make run` starts one, with leader election. It is a child of this shell, which ends it.
start_replica() {
  local port=port_$1
  "$work/strongroom" manager --kubeconfig "$data/manager.kubeconfig" --namespace strongroom-system --regions eu-west-1 \
    --gateway-bind-address "127.0.0.1:${!port}" --audit-log "$data/logs/audit-$1.log" --metrics-bind-address 0 --health-probe-bind-address 0 \
    >>"$data/logs/replica-$1.log" 2>&1 &
  printf -v "pid_$1" %s $!
  manager=$!
}
end_replica() {
  local pid=pid_$1
  kill -9 "${!pid}"
  wait "${!pid}" 2>/dev/null || true
}
serves() { AWS_ENDPOINT_URL=https://127.0.0.1:$1 aws sts get-caller-identity; }
replicas() { "$python" test/e2e/replicas.py "$@"; }

echo "[e2e] two replicas"
stop_instance
start_instance
start_replica a
eventually 60 "the first replica serves" serves "$port_a"
start_replica b
eventually 60 "the second replica serves" serves "$port_b"
replicas both "$port_a" "$port_b"
end_replica a
replicas alone "$port_b" a-is-killed
ok "the leader is killed: the other serves"
start_replica a
eventually 60 "the killed one serves again" serves "$port_a"
end_replica b
replicas alone "$port_a" b-is-killed
ok "the other is killed: the first serves"
manager=$pid_a
kill -TERM "$pid_a"
wait "$pid_a" || fail "the replica did not end with exit status 0 on SIGTERM"
manager=
