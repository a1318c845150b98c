# An instance of `make run` in a folder of its own, and the words that the transcripts are written in. It is sourced, from the
# project's folder, with KUBEBUILDER_ASSETS set.
# shellcheck shell=bash

: "${KUBEBUILDER_ASSETS:?run it by make e2e}"

work=$(mktemp -d)
data=$work/data
instance= manager=
passed=0

cleanup() {
  status=$?
  [ -z "$manager" ] || kill -9 "$manager" 2>/dev/null || true
  stop_instance
  if [ $status -ne 0 ]; then
    for log in "$data"/logs/*.log; do
      echo "--- the end of $log"
      tail -n 25 "$log"
    done
    echo "$passed passed, 1 failed"
  fi
  rm -rf "$work"
}
trap cleanup EXIT

ok() {
  passed=$((passed + 1))
  echo "ok  $*"
}

fail() {
  echo "FAIL  $*" >&2
  exit 1
}

# eventually SECONDS DESCRIPTION COMMAND...: until the command succeeds.
eventually() {
  local deadline=$((SECONDS + $1)) description=$2
  shift 2
  until "$@" >"$work/last" 2>&1; do
    if [ $SECONDS -ge $deadline ]; then
      cat "$work/last"
      fail "$description"
    fi
    sleep 0.2
  done
  ok "$description"
}

build_programs() {
  echo "[e2e] building ..."
  go build -o "$work/strongroom" .
  ln -s strongroom "$work/kubectl-strongroom"
  ln -s strongroom "$work/kubectl_complete-strongroom"
  go build -o "$work/run" ./hack/run
}

start_instance() { # [arguments of hack/run]
  "$work/run" --data-dir "$data" "$@" >>"$work/run.log" 2>&1 &
  instance=$!
  local deadline=$((SECONDS + 180))
  until [ -e "$data/ready" ]; do
    kill -0 $instance 2>/dev/null || { cat "$work/run.log"; fail "the instance ended"; }
    [ $SECONDS -lt $deadline ] || { cat "$work/run.log"; fail "the instance is not ready after 3 minutes"; }
    sleep 0.2
  done
}

stop_instance() {
  [ -n "$instance" ] || return 0
  kill -INT "$instance" 2>/dev/null || true
  wait "$instance" || true
  instance=
  rm -f "$data/ready"
}
