# SPDX-License-Identifier: Apache-2.0
# Thin wrapper: meson builds, scripts/ do. `make help` lists the targets.
BUILD ?= build
BUILD_ASAN ?= build-asan
export BUILD BUILD_ASAN

.PHONY: all help setup build demo test test-long bench lint format install docs clean

all: build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install what is missing on a Debian 12, reserve hugepages
	@scripts/setup

$(BUILD)/build.ninja: | setup
	@meson setup $(BUILD)

build: $(BUILD)/build.ninja ## build the programs
	@ninja -C $(BUILD)

demo: setup ## two tenants with the same addresses over two hosts, with real traffic (KEEP=1 leaves it up)
	@$(MAKE) --no-print-directory build
	@scripts/demo

test: setup ## every suite, short sizes; the first three under sanitizers too
	@scripts/run-tests

test-long: setup ## every suite in full size, also under sanitizers and with two workers; docs/test-report.md
	@scripts/run-tests --long --report docs/test-report.md

bench: ## figures beside OVS-DPDK, grout and the kernel; QUICK=1 within three minutes; see docs/performance.md
	@scripts/setup --bench
	@scripts/bench

lint: $(BUILD)/build.ninja ## clang-format, clang-tidy, shellcheck, python syntax
	@scripts/lint

format: ## bring the C sources into their form
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i

install: build ## DESTDIR and meson's --prefix hold
	@meson install -C $(BUILD) --no-rebuild

docs: build ## reference pages, man page and the drawn graph, from the programs themselves
	@scripts/docs

clean: ## remove the build directories
	@rm -rf $(BUILD) $(BUILD_ASAN) build-fuzz
