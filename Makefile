# SPDX-License-Identifier: GPL-2.0
#
# make run and make check do everything on a fresh Debian 12 machine; make help
# lists the parts.

.DEFAULT_GOAL := help
SHELL := /bin/bash
vm := qemu/vm
step := tools/step

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' Makefile

.PHONY: deps
deps: ## install the Debian packages that the rest needs
	@tools/deps

.PHONY: patches-apply
patches-apply: deps ## lay kernel/ and patches/ on Debian's source, as commits in build/linux
	@$(step) patches-apply tools/patch-tree kernel apply

.PHONY: patches-refresh
patches-refresh: ## turn the commits in build/linux back into kernel/ and patches/
	@tools/patch-tree kernel refresh

.PHONY: kernel kernel-debug kernel-race kernel-coverage kernel-stock
kernel: patches-apply ## build the guests' release kernel
	@$(step) kernel-release tools/kernel-build release
kernel-debug: patches-apply ## the same with every checker on
	@$(step) kernel-debug tools/kernel-build debug
kernel-race: patches-apply ## the same with KCSAN, which finds data races
	@$(step) kernel-race tools/kernel-build race
kernel-coverage: patches-apply ## the same, counting which of our lines are reached
	@$(step) kernel-coverage tools/kernel-build coverage
kernel-stock: patches-apply ## the same as release, without our patches
	@$(step) kernel-stock tools/kernel-build stock

.PHONY: glibc-patches-apply
glibc-patches-apply: deps ## lay glibc-patches/ on Debian's glibc, as commits in build/glibc
	@$(step) glibc-patches-apply tools/patch-tree glibc apply

.PHONY: glibc-patches-refresh
glibc-patches-refresh: ## turn the commits in build/glibc back into glibc-patches/
	@tools/patch-tree glibc refresh

.PHONY: glibc glibc-install
glibc: glibc-patches-apply ## build the guests' C library
	@$(step) glibc tools/glibc-build
glibc-install: glibc ## put it into DESTDIR=..., beside the system's own
	@tools/glibc-build install "$(DESTDIR)"

.PHONY: module
module: ## build bundle.ko alone, against the built tree KDIR=... that has our patches
	@tools/module-build "$(KDIR)"

.PHONY: selftests
selftests: patches-apply tools ## build the selftests and benchmarks
	@$(step) selftests $(MAKE) -j$(shell nproc) -C selftests CXX="ccache g++"
	@$(step) bench $(MAKE) -C bench CXX="ccache g++"

.PHONY: tools tools-install
tools: deps ## build the command-line tool, build/tools/bundle
	@$(step) tools $(MAKE) -j$(shell nproc) -C tools/bundle CXX="ccache g++"
tools-install: tools ## put it, its manual pages and its completion into DESTDIR=..., /usr/local
	@$(MAKE) -s -C tools/bundle install

.PHONY: run
run: kernel glibc ## build, boot, and show unmodified programs over three paths, the first one dead
	@tools/demo

.PHONY: bench bench-docs
bench: kernel ## measure how long connecting takes and what connections carry, in virtual time
	@$(step) bench $(MAKE) -C bench CXX="ccache g++"
	@bench/run
bench-docs: ## put what make bench has measured into README.md and docs/
	@bench/report --docs

.PHONY: programs-docs
programs-docs: ## put what make check has seen programs do into docs/programs.md
	@tools/programs-docs

.PHONY: lint
lint: patches-apply ## the static checks alone
	@tools/check lint

.PHONY: check
check: deps ## all tests
	@# Two builds at once fill the pauses that each leaves to the other.
	@$(MAKE) --no-print-directory -j2 kernel kernel-debug glibc selftests
	@tools/check

.PHONY: check-long
check-long: kernel kernel-debug kernel-race glibc selftests ## what takes too long for make check: faults, loads, races, a soak
	@tools/check long

.PHONY: fuzz
fuzz: fuzz-calls fuzz-wire ## system calls and packets at random, each for TIME=600 seconds of the guest's clock

.PHONY: fuzz-calls fuzz-wire
fuzz-calls fuzz-wire: fuzz-%: kernel-debug selftests
	@$(step) $@ tools/fuzz $* --time=$(or $(TIME),600)
	@grep ': totals: ' build/log/$@.log

.PHONY: coverage
coverage: kernel-coverage glibc selftests ## which of our lines in the kernel the tests reach
	@tools/coverage

.PHONY: check-stock
check-stock: kernel-stock glibc selftests ## the tests of SCTP and of the guest on Debian's own kernel
	@tools/check stock

.PHONY: check-series
check-series: patches-apply ## build and boot a kernel after each patch of the series (long)
	@tools/check-series

.PHONY: format
format: ## format the C++ sources
	@clang-format -i $$(git ls-files '*.cpp' '*.hpp')

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build
