#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A bundle stream, by an unchanged netcat, with peers that know nothing of it: what
# lksctp-tools has, which are ordinary sockets of this kernel, and usrsctp, another
# implementation of SCTP, over UDP (RFC 6951). Half-close takes two bundle streams;
# with these, the end of what one side sends ends the association.

# shellcheck disable=SC2016,SC2317  # awk's own $; functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly usrsctp=/usr/lib/usrsctp udp=9899

need_root
need_command nc sctp_darn sctp_test stdbuf
need_tool
need_bundle
need_names "$@"

# Every server has a port of its own.
port=7100
next()
{
	port=$((port + 1))
}

# sends TEXT... | with a pause after each, then the end
sends()
{
	local text

	for text in "$@"; do
		echo "$text"
		sleep 0.5
	done
}

# serves COMMAND...: in the server's namespace, its output in a file
serves()
{
	serving=$workdir/served.$port
	start_in "$server" timeout 60 stdbuf -oL "$@" >"$serving" 2>&1 </dev/null
}
served()
{
	grep -q "$1" "$serving" || {
		cat "$serving"
		return 1
	}
}

darn_hears_netcat()
{
	next
	serves sctp_darn -H 10.0.1.2 -B 10.0.2.2 -P "$port" -l "$@"
	wait_for 10 endpoint "$port" || return
	sends hello world | in_netns "$client" timeout 20 nc -N server "$port" || return
	wait_for 10 served hello && served world
}

netcat_hears_darn()
{
	next
	serves nc -l server "$port"
	wait_for 10 endpoint "$port" || return
	sends hello world | in_netns "$client" timeout 20 sctp_darn -H 10.0.1.1 -P "$port" \
		-h 10.0.1.2 -p "$port" -s "$@" >/dev/null
	wait_for 10 served hello && served world
}

# Ten messages of up to 32768 bytes, 113769 in all.
netcat_hears_sctp_test()
{
	next
	serves nc -l server "$port"
	wait_for 10 endpoint "$port" || return
	in_netns "$client" timeout 30 sctp_test -H 10.0.1.1 -P "$port" -h 10.0.1.2 -p "$port" \
		-s -c 4 -x 1 -o 1 "$@" >/dev/null
	wait_for 10 holds 113769
}
holds()
{
	(($(stat -c %s "$serving") == $1))
}

sctp_test_hears_netcat()
{
	next
	serves sctp_test -H 10.0.1.2 -P "$port" -l "$@"
	wait_for 10 endpoint "$port" || return
	head -c 100000 /dev/zero | in_netns "$client" timeout 20 nc -N server "$port" || return
	wait_for 10 served 'SHUTDOWN\|shutdown\|100000\|65536'
}

# file FROM TO: what one family's socket sends, the other's has whole
file()
{
	local at=10.0.1.2 receiver

	next
	[ "$1$2" = "${1/6}${2/6}" ] || at=fd00:3::2
	head -c 3000000 /dev/urandom >"$workdir/sent"
	in_netns "$server" "$tool" --socket "$2" --plain recv "$at" "$port" "$workdir/got" &
	receiver=$!
	wait_for 10 endpoint "$port" || return
	in_netns "$client" "$tool" --socket "$1" --plain send "$at" "$port" "$workdir/sent" &&
		wait "$receiver" && cmp "$workdir/sent" "$workdir/got"
}

endpoint()
{
	in_netns "$server" awk -v p="$1" '$6 == p { found = 1 } END { exit !found }' \
		/proc/net/sctp/eps
}

usrsctp_echoes()
{
	serves "$usrsctp/echo_server" "$udp" "$udp"
	sleep 1
	gives $'hello\nworld' say 7
}
# say PORT: what the server answers to two lines
say()
{
	sends hello world | in_netns "$client" timeout 20 nc -N server "$1"
}

usrsctp_tells_the_time()
{
	serves "$usrsctp/daytime_server" "$udp" "$udp"
	sleep 1
	in_netns "$client" timeout 20 nc -d server 13 | grep -E '[0-9]{2}:[0-9]{2}:[0-9]{2}'
}

netcat_hears_usrsctp()
{
	next
	serving=$workdir/served.$port
	start_in "$client" timeout 60 nc -l '{10.0.1.1,10.0.2.1}' "$port" >"$serving" </dev/null
	sleep 1
	sends hello world | in_netns "$server" timeout 20 stdbuf -oL "$usrsctp/client" \
		10.0.1.1 "$port" 0 "$udp" "$udp" >/dev/null
	wait_for 10 served hello && served world
}

stop_serving()
{
	kill "${started[-1]}"
	wait "${started[-1]}" 2>/dev/null
	sleep 0.5
}

three_paths
over /etc/bundles <<'EOF2'
server {10.0.1.2,10.0.2.2,fd00:3::2}
EOF2

plan 14
check "sctp_darn, one-to-one, hears netcat" darn_hears_netcat -t
check "sctp_darn, one-to-many, hears netcat" darn_hears_netcat
check "netcat hears sctp_darn, one-to-one" netcat_hears_darn -t
check "netcat hears sctp_darn, one-to-many" netcat_hears_darn
check "netcat hears sctp_test, one-to-one" netcat_hears_sctp_test -T
check "netcat hears sctp_test, one-to-many" netcat_hears_sctp_test
check "sctp_test, one-to-one, hears netcat" sctp_test_hears_netcat -T
check "an AF_INET socket has what a bundle sends" file bundle inet
check "a bundle has what an AF_INET socket sends" file inet bundle
check "an AF_INET6 socket has what a bundle sends" file bundle inet6
check "a bundle has what an AF_INET6 socket sends" file inet6 bundle

if [ -x "$usrsctp/echo_server" ]; then
	in_netns "$client" sysctl -qw net.sctp.udp_port="$udp" net.sctp.encap_port="$udp"
	check "usrsctp echoes what netcat says" usrsctp_echoes
	stop_serving
	check "usrsctp tells netcat the time" usrsctp_tells_the_time
	stop_serving
	check "netcat hears usrsctp" netcat_hears_usrsctp
else
	for name in "echoes what netcat says" "tells netcat the time" "heard by netcat"; do
		skip "usrsctp: $name" "there is no $usrsctp"
	done
fi
finish
