#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A server bound to three addresses by one bind(2), a client connected to them
# by one connect(2), over three paths: the association has exactly these paths,
# and a transfer survives the loss of the path that it uses.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly port=5001
size=$((64 * 1024 * 1024))
# A kernel full of checkers on an emulated processor takes minutes for a few MiB.
[ ! -e /sys/kernel/debug/kmemleak ] || size=$((4 * 1024 * 1024))
readonly size
# Seconds for a transfer, a failed path included, on an emulated processor.
readonly limit=300

need_root
need_command ip tc sha256sum
need_tool
need_bundle

# A path fails after three losses of half a second at most.
sctp_timers()
{
	in_netns "$1" sysctl -qw \
		net.sctp.rto_initial=200 \
		net.sctp.rto_min=100 \
		net.sctp.rto_max=500 \
		net.sctp.hb_interval=500 \
		net.sctp.path_max_retrans=2
}

# The outgoing device of the path that the client sends on.
path_in_use()
{
	case $(assoc_primary "$client") in
	10.0.1.2) echo path1 ;;
	10.0.2.2) echo path2 ;;
	fd00:3::2) echo path3 ;;
	*) return 1 ;;
	esac
}

received()
{
	stat -c %s "$workdir/received" 2>/dev/null || echo 0
}

received_above()
{
	(($(received) > $1))
}

# Frames are dropped on their way, and nobody is told.
cut_silently()
{
	in_netns "$client" tc qdisc add dev "$1" root netem loss 100% &&
	in_netns "$server" tc qdisc add dev "$1" root netem loss 100%
}

heal_silent_cut()
{
	in_netns "$client" tc qdisc del dev "$1" root
	in_netns "$server" tc qdisc del dev "$1" root
}

cut_link()
{
	ip -n "$client" link set "$1" down
}

heal_link()
{
	ip -n "$client" link set "$1" up
}

packets_sent()
{
	in_netns "$client" cat "/sys/class/net/$1/statistics/tx_packets"
}

begin_transfer()
{
	local receiver_options=$1 sender_options=$2

	rm -f "$workdir/received"
	# shellcheck disable=SC2086  # options are words
	start_in "$server" "$tool" --limit $limit $receiver_options \
		recv "$server_addrs" $port "$workdir/received" \
		>"$workdir/receiver"
	receiver=$started_pid
	wait_for 10 grep -q . "$workdir/receiver" || return
	# shellcheck disable=SC2086
	start_in "$client" "$tool" --limit $limit $sender_options \
		send "$server_addrs" $port "$workdir/sent" >"$workdir/sender"
	sender=$started_pid
}

both_ended()
{
	local status=0

	wait "$sender" || status=1
	wait "$receiver" || status=1
	cat "$workdir/sender" "$workdir/receiver"
	return "$status"
}

same_checksum()
{
	local sent got

	sent=$(sha256sum <"$workdir/sent")
	got=$(sha256sum <"$workdir/received")
	[ "$sent" = "$got" ] && return
	echo "sent $(stat -c %s "$workdir/sent") bytes, $sent"
	echo "received $(received) bytes, $got"
	return 1
}

# transfer NAME CUT HEAL: six tests.
transfer()
{
	local name=$1 cut=$2 heal=$3 device before

	begin_transfer "" ""
	check "$name: the transfer begins" \
		wait_for 60 received_above $((size / 16))
	# The receiver stops reading, so that the transfer can't end before the
	# cut, with data on its way.
	kill -STOP "$receiver"
	check "$name: the client's paths are those asked for" \
		gives "$client_addrs $server_addrs" \
		paths "$client" local remote
	check "$name: the server's paths are those bound" \
		gives "$client_addrs $server_addrs" \
		paths "$server" remote local
	device=$(path_in_use)
	before=$(packets_sent "$device")
	$cut "$device"
	kill -CONT "$receiver"
	check "$name: $device, in use, is cut before the end" \
		cut_in_time "$before"
	check "$name: both ends finish without an error" both_ended
	check "$name: the checksum is right" same_checksum
	$heal "$device"
}

cut_in_time()
{
	local got

	got=$(received)
	echo "$got bytes received, $1 packets sent on the path"
	((got < size && $1 > 100))
}

paths()
{
	echo "$(assoc_addrs "$1" "$2") $(assoc_addrs "$1" "$3")"
}

three_paths
sctp_timers "$client"
sctp_timers "$server"
head -c $size /dev/urandom >"$workdir/sent"

plan 14
transfer "silent loss" cut_silently heal_silent_cut
transfer "link down" cut_link heal_link

# The same by ordinary SCTP sockets, which take bundles, too.
begin_transfer "--socket inet6" "--socket inet6"
check "ordinary sockets: both ends finish without an error" both_ended
check "ordinary sockets: the checksum is right" same_checksum
finish
