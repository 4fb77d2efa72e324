#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lksctp-tools' own functional tests, on the running kernel: 43 programs that
# selftests/lksctp-build has made from the distribution's source package. Each
# has a network namespace of its own, so that none sees another's ports, with
# the sysctls at their defaults: test_1_to_1_events wants AUTH off.

# shellcheck disable=SC2016,SC2317
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

dir=${LKSCTP:-$top/build/lksctp}
readonly dir
# The longest needs some 20 s, for the timers that it waits for.
readonly limit=120

need_root
[ -f "$dir/list" ] || skip_all "not built: see selftests/lksctp-build"
modprobe -q sctp || [ -e /proc/net/sctp ] ||
	skip_all "the kernel has no SCTP"

# run_one PROGRAM
run_one()
{
	env -C "$dir/src/src/func_tests" \
		unshare --net sh -c '
		ip link set lo up &&
		exec timeout -k 5 "$0" "$1" </dev/null
	' "$limit" "./$1"
}

mapfile -t programs <"$dir/list"
# lksctp-tools 1.0.19 has 43; fewer would mean that some weren't built.
[ "${#programs[@]}" -ge 43 ] || diag "only ${#programs[@]} of 43 programs"
plan "$((${#programs[@]} > 43 ? ${#programs[@]} : 43))"
for program in "${programs[@]}"; do
	check "$program" run_one "$program"
done
finish
