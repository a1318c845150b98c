# Strongroom's commands. `make help` lists them; README.md has the tour.
SHELL := /bin/bash

export GOTOOLCHAIN := go1.27.3
export GOFIPS140 := v1.26.0
export GOEXPERIMENT := runtimesecret
# Without the folder's name in what is built, every clone and worktree has its packages from one cache.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)
# What cgo makes of a file names its folder even so (//line), and the linter reads that file: each checkout lints its own,
# or one that is gone since would be looked for.
CHECKOUT = -DSTRONGROOM_CHECKOUT=$(firstword $(shell printf %s '$(CURDIR)' | sha256sum))
# The programs of the control plane: those of KUBEBUILDER_ASSETS if it is set, or else built from Go modules.
CONTROLPLANE = $${KUBEBUILDER_ASSETS:-$$(hack/controlplane/build.sh)}

.DEFAULT_GOAL := help

##@ Use

.PHONY: run
run: environment build $(if $(ROOT),softhsm) ## Run a control plane and Strongroom in the foreground; CLUSTER=current uses the current kubeconfig context, REGIONS=eu-west-1,… serves more regions, AUTHORITY=NAMESPACE/NAME issues the gateway's certificate, ROOT=hsm has the root of trust in an HSMCluster
	@set -euo pipefail; bin="$(CONTROLPLANE)"; go build -o bin/run ./hack/run; \
	exec bin/run --bin "$$bin" --manager bin/strongroom $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGIONS),--regions $(REGIONS)) \
	  $(if $(AUTHORITY),--gateway-authority $(AUTHORITY)) $(if $(ROOT),--root $(ROOT))

.PHONY: clean-run
clean-run: ## Forget the data of `make run`
	@if [ -e .strongroom/lock ] && ! flock --nonblock .strongroom/lock true; then \
	  echo "\`make run\` is running on .strongroom: stop it first (Ctrl-C in its terminal)" >&2; exit 1; fi
	rm -rf .strongroom

##@ Development

.PHONY: build
build: environment ## Build bin/strongroom, which is kubectl's plugin too
	@echo "[build] strongroom (a first time takes a minute or two) ..."
	@go build -o bin/strongroom .
	@ln -sf strongroom bin/kubectl-strongroom; ln -sf strongroom bin/kubectl_complete-strongroom

.PHONY: test
test: environment clients softhsm databases ## Install what the tests need, and prove everything
	@set -euo pipefail; \
	KUBEBUILDER_ASSETS="$(CONTROLPLANE)"; HELM="$$(hack/tool.sh helm hack/helm helm.sh/helm/v4/cmd/helm)"; FERRETDB="$$(hack/ferretdb/build.sh)"; \
	export KUBEBUILDER_ASSETS HELM FERRETDB; \
	echo "[test] packages ..."; go test -p 2 -timeout 20m ./...; \
	echo "[test] the README's tour on a real control plane ..."; test/e2e/transcript.sh; \
	echo "[test] AWS's own clients on a real control plane ..."; test/e2e/clients.sh; \
	echo "[test] all five kinds on a real control plane ..."; test/e2e/examples.sh; \
	echo "[test] a credential of a real PostgreSQL ..."; test/e2e/database.sh; \
	echo "[test] the root of trust in an HSMCluster ..."; test/e2e/hsmroot.sh; \
	echo "[test] backup and restore, as docs/backup.md says ..."; test/e2e/restore.sh

.PHONY: e2e
e2e: environment clients softhsm databases ## Drive kubectl through the README's tour, AWS's own clients, and a restore, on a real control plane
	@set -euo pipefail; KUBEBUILDER_ASSETS="$(CONTROLPLANE)"; HELM="$$(hack/tool.sh helm hack/helm helm.sh/helm/v4/cmd/helm)"; \
	export KUBEBUILDER_ASSETS HELM; test/e2e/transcript.sh; test/e2e/clients.sh; test/e2e/examples.sh; test/e2e/database.sh; test/e2e/hsmroot.sh; test/e2e/restore.sh

.PHONY: bench
bench: environment softhsm ## Measure requests, CPU, memory and speed, and print a table
	@set -euo pipefail; KUBEBUILDER_ASSETS="$(CONTROLPLANE)"; export KUBEBUILDER_ASSETS; \
	go test ./internal/core/... -run '^$$' -bench . -benchmem; \
	go test ./internal/gateway/kms -run '^$$' -bench Grants -benchtime 500x -timeout 30m; \
	go test ./test/bench -count=1 -timeout 60m -v -bench-objects=$${OBJECTS:-1000} $(BENCH_FLAGS)

.PHONY: lint
lint: environment ## Run golangci-lint
	@set -euo pipefail; lint="$$(hack/tool.sh golangci-lint hack/lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint)"; \
	CGO_CPPFLAGS="$(CHECKOUT)" "$$lint" run --timeout 20m ./...

.PHONY: generate
generate: environment ## Generate deepcopy, apply configurations, CRDs and RBAC
	hack/generate.sh

.PHONY: verify
verify: environment ## Check that no generated file is stale
	hack/generate.sh --verify

.PHONY: controlplane
controlplane: environment ## Build etcd and Kubernetes from Go modules
	@hack/controlplane/build.sh

.PHONY: environment
environment:
	@hack/check-environment.sh

.PHONY: clients
clients:
	@hack/clients.sh

.PHONY: databases
databases:
	@hack/databases.sh

.PHONY: softhsm
softhsm:
	@hack/softhsm.sh

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
