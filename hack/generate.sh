#!/usr/bin/env bash
# Generates what derives from the source into a tree (default: this one): deepcopy, apply configurations, CRDs, RBAC, the HSM node's API,
# the chart's copies of the last two and of the admission policy, and the table of the AWS operations.
#
#   hack/generate.sh            writes
#   hack/generate.sh --verify   writes into a copy and fails if that differs from the tree
set -euo pipefail
cd "$(dirname "$0")/.."
controller_gen=$(hack/tool.sh controller-gen hack/tools sigs.k8s.io/controller-tools/cmd/controller-gen)
proto=$(hack/tool.sh proto hack/proto .)
protoc_gen_go=$(hack/tool.sh protoc-gen-go hack/proto google.golang.org/protobuf/cmd/protoc-gen-go)
protoc_gen_go_grpc=$(hack/tool.sh protoc-gen-go-grpc hack/proto google.golang.org/grpc/cmd/protoc-gen-go-grpc)
outputs=(api internal/core/hsm/hsmpb config/crd config/rbac charts/strongroom/files docs/aws-compatibility.md)

generate() {
  "$proto" "$protoc_gen_go,$protoc_gen_go_grpc" internal/core/hsm/hsmpb node.proto
  "$controller_gen" object crd paths=./api/... output:crd:dir=config/crd
  "$controller_gen" applyconfiguration paths=./api/...
  "$controller_gen" rbac:roleName=strongroom-manager paths=./controllers/... paths=./internal/... output:rbac:dir=config/rbac
  mkdir -p charts/strongroom/files/crd
  cp config/crd/strongroom.dev_*.yaml charts/strongroom/files/crd/
  cp config/rbac/role.yaml charts/strongroom/files/role.yaml
  cp config/injection/policy.yaml charts/strongroom/files/injection.yaml
  go run ./hack/compatibility >docs/aws-compatibility.md.new
  mv docs/aws-compatibility.md.new docs/aws-compatibility.md
}

if [ "${1:-}" != --verify ]; then
  generate
  exit 0
fi
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar --exclude=./.git --exclude=./.strongroom --exclude=./bin -cf - . | tar -xf - -C "$copy"
(cd "$copy" && generate)
for path in "${outputs[@]}"; do
  if ! diff -ru "$path" "$copy/$path"; then
    echo "generated files are stale: run \`make generate\` and commit what it changes" >&2
    exit 1
  fi
done
echo "[verify] generated files are up to date"
