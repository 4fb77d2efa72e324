#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SELinux judges to which addresses (node_bind) and port a socket is bound, and
# to which port it connects: a bundle with one address that the policy refuses
# is refused whole. A bundle socket is an sctp_socket to it. The policy,
# lsm/selinux.conf, stays loaded.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib_lsm.sh
. "$(dirname "$0")/lib_lsm.sh"

need_lsm selinux
need_command ip checkpolicy
need_tool
need_bundle
readonly selinuxfs=/sys/fs/selinux
[ -e "$selinuxfs/load" ] || mount -t selinuxfs selinuxfs "$selinuxfs" ||
	skip_all "no selinuxfs"

load_policy()
{
	checkpolicy -U allow -o "$workdir/policy" "$here/lsm/selinux.conf" &&
	# By one write(2)
	dd if="$workdir/policy" of="$selinuxfs/load" bs=1M &&
	echo 1 >"$selinuxfs/enforce"
}

permissive()
{
	echo 0 >"$selinuxfs/enforce"
}

in_context()
{
	# shellcheck disable=SC2016  # the inner shell's own
	sh -c 'printf %s "$0" >/proc/self/attr/current && exec "$@"' "$@"
}

refuses_port()
{
	held "$client" 2 "${kind[@]}" --type "$1" "$2" "$server_addrs" 7999
	gives "$2: $3"$'\nunbound' cat "$workdir/held" &&
		gives 0 assoc_count "$client"
}

lsm_topology
plan 38
kind=()
# Without the policy, the addresses are like any other.
for i in "${!refused_bundles[@]}"; do
	check "without a policy: bind {${refused_bundles[i]}}" gives ok \
		in_netns "$server" "$tool" bind "${refused_bundles[i]}" 6900
done
check "the policy loads" load_policy
at_end+=(permissive)

for socket in bundle inet6; do
	kind=(--socket "$socket")
	refuses_bind EACCES

	# The port is the same for all members: it is the bundle that is refused.
	start_in "$server" "$tool" "${kind[@]}" \
		serve "$server_addrs" 7999 >"$workdir/serve"
	serving=$started_pid
	wait_for 10 grep -q . "$workdir/serve"
	check "$socket: connect to a refused port" refuses_port \
		stream connect EACCES
	let_go
	kill "$serving"
	wait "$serving" 2>/dev/null
	start_server stream
	check "$socket: connect to another port works" gives ok in_netns \
		"$client" "$tool" "${kind[@]}" connect "$server_addrs" "$next_port"
	kill "$serving"
	check "$socket: sendto a refused port" refuses_port \
		seqpacket sendto EACCES
	let_go
	start_server seqpacket
	check "$socket: sendto another port works" gives ok in_netns "$client" \
		"$tool" "${kind[@]}" --type seqpacket \
		sendto "$server_addrs" "$next_port"
	kill "$serving"
	skip "$socket: connect with a refused member" \
		"SELinux judges the port alone, which all members share"
	check "$socket: a domain without sctp_socket create has none" gives \
		"socket: EACCES" in_context user_u:program_r:nosctp_t \
		"$tool" "${kind[@]}" socket
done

# The same for plain addresses
kind=(--plain --socket inet)
check "a plain bind to the refused address" gives "bind: EACCES" \
	in_netns "$server" "$tool" "${kind[@]}" bind "$refused4" 6901
check "a plain connect to the refused port" gives "connect: EACCES" \
	in_netns "$client" "$tool" "${kind[@]}" connect 10.0.1.2 7999
check "what has nothing to do with SCTP is allowed" \
	in_netns "$client" ip link show
check "the policy is enforced" gives 1 cat "$selinuxfs/enforce"
finish
