# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the topology scripts share: KTAP output, network namespaces that go away
# with the script, the three-path topology, and waiting with a limit. Sourced.

# shellcheck disable=SC2016,SC2317  # awk's and sh's own $; called by check

PATH=$PATH:/usr/sbin:/sbin
export PATH

# Exit statuses of kselftest.
readonly ksft_pass=0 ksft_fail=1 ksft_skip=4

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly top=${here%/*}
# Where the Makefile puts the programs; beside the scripts once installed.
output=$here
[ -x "$output/bundle_tool" ] || output=${OUTPUT:-$top/build/selftests}
# shellcheck disable=SC2034  # for the scripts
readonly output tool=$output/bundle_tool

# The addresses of the three paths; the scripts that source this use them.
# shellcheck disable=SC2034
readonly client_addrs=10.0.1.1,10.0.2.1,fd00:3::1
# shellcheck disable=SC2034
readonly server_addrs=10.0.1.2,10.0.2.2,fd00:3::2

workdir=$(mktemp -d "${TMPDIR:-/tmp}/bundle.XXXXXX")
readonly workdir
netns_made=()
started=()
at_end=()
tests_planned=0
tests_run=0
tests_failed=0

# end_started: ends what start has begun, and waits for it.
end_started()
{
	local i

	for i in "${started[@]}"; do
		kill "$i" 2>/dev/null
	done
	for i in "${started[@]}"; do
		wait "$i" 2>/dev/null
	done
	started=()
}

cleanup()
{
	local i

	end_started
	for i in "${at_end[@]}"; do
		"$i"
	done
	for i in "${netns_made[@]}"; do
		ip netns del "$i" 2>/dev/null
	done
	rm -rf "$workdir"
}
trap cleanup EXIT
trap 'exit $ksft_fail' INT TERM HUP

# --- KTAP -------------------------------------------------------------------

plan()
{
	tests_planned=$1
	echo "TAP version 13"
	echo "1..$1"
}

skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit $ksft_skip
}

diag()
{
	echo "# ${*//$'\n'/$'\n'# }"
}

ok()
{
	echo "ok $((++tests_run)) $*"
}

not_ok()
{
	echo "not ok $((++tests_run)) $*"
	: $((++tests_failed))
}

skip()
{
	echo "ok $((++tests_run)) $1 # SKIP $2"
}

# check NAME COMMAND...: one test, passed if the command succeeds; what it
# prints is shown if not. The command runs in this shell: it can wait.
check()
{
	local name=$1 status

	shift
	if "$@" >"$workdir/check" 2>&1; then
		ok "$name"
	else
		status=$?
		diag "$* (status $status)"
		sed 's/^/# /' "$workdir/check"
		not_ok "$name"
	fi
}

# gives WANTED COMMAND...: the command's standard output is WANTED, to be used
# with check.
gives()
{
	local wanted=$1 got

	shift
	got=$("$@")
	[ "$got" = "$wanted" ] && return
	echo "wanted: $wanted"
	echo "got:    $got"
	return 1
}

# Ends the script: every planned test must have run, whatever broke.
finish()
{
	while ((tests_run < tests_planned)); do
		not_ok "not run"
	done
	if ((tests_failed)); then
		exit $ksft_fail
	fi
	exit $ksft_pass
}

# --- What must be there -----------------------------------------------------

need_root()
{
	[ "$(id -u)" = 0 ] || skip_all "must be run as root"
}

need_command()
{
	local i

	for i in "$@"; do
		command -v "$i" >/dev/null || skip_all "$i is not there"
	done
}

need_tool()
{
	[ -x "$tool" ] || skip_all "$tool is not built"
}

need_bundle()
{
	modprobe -q sctp || [ -e /proc/net/sctp ] ||
		skip_all "the kernel has no SCTP"
	modprobe -q bundle || [ -e /proc/net/bundle_stat ] ||
		skip_all "the kernel has no AF_BUNDLE"
}

# need_names "$@": names of bundles, for a script with these arguments. It begins
# anew in a mount namespace, where over() changes files for it alone: this may be a
# machine and no guest.
need_names()
{
	local made status

	need_command getent unshare
	getent bundles >/dev/null 2>&1 || [ $? != 1 ] ||
		skip_all "the C library is not the patched one"
	grep -q '^bundles:' /etc/nsswitch.conf ||
		skip_all "nsswitch.conf has no bundles: line"
	[ "${1-}" != --inside ] || return 0

	[ -e /etc/bundles ] || made=/etc/bundles
	touch /etc/bundles
	unshare --mount -- "$0" --inside
	status=$?
	rm -f "${made-}"
	exit $status
}

# over FILE: what is on standard input takes its place.
over()
{
	cat >"$workdir/${1##*/}" && mount --bind "$workdir/${1##*/}" "$1"
}

