# The two commands a newcomer needs are `make demo` and `make test`; the rest are for daily work.
# Each target is one line here and one script in scripts/, so that nothing depends on make.

toolchain := $(shell scripts/toolchain)
ifneq ($(toolchain),)
export RUSTUP_TOOLCHAIN := $(toolchain)
endif

.DEFAULT_GOAL := help
.PHONY: help setup build test sim chaos demo bench clean-demo fmt lint deny sqlx-prepare

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing (PostgreSQL) and check the rest
	@scripts/setup

build: setup ## Build every binary into target/debug
	@SQLX_OFFLINE=true cargo build --workspace --locked

test: ## Set up, lint, build and run every test
	@scripts/test

sim: ## Simulate installations under faults: SEEDS=n of them, or one with SEED=n
	@SQLX_OFFLINE=true cargo run --locked --quiet -p fulcrum-sim -- $(if $(SEED),--seed $(SEED),--from $(or $(FROM),0) --seeds $(or $(SEEDS),5000))

chaos: ## Stage every fault of docs/robustness.md in full (hours; as root); scripts/chaos NAME for one
	@scripts/chaos

demo: ## Set up, build and run the onboarding example
	@scripts/demo onboarding

bench: setup ## Measure every figure beside the floor of the database (about an hour; BENCH=--quick to try it)
	@scripts/bench $(BENCH)

clean-demo: ## Forget the data of earlier demos
	@scripts/clean-demo

fmt: ## Format all code
	@cargo fmt --all

lint: ## Check formatting and lints
	@cargo fmt --all --check
	@SQLX_OFFLINE=true cargo clippy --workspace --all-targets -- -D warnings

deny: ## Check licences, bans and sources of dependencies (needs cargo-deny)
	@cargo deny --all-features check

sqlx-prepare: setup ## Rewrite the checked-in query data after a migration or query changed
	@scripts/sqlx-prepare
