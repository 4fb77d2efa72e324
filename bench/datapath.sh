#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs bench/datapath.cpp's program in a network namespace of its own, which
# leaves nothing behind. Its options are passed on.

set -u
program=${BENCH_OUTPUT:-$(dirname "$0")/../build/bench}/datapath
if [ ! -x "$program" ]; then
	echo "TAP version 13"
	echo "1..0 # SKIP not built: make -C bench"
	exit 4
fi
PATH=$PATH:/usr/sbin:/sbin
modprobe -q bundle
modprobe -q sctp
# shellcheck disable=SC2016  # the inner shell's own
exec unshare --net sh -c 'ip link set lo up && exec "$0" "$@"' "$program" "$@"
