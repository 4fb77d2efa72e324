#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# AppArmor 6.12 judges the family and the type of a socket, and no addresses of
# IPv4 or IPv6. A bundle socket is two to it: one of its own family and the one
# underneath; refusing either refuses it, when it is made and, if the profile has
# changed since, in each call.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib_lsm.sh
. "$(dirname "$0")/lib_lsm.sh"

need_lsm apparmor
need_command ip apparmor_parser aa-exec
need_tool
need_bundle
readonly profiles=$here/lsm/apparmor.profiles

unload()
{
	apparmor_parser -R "$profiles"
}

as()
{
	local profile=$1

	shift
	aa-exec -p "$profile" -- "$tool" "$@"
}

# refused_later TYPE CALL: what a call gives under bundle-not-inet6 on a socket
# that was made unconfined.
refused_later()
{
	held "$client" 2 --change-profile bundle-not-inet6 "${kind[@]}" \
		--type "$1" "$2" "$(address_for "$2")" "$next_port"
	# That socket can't be asked for its name, but the addresses are free.
	gives "$2: EACCES"$'\ngetsockname: EACCES' cat "$workdir/held" &&
		gives 0 assoc_count "$client" && gives ok in_netns "$client" \
		"$tool" bind "$client_addrs" "$next_port"
}

# allowed_later TYPE CALL: the same under bundle-inet.
allowed_later()
{
	gives ok in_netns "$client" "$tool" --change-profile bundle-inet \
		"${kind[@]}" --type "$1" \
		"$2" "$(address_for "$2")" "$next_port"
}

address_for()
{
	if [ "$1" = bind ]; then
		echo "$client_addrs"
	else
		echo "$server_addrs"
	fi
}

lsm_topology
plan 25
check "the profiles load" apparmor_parser -r -K "$profiles"
at_end+=(unload)

# "network," stands for all families that the parser has heard of.
name="every family allowed: a bundle socket"
if [ "$(as bundle-all socket)" = "socket: EACCES" ]; then
	skip "$name" "this apparmor_parser's \"network,\" has no family 46"
else
	check "$name" gives ok as bundle-all socket
fi
check "IPv4 and IPv6 allowed: an IPv6 socket" gives ok \
	as bundle-inet --socket inet6 socket
check "IPv4 and IPv6 allowed: no bundle socket" gives "socket: EACCES" \
	as bundle-inet socket
check "IPv6 refused: an IPv4 socket" gives ok \
	as bundle-not-inet6 --socket inet socket
check "IPv6 refused: no bundle socket" gives \
	"socket: EACCES" as bundle-not-inet6 socket
check "IPv6 refused: no one-to-many bundle socket" gives \
	"socket: EACCES" as bundle-not-inet6 --type seqpacket socket

for socket in bundle inet6; do
	kind=(--socket "$socket")
	for command in bind connect sendto; do
		type=stream
		[ "$command" != sendto ] || type=seqpacket
		start_server "$type"
		check "$socket: $command under a profile that refuses the socket underneath" \
			refused_later "$type" "$command"
		let_go
		check "$socket: $command under one that allows it" \
			allowed_later "$type" "$command"
		kill "$serving" 2>/dev/null
	done
	for command in bind connect sendto; do
		skip "$socket: $command with a refused member" \
			"AppArmor knows no addresses of IPv4 and IPv6"
	done
done
finish
