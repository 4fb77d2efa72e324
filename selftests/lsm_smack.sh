#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Smack judges whom a socket may connect and send to, by the label of the host:
# a bundle with one host whose label the program may not write to is refused
# whole. It does not judge whose address a socket is bound to.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib_lsm.sh
. "$(dirname "$0")/lib_lsm.sh"

need_lsm smack
need_command ip
need_tool
need_bundle
readonly smackfs=/sys/fs/smackfs
# As smackfs reads it
readonly refused6_in_full=fd00:3:0:0:0:0:0:66
[ -e $smackfs/netlabel ] || mount -t smackfs smackfs $smackfs ||
	skip_all "no smackfs"

# refuse / allow: an access rule decides. The programs have the label _, the
# floor; no rule lets it write to Refused.
refuse()
{
	echo "$refused4/32 Refused" >"$smackfs"/netlabel &&
	echo "$refused6_in_full/128 Refused" >"$smackfs"/ipv6host
}

allow()
{
	echo "$refused4/32 -CIPSO" >"$smackfs"/netlabel
	echo "$refused6_in_full/128 -DELETE" >"$smackfs"/ipv6host
}
at_end+=(allow)

lsm_topology
plan 30
kind=()
start_server stream
# Without the labels, the hosts' addresses are like any other.
check "without labels: connect to all" gives ok in_netns "$client" "$tool" \
	connect "${refused_bundles[1]}" "$next_port"
kill "$serving"
refuse

for socket in bundle inet6; do
	kind=(--socket "$socket")
	refuses_connect connect EACCES
	refuses_connect sendto EACCES
	: $((++next_port))
	check "$socket: bind to addresses of both families works" gives ok \
		in_netns "$server" "$tool" "${kind[@]}" \
		bind "$server_addrs" "$next_port"
	skip "$socket: bind with a refused member" \
		"Smack does not judge to which address a socket is bound"
done

# What Smack says to plain addresses, bundles get, too.
kind=(--plain --socket inet)
check "a plain connect to the refused host" gives "connect: EACCES" \
	in_netns "$client" "$tool" "${kind[@]}" connect "$refused4" 7900
finish
