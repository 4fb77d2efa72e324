#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A program that is given a bundle's name gets to its next address family in time
# when the bundle can't be connected: at once if somebody says so, after
# net.sctp.bundle_connect_timeout if a middlebox swallows SCTP. Times are measured:
# run it in a guest in virtual time.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly port=8000

need_root
need_command nc nft
need_bundle
need_names "$@"

# connects FROM TO NAME: netcat does, after so many seconds.
connects()
{
	local from=$1 to=$2 before after

	before=$(date +%s.%N)
	in_netns "$client" timeout 900 nc -z -v "$3" $port || return
	after=$(date +%s.%N)
	awk -v from="$from" -v to="$to" -v t="$before $after" 'BEGIN {
		split(t, at)
		took = at[2] - at[1]
		print took " seconds, wanted: " from " to " to
		exit !(took >= from && took <= to)
	}'
}

# behind RULE COMMAND...: with a middlebox that has this rule.
behind()
{
	local rule=$1 status

	shift
	in_netns "$server" nft -f - <<-EOF2 || return
		table inet middlebox {
			chain c {
				type filter hook prerouting priority raw
				$rule
			}
		}
	EOF2
	"$@"
	status=$?
	in_netns "$server" nft delete table inet middlebox
	return "$status"
}

three_paths
{ cat /etc/hosts; echo "10.0.1.2 ordinary"; } | over /etc/hosts
over /etc/bundles <<'EOF2'
server {10.0.1.2,10.0.2.2,fd00:3::2}
EOF2
start_in "$server" nc -l -k $port >/dev/null
wait_for 10 listening tcp $port || exit $ksft_fail
# The first use reads the program and the libraries.
connects 0 60 ordinary >/dev/null 2>&1

plan 5
check "an ordinary name is connected at once" connects 0 0.2 ordinary
check "a bundle's, where no SCTP server listens, likewise" connects 0 0.2 server
check "where SCTP is swallowed, within the bound" \
	behind "meta l4proto sctp drop" connects 4 4.2 server
check "where SCTP is refused by ICMP, at once" \
	behind "meta l4proto sctp reject with icmpx admin-prohibited" connects 0 0.2 server
in_netns "$client" sysctl -qw net.sctp.bundle_connect_timeout=1000
check "the bound is the administrator's" \
	behind "meta l4proto sctp drop" connects 1 1.2 server
finish
