# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# iperf3, which has two connections, and sets and reads options of TCP.

package=iperf3 commands=iperf3
use client 'iperf3 -c' .bundle.alt bundle nothing 'takes the first address only'
use server 'iperf3 -s' name bundle - 'binds the first of its addresses: a bundle alone, no TCP'
also 'iperf3 -s' peer_logged 'logs its peer'

serve()
{
	daemon iperf3 -s -B "$1"
	served_first "$1" 5201
}

talk()
{
	on_client iperf3 -c "$2" -n 512K -J >"$workdir/result" || { cat "$workdir/result"; return 1; }
	python3 - "$workdir/result" <<-EOF2
		import json, sys
		end = json.load(open(sys.argv[1]))["end"]
		sent, got = end["sum_sent"]["bytes"], end["sum_received"]["bytes"]
		print(sent, "bytes sent,", got, "received")
		sys.exit(not sent == got >= 512 << 10)
	EOF2
}
