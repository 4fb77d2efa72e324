#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module's life: it loads when a bundle socket is made, can't be removed
# while one exists, can be afterwards, and again and again. Without it, ordinary
# SCTP sockets know no bundles.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need_root
need_command ip modprobe rmmod
need_tool
need_bundle
[ -f /sys/module/bundle/refcnt ] || skip_all "bundle is built in"

reload()
{
	modprobe bundle
}
at_end+=(reload)

loaded()
{
	[ -d /sys/module/bundle ]
}

# Sockets of a process that has just ended may still be on their way out.
removed()
{
	wait_for 10 rmmod bundle && ! loaded
}

refused()
{
	if rmmod bundle; then
		echo "rmmod succeeded"
		return 1
	fi
	loaded
}

autoloads()
{
	! loaded && "$tool" "$@" && loaded
}

fails_with()
{
	local wanted=$1

	shift
	gives "$wanted" "$@"
}

# Starts the tool and waits until it holds its socket.
hold()
{
	: >"$workdir/held"
	start "$@" >"$workdir/held"
	wait_for 10 grep -q . "$workdir/held" &&
		gives ok cat "$workdir/held"
}

let_go()
{
	kill "$started_pid"
	wait "$started_pid" 2>/dev/null
	true
}

# three tests
held_by()
{
	local name=$1

	shift
	check "$name is made" hold "$@"
	check "$name keeps the module" refused
	let_go
	check "$name, closed, lets it go" removed
	modprobe bundle
}

in_and_out()
{
	local i

	for i in {1..20}; do
		if ! { modprobe bundle &&
			"$tool" bind 127.0.0.1,::1 4000 && removed; }; then
			echo "round $i"
			return 1
		fi
	done
}

plan 26
check "the module can be removed" removed
check "its /proc/net/bundle_stat goes with it" test ! -e /proc/net/bundle_stat

# SCTP's sockets: a bundle is a foreign family, and loads nothing.
for family in inet inet6; do
	check "bind of an ordinary $family socket without the module" \
		fails_with "bind: EAFNOSUPPORT" \
		"$tool" --socket $family bind 127.0.0.1,127.0.0.2 4001
	check "connect of an ordinary $family socket without the module" \
		fails_with "connect: EAFNOSUPPORT" \
		"$tool" --socket $family connect 127.0.0.1,127.0.0.2 4001
	check "sendto of an ordinary $family socket without the module" \
		fails_with "sendto: EAFNOSUPPORT" \
		"$tool" --socket $family --type seqpacket \
		sendto 127.0.0.1,127.0.0.2 4001
done
check "they don't load it" test ! -d /sys/module/bundle
modprobe bundle
check "bind of an ordinary socket with the module" \
	gives ok "$tool" --socket inet bind 127.0.0.1,127.0.0.2 4001
check "an ordinary socket doesn't keep the module" removed

check "socket(2) loads it: stream" autoloads socket
check "an unused module can be removed" removed
check "socket(2) loads it: seqpacket" autoloads --type seqpacket socket

held_by "a bound socket" "$tool" --hold bind 127.0.0.1,::1 4002
held_by "an accepted socket" "$tool" keep accepted
held_by "a peeled-off socket" "$tool" keep peeled

# A namespace that goes away under its sockets: they end with their process.
netns_add gone
# shellcheck disable=SC2154  # netns_add assigns to $gone
check "a socket in a namespace" hold ip netns exec "$gone" "$tool" --hold \
	bind 127.0.0.1,::1 4003
ip netns del "$gone"
let_go
check "the module survives the namespace and its sockets, and can go" removed

check "20 times in and out" in_and_out
finish
