# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tests of the security modules share. Each of them refuses, by a
# policy of its own, $refused4 and $refused6; the bundles below have one of
# these among their three members, and must be refused whole. Sourced after
# lib.sh.

# shellcheck disable=SC2154,SC2317  # three_paths assigns to $client, $server
# shellcheck disable=SC2034  # for the scripts
readonly refused4=10.0.2.66 refused6=fd00:3::66
readonly refused_bundles=(
	"$refused4,10.0.1.2,fd00:3::2"
	"10.0.1.2,$refused4,fd00:3::2"
	"10.0.1.2,10.0.2.2,$refused6"
)
# What is left of each without the refused member.
readonly allowed_bundles=(
	"10.0.1.2,fd00:3::2"
	"10.0.1.2,fd00:3::2"
	"10.0.1.2,10.0.2.2"
)

next_port=7000

need_lsm()
{
	need_root
	grep -qsw "$1" /sys/kernel/security/lsm ||
		skip_all "the kernel was booted without lsm=$1"
}

# The server has the refused addresses, too: it is the policy that refuses them.
lsm_topology()
{
	three_paths
	ip -n "$server" addr add "$refused4/24" dev path2
	ip -n "$server" addr add "$refused6/64" dev path3 nodad
}

# held NETNS ARGUMENT...: the tool with --hold in the background; its output so
# far in $workdir/held.
held()
{
	local netns=$1 lines=$2

	shift 2
	: >"$workdir/held"
	start_in "$netns" "$tool" --hold "$@" >"$workdir/held"
	wait_for 10 has_lines "$lines"
}

has_lines()
{
	(($(wc -l <"$workdir/held") >= $1))
}

let_go()
{
	kill "$started_pid" 2>/dev/null
	wait "$started_pid" 2>/dev/null
	true
}

# endpoint_is NETNS PORT ADDRESSES: the only endpoint on the port has exactly
# these.
endpoint_is()
{
	gives "$2 $3" endpoints_of "$1" "$2"
}

endpoints_of()
{
	endpoints "$1" | grep "^$2 "
}

refused_then_bound()
{
	held "$server" 3 "${kind[@]}" bind --listen "$2" "$next_port" --or "$3"
	gives "bind: $1"$'\nunbound\nok' cat "$workdir/held" &&
		endpoint_is "$server" "$next_port" "$3"
}

# refuses_bind ERROR: three tests for each refused bundle, on $kind's socket.
refuses_bind()
{
	local error=$1 i name

	for i in "${!refused_bundles[@]}"; do
		: $((++next_port))
		name="${kind[*]}: bind {${refused_bundles[i]}}"
		check "$name is refused" gives "bind: $error" in_netns \
			"$server" "$tool" "${kind[@]}" bind \
			"${refused_bundles[i]}" "$next_port"
		check "$name leaves nothing bound" refused_then_bound \
			"$error" "${refused_bundles[i]}" "${allowed_bundles[i]}"
		let_go
		: $((++next_port))
		check "$name works without that member" gives ok in_netns \
			"$server" "$tool" "${kind[@]}" bind \
			"${allowed_bundles[i]}" "$next_port"
	done
}

refused_and_no_association()
{
	local error=$1

	shift
	held "$client" 2 "$@"
	# Unbound: no automatic bind before the refusal, either.
	gives "$error"$'\nunbound' cat "$workdir/held" &&
		gives 0 assoc_count "$client"
}

refused_then_associated()
{
	local error=$1

	shift
	held "$client" 3 "$@"
	gives "$error"$'\nunbound\nok' cat "$workdir/held" && gives 1 assoc_count "$client"
}

no_associations()
{
	gives 0 assoc_count "$client"
}

# refuses_connect COMMAND ERROR [INDEX...]: two tests for each refused bundle
# (or those of these numbers) with connect or sendto.
refuses_connect()
{
	local command=$1 error=$2 i name type=stream

	shift 2
	[ $# -gt 0 ] || set -- "${!refused_bundles[@]}"
	[ "$command" = connect ] || type=seqpacket
	start_server "$type"
	for i; do
		wait_for 10 no_associations
		name="${kind[*]}: $command {${refused_bundles[i]}}"
		check "$name is refused and makes no association" \
			refused_and_no_association "$command: $error" \
			"${kind[@]}" --type "$type" "$command" \
			"${refused_bundles[i]}" "$next_port"
		let_go
		check "$name works on the same socket without that member" \
			refused_then_associated "$command: $error" \
			"${kind[@]}" --type "$type" "$command" \
			"${refused_bundles[i]}" "$next_port" \
			--or "${allowed_bundles[i]}"
		let_go
	done
	kill "$serving" 2>/dev/null
	true
}

# start_server TYPE: at $next_port, which is new.
start_server()
{
	: $((++next_port))
	start_in "$server" "$tool" --limit 600 --type "$1" \
		serve "$server_addrs" "$next_port" >"$workdir/serve"
	serving=$started_pid
	wait_for 10 grep -q . "$workdir/serve"
}
