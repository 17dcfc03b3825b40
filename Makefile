# Everything this project is run, tested and measured with. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

WASM := wasm32-unknown-unknown
GUESTS := target/$(WASM)/guest
# What `serve --plugins` reads; the guests that tests torment are not in it.
PLUGINS := target/plugins
BUNDLED := lexicon line meta-cloud onemsg openai telegram twilio waha webchat
CRASH_ROUNDS ?= 100
FUZZ_SECONDS ?= 600
LISTEN ?= 127.0.0.1:8080
# The stories run against the debug build. `--workspace` everywhere: with other packages
# selected, cargo unifies other features and builds the dependencies twice.
export POINTSMAN_BIN ?= $(CURDIR)/target/debug/pointsman
export POINTSMAN_PLUGINS ?= $(CURDIR)/$(PLUGINS)
export POINTSMAN_TEST_PLUGINS ?= $(CURDIR)/$(GUESTS)
CONSOLE := engine/console
HAS_NEXTEST = cargo nextest --version >/dev/null 2>&1

.PHONY: help run plugins guests console console-if-node build lint test unit kit stories browser pictures speed crash fuzz bench clean wasm-target

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

run: build ## build everything and start it on http://127.0.0.1:8080 with data in ./data
	target/debug/pointsman serve --listen $(LISTEN) --data ./data --plugins $(PLUGINS)

wasm-target:
	@command -v cargo >/dev/null || { \
	  echo "Rust is missing. Install it from https://rustup.rs, open a new shell and try again."; exit 69; }
	@if [ ! -d "$$(rustc --print sysroot)/lib/rustlib/$(WASM)" ]; then \
	  command -v rustup >/dev/null || { \
	    echo "Plugins need the target $(WASM), and there is no rustup to add it."; \
	    echo "Install Rust from https://rustup.rs, or your distribution's package of that target."; exit 69; }; \
	  rustup target add $(WASM); \
	fi

plugins: wasm-target ## build the plugins (wasm)
	cargo build --locked --profile guest --target $(WASM) $(BUNDLED:%=-p pointsman-%)
	@mkdir -p $(PLUGINS)
	@for plugin in $(BUNDLED); do cp $(GUESTS)/pointsman_$${plugin//-/_}.wasm $(PLUGINS)/$$plugin.wasm; done

guests: wasm-target ## build the guests that tests torment
	cargo build --locked --profile guest --target $(WASM) -p assistant-guest -p sandbox-guest -p pointsman-acme
	@if command -v npm >/dev/null; then cd examples/plugin-js && { [ -d node_modules ] || npm install --no-package-lock; } && npm run --silent build; else \
	  echo "NOT BUILT: the example plugin in JavaScript needs Node.js 20 or newer (https://nodejs.org)." >&2; fi

console: $(CONSOLE)/dist/app/index.html ## build the web console (Node.js 20.19 or newer)

# The lock file decides: a fresh install only when it has changed.
$(CONSOLE)/node_modules/.installed: $(CONSOLE)/package-lock.json
	@command -v npm >/dev/null || { \
	  echo "Node.js is missing. Install version 20.19 or newer from https://nodejs.org and try again."; exit 69; }
	cd $(CONSOLE) && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund
	@touch $@

$(CONSOLE)/dist/app/index.html: $(CONSOLE)/node_modules/.installed engine/openapi.golden.json \
  rules/vocabulary.golden.json $(wildcard $(CONSOLE)/*.*) $(shell find $(CONSOLE)/src $(CONSOLE)/messages -type f ! -name schema.d.ts)
	cd $(CONSOLE) && npm run --silent build

# Everything but the console works without Node; the page at /signin then says how to get it.
console-if-node:
	@if command -v npm >/dev/null || [ "$${CI:-}" = true ]; then $(MAKE) --no-print-directory console; else \
	  echo "NOT BUILT: the web console needs Node.js 20.19 or newer (https://nodejs.org)." >&2; fi

build: plugins console-if-node ## build plugins, console and engine (debug)
	cargo build --locked --workspace

lint: ## formatting, clippy, documentation, dependencies
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	@tests/tool.sh machete || [ $$? -eq 69 ]
	@tests/tool.sh deny check || [ $$? -eq 69 ]

test: lint build unit kit stories browser ## lint, unit tests, the kit, stories on SQLite and PostgreSQL, browser stories

unit: guests plugins ## unit tests and tidy checks of all packages
	@if $(HAS_NEXTEST); then \
	  tests/pg.sh run cargo nextest run --locked --workspace -E 'not binary(stories)'; \
	else \
	  tests/pg.sh run cargo test --locked --workspace --lib --bins --test tidy; \
	fi

kit: build ## a plugin made from nothing, as a new author meets it, passes its tests
	rm -rf target/kit/acme-sms
	target/debug/pointsman plugin new acme-sms --dir target/kit/acme-sms
	CARGO_TARGET_DIR=$(CURDIR)/target/kit/build target/debug/pointsman plugin check target/kit/acme-sms

stories: build ## black-box stories; one of them: make stories ONLY=webchat
	@if $(HAS_NEXTEST); then \
	  tests/pg.sh run cargo nextest run --locked --workspace -E 'binary(stories) and test(/$(ONLY)/)'; \
	else \
	  tests/pg.sh run cargo test --locked --workspace --test stories $(ONLY); \
	fi

browser: build ## the console in a real browser; one story: make browser ONLY=rule
	@if [ -d $(CONSOLE)/node_modules ]; then cd $(CONSOLE) && npm run --silent check && npm run --silent unit; fi
	@tests/browser.sh $(if $(ONLY),-g "$(ONLY)")

pictures: build ## the README's pictures, from the console as it is
	POINTSMAN_PICTURES=1 tests/browser.sh pictures

speed: build ## frames while scrolling and opening a conversation, in a browser on a quiet machine
	@POINTSMAN_SPEED=1 tests/browser.sh --workers 1 speed.story.ts

crash: build ## kill -9 loop, CRASH_ROUNDS=100 rounds on each database
	CRASH_ROUNDS=$(CRASH_ROUNDS) tests/pg.sh run \
	  cargo test --locked --workspace --test stories -- --nocapture --test-threads 1 crash::

fuzz: ## mutated rules for FUZZ_SECONDS=600: reading and running them must end and be repeatable
	FUZZ_SECONDS=$(FUZZ_SECONDS) cargo test --locked --package pointsman-rules --lib -- --nocapture fuzz::

bench: plugins ## floors and the release build in the same run; table, JSON and plot in target/bench
ifeq ($(BENCH_ARGS),)
	cargo bench --locked -p pointsman-rules --bench speed
	cargo bench --locked -p pointsman --bench sandbox
endif
	cargo build --locked --release -p pointsman -p pointsman-tests --bin pointsman --bin bench
	@# Databases on the disk that holds target/: the system's own temporary directory may be memory.
	mkdir -p target/bench/tmp
	TMPDIR=$(CURDIR)/target/bench/tmp POINTSMAN_BIN=$(CURDIR)/target/release/pointsman target/release/bench $(BENCH_ARGS)

clean: ## remove build output; ./data stays
	cargo clean
