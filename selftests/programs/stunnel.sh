# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# stunnel on both sides; lighttpd, which knows nothing of bundles, behind the one.

package=stunnel4 commands='stunnel lighttpd curl openssl'
use client 'stunnel connect' name bundle TCP
use server 'lighttpd behind stunnel' .bundle.alt bundle -
also 'lighttpd behind stunnel' peer_logged 'logs its peer'

prepare()
{
	text 200000
	certificate
}

serve()
{
	web 80
	cat >"$workdir/server.conf" <<-EOF2
		foreground = yes
		pid =
		[https]
		accept = $1:443
		connect = 127.0.0.1:80
		cert = $workdir/tls.crt
		key = $workdir/tls.key
	EOF2
	daemon stunnel "$workdir/server.conf"
	served_first "$1" 443
}

stunnel_listens()
{
	in_netns "$client" grep -q ':0050 0*:0000 0A' /proc/net/tcp
}

talk()
{
	local pid status

	cat >"$workdir/client.conf" <<-EOF2
		foreground = yes
		pid =
		[http]
		client = yes
		accept = 127.0.0.1:80
		connect = $2:443
		CAfile = $workdir/tls.crt
		verifyChain = yes
	EOF2
	start_in "$client" stunnel "$workdir/client.conf" 2>"$workdir/stunnel"
	pid=$started_pid
	wait_for "$limit" stunnel_listens &&
		on_client curl -q -s -S -f -o "$workdir/got" http://127.0.0.1/text &&
		cmp "$workdir/got" "$workdir/text"
	status=$?
	kill "$pid"
	wait "$pid"
	[ $status = 0 ] || tail "$workdir/stunnel"
	return $status
}
