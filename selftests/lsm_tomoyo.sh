#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# TOMOYO judges to which addresses and ports a stream socket is bound and
# connects: a bundle with one address that the program's domain has no rule for
# is refused whole. The policy, lsm/tomoyo.*, can be loaded only once, and stays.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib_lsm.sh
. "$(dirname "$0")/lib_lsm.sh"

need_lsm tomoyo
need_command ip
need_tool
need_bundle
readonly policy=/sys/kernel/security/tomoyo
[ -e "$policy/domain_policy" ] || skip_all "no $policy"

# TOMOYO takes its policy before its loader has run, which the kernel calls when
# a program named /sbin/init is first executed.
load_policy()
{
	local program

	program=$(realpath "$tool")
	cat "$here/lsm/tomoyo.profile" >"$policy/profile" &&
	echo "initialize_domain $program from any" \
		>"$policy/exception_policy" &&
	{
		echo "<kernel> $program"
		cat "$here/lsm/tomoyo.domain"
	} >"$policy/domain_policy" &&
	{
		[ -e /sbin/tomoyo-init ] || ln -s /bin/true /sbin/tomoyo-init
		[ -e /sbin/init ] || ln -s /bin/true /sbin/init
	} || return
	# Whatever it says: it isn't the first process.
	/sbin/init --version
	grep -q "^<kernel> $program\$" "$policy/domain_policy" &&
	grep -q '^1-CONFIG::network={ mode=enforcing' "$policy/profile"
}

lsm_topology
plan 39
kind=()
for i in "${!refused_bundles[@]}"; do
	check "without a policy: bind {${refused_bundles[i]}}" gives ok \
		in_netns "$server" "$tool" bind "${refused_bundles[i]}" 6900
done
check "the policy loads" load_policy

for socket in bundle inet6; do
	kind=(--socket "$socket")
	refuses_bind EPERM
	refuses_connect connect EPERM
	skip "$socket: one-to-many sockets" \
		"TOMOYO judges no SOCK_SEQPACKET of IPv4 and IPv6"
done

# listen(2) is judged by the name that the socket gives.
check "listen on a refused port" gives "listen: EPERM" in_netns "$server" \
	"$tool" serve "$server_addrs" 7999
check "listen on a refused port, the name being a bundle" gives \
	"listen: EPERM" in_netns "$server" \
	"$tool" --names serve "$server_addrs" 7999
check "a plain bind to the refused address" gives "bind: EPERM" \
	in_netns "$server" "$tool" --plain --socket inet bind "$refused4" 6901
finish
