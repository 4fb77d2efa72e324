#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An administrator who blacklists SCTP keeps it out: a bundle socket asks for it
# by its own alias only. SCTP, once loaded, stays (its control sockets hold it),
# so this wants a guest in which nothing has loaded it yet.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need_root
need_command modprobe rmmod
need_tool
modinfo -n bundle >/dev/null 2>&1 || skip_all "no module bundle"
[ ! -d /sys/module/sctp ] || skip_all "SCTP is loaded already, and can't be" \
	"removed: this needs a guest of its own"

readonly blacklist=/etc/modprobe.d/bundle-selftest.conf

remove_blacklist()
{
	rm -f $blacklist
}
at_end+=(remove_blacklist)
mkdir -p "${blacklist%/*}" && echo "blacklist sctp" >$blacklist || exit $ksft_fail

plan 8
[ ! -d /sys/module/bundle ] || rmmod bundle
check "a bundle socket is refused: stream" \
	gives "socket: EPROTONOSUPPORT" "$tool" socket
check "the module of the family loads all the same" test -d /sys/module/bundle
check "a bundle socket is refused: seqpacket" \
	gives "socket: EPROTONOSUPPORT" "$tool" --type seqpacket socket
check "SCTP stays out" test ! -d /sys/module/sctp
check "the family's module goes and comes without SCTP" \
	sh -c "rmmod bundle && modprobe bundle"
check "SCTP stays out of that, too" test ! -d /sys/module/sctp

# What kept it out was the blacklist and nothing else.
remove_blacklist
check "without the blacklist, the same call succeeds" gives ok "$tool" socket
check "and has loaded SCTP" test -d /sys/module/sctp
finish
