# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# openssl s_client and s_server, which sends each line back in reverse.

package=openssl commands=openssl
use client 'openssl s_client' .bundle.alt bundle TCP
use server 'openssl s_server' name bundle - 'binds the first of its addresses: a bundle alone, no TCP'

prepare()
{
	text 20000
	certificate
}

serve()
{
	daemon openssl s_server -accept "$1:5000" -key "$workdir/tls.key" -cert "$workdir/tls.crt" \
		-rev -quiet
	served_first "$1" 5000
}

talk()
{
	{ cat "$workdir/text"; echo CLOSE; } |
		on_client openssl s_client -connect "$2:5000" -CAfile "$workdir/tls.crt" -quiet \
			-verify_return_error |
		cmp - <(rev "$workdir/text")
}
