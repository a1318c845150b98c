#!/usr/bin/env bash
# Builds FerretDB, a server that speaks MongoDB's protocol, from its Go module, and prints the binary's path. It is kept outside the work
# tree, by the hash of what it is built from, so a second call only prints. The tests rotate passwords of its users: MongoDB itself is
# neither in Debian nor in a Go module.
set -euo pipefail
cd "$(dirname "$0")"
cache=${STRONGROOM_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or STRONGROOM_CACHE}/.cache}/strongroom}
key=$({ cat go.mod go.sum build.sh; go version; } | sha256sum | cut -c1-12)
binary=$cache/ferretdb-$key
if [ ! -x "$binary" ]; then
  echo "[tools] building ferretdb from Go modules (once, a minute or two) ..." >&2
  mkdir -p "$cache"
  tmp=$(mktemp -d "$cache/.ferretdb.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  go mod download github.com/FerretDB/FerretDB # checked against go.sum
  module=$(go list -m -f '{{.Dir}}' github.com/FerretDB/FerretDB)
  mkdir "$tmp/source"
  cp -r --no-preserve=mode "$module/." "$tmp/source"
  # The program does not start without a file with its version, which its Go module lacks.
  go list -m -f '{{.Version}}' github.com/FerretDB/FerretDB >"$tmp/source/build/version/version.txt"
  (cd "$tmp/source" && CGO_ENABLED=0 GOFIPS140=off GOEXPERIMENT= GOWORK=off GOFLAGS=-mod=readonly \
    go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$tmp/ferretdb" ./cmd/ferretdb) >&2
  chmod 755 "$tmp/ferretdb"
  mv "$tmp/ferretdb" "$binary" # one rename: a tool is there whole or not at all
fi
echo "$binary"
