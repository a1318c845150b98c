#!/usr/bin/env bash
# Builds one tool from its Go module and prints the binary's path. It is kept outside the work tree, by the hash of
# what it is built from, so a second call only prints.
#
#   hack/tool.sh NAME MODULE PACKAGE     for example: hack/tool.sh helm hack/helm helm.sh/helm/v4/cmd/helm
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 module=$2 package=$3
cache=${STRONGROOM_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or STRONGROOM_CACHE}/.cache}/strongroom}
key=$({ cat "$module/go.mod" "$module/go.sum"; go version; } | sha256sum | cut -c1-12)
binary=$cache/$name-$key
if [ ! -x "$binary" ]; then
  echo "[tools] building $name from Go modules (once) ..." >&2
  mkdir -p "$cache"
  tmp=$(mktemp "$cache/.$name.XXXXXX")
  trap 'rm -f "$tmp"' EXIT
  (cd "$module" && CGO_ENABLED=0 GOFIPS140=off GOEXPERIMENT= GOWORK=off go build -trimpath -ldflags='-s -w' -o "$tmp" "$package") >&2
  chmod 755 "$tmp"
  mv "$tmp" "$binary" # one rename: a tool is there whole or not at all
fi
echo "$binary"
