#!/usr/bin/env bash
# Says what a machine lacks before anything is built on it.
set -euo pipefail
missing=()
for program in git make cc go; do
  command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "missing: ${missing[*]}. On Debian or Ubuntu: apt-get install -y git make gcc; Go from https://go.dev/dl, or Debian's" >&2
  echo "backports (its release 12 itself has Go 1.19, which is too old to fetch another release)" >&2
  exit 1
fi
if ! go version >/dev/null 2>&1; then
  echo "\`go version\` fails with GOTOOLCHAIN=${GOTOOLCHAIN:-}: Go 1.21 or newer and a Go module proxy (GOPROXY) are needed, from" >&2
  echo "which it fetches that release. What it says:" >&2
  go version >&2 || true
  exit 1
fi
case $(go env GOVERSION) in
  "${GOTOOLCHAIN:?run it by make}"*) ;;
  *)
    echo "Go is $(go env GOVERSION), not $GOTOOLCHAIN: a Go older than 1.21 cannot switch releases; install a newer one" >&2
    exit 1
    ;;
esac
