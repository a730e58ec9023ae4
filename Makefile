# A target with a `##` comment is shown by `make`. Logic of more than a line is in tests/scripts.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stairlock
RIG := tests/rig/rig.sh
# The kubectl on the PATH, else the rig's.
KUBECTL ?= $(shell command -v kubectl || echo $(CACHE)/bin/kubectl)

.PHONY: help
help: ## show this help
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ While writing

.PHONY: fmt
fmt: ## format the Rust code
	$(CARGO) fmt

.PHONY: check
check: ## format, lints, layout, docs, and dependencies where cargo-deny is installed
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked -q --test tidy
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --no-deps -q
	@if command -v cargo-deny > /dev/null; then \
	  cargo-deny --locked check bans licenses sources; \
	else \
	  echo "cargo-deny is not installed: dependencies are not checked"; \
	fi

.PHONY: generate
generate: ## write config/crd, deploy/crd.yaml and deploy/install.yaml
	tests/scripts/generate.sh

.PHONY: verify
verify: ## fail if a generated file is stale, then check
	tests/scripts/verify.sh
	$(MAKE) --no-print-directory check

##@ Tests

.PHONY: test
test: ## everything CI needs: verify, all tests, and the cluster stories on a rig of their own
	tests/scripts/test.sh all

.PHONY: sim
sim: ## seeds in the simulator, optimized; SEEDS=n plays n of them, SEED=n shows one, PAIRS=1 every pair of crashes
	STAIRLOCK_SEEDS=$(or $(SEEDS),10000) STAIRLOCK_TWICE=$(or $(TWICE),100) STAIRLOCK_PAIRS=$(or $(PAIRS),17) \
	  $(CARGO) test --locked --release --test sim -- --nocapture

.PHONY: planted
planted: ## seeds until the simulator catches each planted defect; writes docs/planted-bugs.md
	STAIRLOCK_SEEDS=$(or $(SEEDS),10000) STAIRLOCK_TABLE=docs/planted-bugs.md \
	  $(CARGO) test --locked --release --features planted --test planted -- --nocapture

.PHONY: cluster
cluster: ## the cluster stories only; CASE=name picks some, CASE=crash CRASH=all kills at every write
	tests/scripts/test.sh cluster $(CASE)

.PHONY: bench
bench: ## measure what a release costs; a table, and JSON under target/
	tests/scripts/bench.sh

##@ A cluster to look at

.PHONY: rig
rig: ## bring up a local cluster and print its KUBECONFIG
	$(RIG) up
	@$(RIG) run bash -c 'echo "export KUBECONFIG=$$KUBECONFIG"'
	@echo "inside its network: $(RIG) run COMMAND...; away with it: make rig-down"

.PHONY: rig-down
rig-down: ## take that cluster down
	$(RIG) down

.PHONY: demo
demo: ## watch a release climb and a bad one roll back; KEEP=1 leaves the cluster running
	KEEP=$(KEEP) tests/rig/demo.sh

##@ The program

.PHONY: build
build: ## build the binary with the profile of the image
	$(CARGO) build --locked --profile dist

.PHONY: run
run: ## run the controller against the cluster of KUBECONFIG; ARGS are passed on
	$(CARGO) run --locked -- $(ARGS)

.PHONY: image
image: ## make the OCI image, without a container engine
	tests/scripts/image.sh

.PHONY: install
install: ## apply the CRD to the cluster of KUBECONFIG
	$(KUBECTL) apply --server-side -f deploy/crd.yaml

.PHONY: deploy
deploy: ## apply config/default to the cluster of KUBECONFIG
	$(KUBECTL) apply --server-side -k config/default