# --- Waiting ----------------------------------------------------------------

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for()
{
	local tries=$(($1 * 10))

	shift
	while ! "$@" >/dev/null 2>&1; do
		((tries-- > 0)) || return 1
		sleep 0.1
	done
}

# start PROGRAM...: in the background, ended with the script; $started_pid is for
# the shell's wait, which $tool limits: it ends itself after --limit seconds.
start()
{
	"$@" &
	started_pid=$!
	started+=("$started_pid")
}

# start_in NETNS PROGRAM...: as start; ip(8) becomes the program.
start_in()
{
	start ip netns exec "$@"
}

# listening sctp|tcp PORT: does the server of three_paths? By /proc, as ss(8) takes
# half a second in a guest.
# shellcheck disable=SC2154  # netns_add sets it
listening()
{
	if [ "$1" = sctp ]; then
		in_netns "$server" awk -v port="$2" \
			'$4 == 10 && $6 == port { found = 1 } END { exit !found }' \
			/proc/net/sctp/eps
	else
		in_netns "$server" grep -q ":$(printf %04X "$2") 0*:0000 0A" \
			/proc/net/tcp /proc/net/tcp6
	fi
}

# --- Network namespaces -----------------------------------------------------

# netns_add VARIABLE...: makes a namespace with loopback up and puts its name
# into each variable. No duplicate address detection: addresses serve at once.
netns_add()
{
	local variable name

	for variable in "$@"; do
		name=bundle-$$-$variable
		ip netns add "$name" || exit $ksft_fail
		netns_made+=("$name")
		printf -v "$variable" %s "$name"
		in_netns "$name" sysctl -qw \
			net.ipv6.conf.all.accept_dad=0 \
			net.ipv6.conf.default.accept_dad=0
		ip -n "$name" link set lo up
	done
}

in_netns()
{
	local name=$1

	shift
	ip netns exec "$name" "$@"
}

# Two namespaces, named by $client and $server, with three paths between them:
# path1 10.0.1.0/24, path2 10.0.2.0/24, path3 fd00:3::/64; the client has the
# .1s, the server the .2s.
# shellcheck disable=SC2154  # netns_add assigns to $client and $server
three_paths()
{
	local i side

	netns_add client server
	for i in 1 2 3; do
		ip link add "path$i" netns "$client" type veth \
			peer name "path$i" netns "$server" || exit $ksft_fail
	done
	i=0
	for side in "$client" "$server"; do
		: $((++i))
		ip -n "$side" addr add "10.0.1.$i/24" dev path1
		ip -n "$side" addr add "10.0.2.$i/24" dev path2
		ip -n "$side" addr add "fd00:3::$i/64" dev path3 nodad
		ip -n "$side" link set path1 up
		ip -n "$side" link set path2 up
		ip -n "$side" link set path3 up
	done
	for side in "$client" "$server"; do
		wait_for 5 carriers_up "$side" || exit $ksft_fail
	done
}

carriers_up()
{
	! ip -n "$1" -o link show | grep -q 'NO-CARRIER\|state DOWN'
}

# --- SCTP's state -----------------------------------------------------------

# /proc writes IPv6 addresses in full. listed: words of standard input, as one
# list in order, or nothing.
listed()
{
	local words

	words=$(tr -s ' \n' ',,' | sed 's/^,//; s/,$//')
	[ -z "$words" ] || "$tool" list "$words"
}

# assoc_count NETNS
assoc_count()
{
	in_netns "$1" sed 1d /proc/net/sctp/assocs | wc -l
}

# endpoints NETNS: "PORT ADDRESS,..." for each, addresses in order.
endpoints()
{
	local port rest

	in_netns "$1" awk 'NR > 1 { $1 = $2 = $3 = $4 = $5 = $7 = $8 = ""; print }' \
		/proc/net/sctp/eps |
	while read -r port rest; do
		echo "$port $(listed <<<"$rest")"
	done
}

# assoc_addrs NETNS local|remote: those of the (one) association, in order,
# without SCTP's mark on the primary.
assoc_addrs()
{
	in_netns "$1" awk -v side="$2" '
	NR > 1 {
		# Fixed columns up to the remote port, then local addresses,
		# "<->", remote addresses, and numbers again.
		mark = 0
		for (i = 1; i <= NF; i++) {
			if ($i == "<->") {
				mark = i
				break
			}
		}
		if (side == "local")
			for (i = mark - 1; $i ~ /[.:]/; i--)
				print $i
		else
			for (i = mark + 1; $i ~ /[.:]/; i++)
				print $i
	}' /proc/net/sctp/assocs | tr -d '*' | listed
}

# The primary path's remote address.
assoc_primary()
{
	in_netns "$1" sed -n 's/.*<-> .*\*\([^ ]*\).*/\1/p' \
		/proc/net/sctp/assocs | listed
}
