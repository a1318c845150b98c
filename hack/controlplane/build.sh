#!/usr/bin/env bash
# Builds the control plane (see main.go) into a folder outside the work tree, keyed by everything that
# goes into it, and prints that folder. A second call finds it and does nothing, also after `git clean`.
#
#   hack/controlplane/build.sh          prints the folder on stdout, progress on stderr
#
# STRONGROOM_CACHE   where to keep it (default: ${XDG_CACHE_HOME:-~/.cache}/strongroom)
set -euo pipefail
cd "$(dirname "$0")"

readonly KUBERNETES_VERSION=v1.37.2
readonly PROGRAMS=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)

# HOME may be unset (a container, CI): Go's own cache then has no place either, so say it once and clearly.
cache=${STRONGROOM_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or STRONGROOM_CACHE}/.cache}/strongroom}
key=$({ cat go.mod go.sum main.go build.sh; go version; } | sha256sum | cut -c1-12)
out=$cache/controlplane-$KUBERNETES_VERSION-$key

if [ -x "$out/kube-apiserver" ]; then
  echo "$out"
  exit 0
fi

say() { echo "[controlplane] $*" >&2; }
version=k8s.io/component-base/version
ldflags="-s -w -X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=37
  -X $version.gitTreeState=clean -X $version.gitCommit=unknown -X $version.buildDate=2026-10-27T12:01:04Z
  -X k8s.io/client-go/pkg/version.gitVersion=$KUBERNETES_VERSION"
export CGO_ENABLED=0 GOFIPS140=off GOFLAGS="${GOFLAGS:-}" GOWORK=off

say "etcd and Kubernetes $KUBERNETES_VERSION are built from Go modules. The first time this takes about"
say "8 minutes on two idle cores (4 GB of Go build cache); afterwards it is found in $out"
say "fetching modules ..."
go mod download
total=$(go list -deps . | wc -l)
mkdir -p "$cache"
tmp=$(mktemp -d "$cache/.controlplane.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# `go build -v` names each package as it is compiled; counting the lines gives progress. Packages that the
# Go build cache already holds are not named, so the count starts late and ends early, never the reverse.
say "compiling up to $total packages ..."
start=$SECONDS
{ go build -v -trimpath -ldflags "$ldflags" -o "$tmp/controlplane" . 2>&1; } | {
  n=0 last=$start
  while IFS= read -r line; do
    case $line in
      *' '*) echo "$line" >&2 ;; # a package path has no blank: this is a message of the compiler's
      *) n=$((n + 1)) ;;
    esac
    if [ $((SECONDS - last)) -ge 10 ]; then
      last=$SECONDS
      say "$n of at most $total packages after $((SECONDS - start)) s"
    fi
  done
}
for p in "${PROGRAMS[@]}"; do ln -s controlplane "$tmp/$p"; done
chmod 755 "$tmp"

# One rename makes the finished folder visible: an interrupted or concurrent build leaves no half of one.
if mv -T "$tmp" "$out" 2>/dev/null; then trap - EXIT; fi
[ -x "$out/kube-apiserver" ]
say "done in $((SECONDS - start)) s: $out"
echo "$out"
