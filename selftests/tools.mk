# SPDX-License-Identifier: GPL-2.0
# The program that the topology scripts call, and the sources of theirs that
# must be compiled; included by the Makefile.

OUTPUT ?= $(CURDIR)/../build/selftests
SELFTESTS := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
TOOLS := $(OUTPUT)/bundle_tool
LKSCTP ?= $(SELFTESTS)/../build/lksctp

$(OUTPUT)/bundle_tool: $(SELFTESTS)/bundle_tool.cpp \
		$(SELFTESTS)/descriptor.hpp \
		$(wildcard $(SELFTESTS)/../include/bundle/*.hpp) \
		$(SELFTESTS)/../kernel/include/uapi/linux/bundle.h
	@mkdir -p $(@D)
	$(CXX) -std=c++20 -O1 -Wall -Wextra -Werror \
		-I$(SELFTESTS)/../include \
		-isystem $(SELFTESTS)/../kernel/include/uapi $(CXXFLAGS) \
		-o $@ $<

tools: $(TOOLS)

# lksctp-tools' functional tests, which lksctp.sh runs
lksctp: $(LKSCTP)/list
$(LKSCTP)/list: $(SELFTESTS)/lksctp-build
	$(SELFTESTS)/lksctp-build $(LKSCTP)

.PHONY: tools lksctp
