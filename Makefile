# Every way into the house. `make` alone lists them.

CARGO   ?= cargo
PYTHON  ?= python3
PREFIX  ?= /usr/local
DESTDIR ?=
C       ?= etc

TARGET  := $(or $(CARGO_TARGET_DIR),target)
GNU     := $(shell uname -m)-unknown-linux-gnu
MUSL    := $(shell uname -m)-unknown-linux-musl
INIT    := $(TARGET)/release/mcp-init
RUNNER  := $(TARGET)/release/mcp-runner
STATIC  := $(TARGET)/static

# What only the tests need lives here, and can be thrown away at any time.
CACHE   := .cache
VENV    := $(CACHE)/python
MODULES := tests/clients/node_modules

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@echo 'make TARGET, where TARGET is one of:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo 'C=DIR names another configuration than etc/ for run, status, stop and logs.'

# The supervisor is always static: it needs nothing of the host, and holds a third less memory. With musl a command
# of it takes a third less time, too; where the toolchain has no musl (rustup target add), glibc does.
STATICALLY := RUSTFLAGS='-C target-feature=+crt-static -C relocation-model=static'
BUILD      := $(CARGO) build --release --locked --bins
INIT_LIBC  := $(if $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(MUSL)/lib/libstd-*),$(MUSL),$(GNU))

.PHONY: build
build: ## Build target/release/mcp-init and target/release/mcp-runner
	@$(BUILD) --package mcp-runner
	@$(MAKE) --no-print-directory static-init
	@install $(STATIC)/mcp-init $(INIT)

.PHONY: static-init
static-init:
	@$(STATICALLY) $(BUILD) --package mcp-init --target $(INIT_LIBC) --target-dir $(STATIC)
	@install $(STATIC)/$(INIT_LIBC)/release/mcp-init $(STATIC)

.PHONY: static
static: static-init ## Build fully static ones, which run in an empty container
	$(STATICALLY) $(BUILD) --package mcp-runner --target $(GNU) --target-dir $(STATIC)
	@install $(STATIC)/$(GNU)/release/mcp-runner $(STATIC)
	@ls -l $(STATIC)/mcp-init $(STATIC)/mcp-runner

.PHONY: run
run: build ## Build, then supervise the servers of etc/ in the foreground (Ctrl-C ends)
	@$(INIT) -c $(C) run --table

.PHONY: status
status: ## Show the servers that `make run` supervises
	@$(INIT) -c $(C) status

.PHONY: stop
stop: ## End `make run` and all its servers
	@$(INIT) -c $(C) shutdown

.PHONY: logs
logs: ## Show the output of one service: make logs S=name
	@test -n '$(S)' || { echo 'make logs S=name: which service?' >&2; exit 2; }
	@$(INIT) -c $(C) logs $(S)

# The tests drive the release build, whatever profile they are built with themselves.
# Folders whose conftest.py others import are tried one by one: it is one module to Python.
PYTEST := $(VENV)/bin/python -m pytest -q -p no:cacheprovider
TESTED := MCP_INIT='$(abspath $(INIT))' MCP_RUNNER='$(abspath $(RUNNER))'

.PHONY: test
test: build ## Install what the tests need, and run them
	@tests/install.sh
	$(TESTED) $(CARGO) test --locked --workspace
	$(TESTED) $(PYTEST) tests/clients
	$(TESTED) $(PYTEST) tests/metrics tests/schedule tests/schema

.PHONY: test-all
test-all: test ## And those that take hours (MCP_TEST_SESSION=60: minutes): 100,000 restarts, 1,000 services, how fast output is written
	$(TESTED) $(CARGO) test --locked --workspace -- --ignored
	tests/documents/install.sh
	$(TESTED) $(PYTEST) -s -m wide tests/clients
	$(TESTED) $(PYTEST) -s -m wide tests/update
	$(TESTED) HOSTILE_EXAMPLES=20000 $(PYTEST) tests/clients/test_hostile.py
	tests/metrics/install.sh
	$(TESTED) $(PYTEST) -m wide tests/metrics
	$(MAKE) test-containers
	$(MAKE) test-vm
	$(MAKE) test-hosts

.PHONY: test-vm
test-vm: static ## Boot the static program, and a systemd that runs it, as first process of a virtual machine (installs qemu: root)
	@tests/install.sh
	@tests/vm/install.sh
	MCP_INIT_STATIC='$(abspath $(STATIC)/mcp-init)' $(PYTEST) tests/vm

.PHONY: test-containers
test-containers: static ## Try the image of etc/container under podman and a Docker daemon (installs them: root)
	@tests/install.sh
	@tests/containers/install.sh
	MCP_STATIC='$(abspath $(STATIC))' tests/containers/jail.sh "$$(mktemp -d)" \
		$(PYTEST) -s tests/containers

.PHONY: test-hosts
test-hosts: static ## Deploy on real inits: systemd, OpenRC, runit and sysvinit, each booted twice (root)
	@tests/install.sh
	@tests/hosts/install.sh
	MCP_STATIC='$(abspath $(STATIC))' unshare --mount --propagation private \
		$(PYTEST) tests/hosts

.PHONY: test-mutants
test-mutants: ## Plant faults in the rules of a service's life, and see that its tests find each
	@$(PYTHON) tests/mutants/run.py

.PHONY: lint
lint: ## Check format, clippy with warnings as errors, shell scripts where shellcheck is there
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run $(wildcard tests/*.sh tests/*/*.sh); \
	else echo 'lint: no shellcheck here, shell scripts not checked'; fi

.PHONY: bench
bench: build ## Compare with the floor, runit, s6 and supervisord (installs them: root)
	tests/bench/install.sh
	$(TESTED) $(PYTHON) tests/bench/bench.py

.PHONY: bench-walls
bench-walls: build ## What limits and a sandbox cost, beside a floor that builds the same walls, and bubblewrap (root)
	tests/bench/install.sh
	$(TESTED) $(PYTHON) tests/bench/bench.py --rows start,stop --sizes 100 \
		--peers floor,floor+log,floor+walls,mcp-init,limited,strict,bwrap

.PHONY: bench-bridge
bench-bridge: build ## Compare the bridge with supergateway and mcp-proxy
	@tests/install.sh
	$(TESTED) $(PYTHON) tests/bench/bridge.py

.PHONY: bench-runner
bench-runner: build ## Compare the runner with FastMCP, openapi-mcp-server and openapi-mcp-generator
	@tests/install.sh
	$(TESTED) $(PYTHON) tests/bench/openapi.py

.PHONY: install
install: build ## Install programs, examples, schema and man page: make install DESTDIR= PREFIX=
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/man/man8' \
		'$(DESTDIR)$(PREFIX)/share/mcp-init' '$(DESTDIR)$(PREFIX)/share/doc/mcp-init'
	install -m 755 $(INIT) $(RUNNER) '$(DESTDIR)$(PREFIX)/bin'
	$(INIT) help --man >$(TARGET)/mcp-init.8
	install -m 644 $(TARGET)/mcp-init.8 '$(DESTDIR)$(PREFIX)/share/man/man8'
	install -m 644 README.md CHANGELOG.md LICENSE '$(DESTDIR)$(PREFIX)/share/doc/mcp-init'
	@# Not mcp-init.json: it keeps everything inside the checkout.
	for file in $$(cd etc && find . -type f ! -name mcp-init.json); do \
		install -D -m 644 "etc/$$file" "$(DESTDIR)$(PREFIX)/share/mcp-init/$$file" || exit; done

.PHONY: clean
clean: ## Remove everything that was built or fetched
	rm -rf $(TARGET) $(CACHE) $(MODULES)
