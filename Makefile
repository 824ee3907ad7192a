# The two commands of the house: `make run` and `make test`. Everything else is cargo.

# plot-palette where its packages can be had, else hello
STACK ?=
# Where the front door listens; empty: where the manifest says.
HTTP ?=
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run test
.DEFAULT_GOAL := help

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The dev profile: the same folder as the tests', no link-time optimisation, so that the first page is there soon.
# `cargo build --release` is for what goes to a server.
run: ## Start a stack in the foreground: make run [STACK=plot-palette|hello] [HTTP=127.0.0.1:8080]
	@scripts/setup run
	cargo build --locked --package mainstay
	@scripts/run "$(TARGET)/debug/mainstay" "$(STACK)" $(HTTP)

test: ## Check the code and run every test
	@scripts/setup test
	cargo xtask check
	@scripts/run_tests
