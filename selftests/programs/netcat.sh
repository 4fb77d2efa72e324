# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# netcat: with -N it passes on the end of its input and gets the answer to all of
# it; without, the first line must do. As a server it takes what is sent.

package=netcat-openbsd commands=nc
use client 'nc -N' braces bundle TCP
use client nc .bundle.alt bundle TCP
use server 'nc -l' name bundle - 'binds the first of its addresses: a bundle alone, no TCP'
also 'nc -l' peer_logged 'knows its peer'

serve()
{
	start_in "$server" timeout "$limit" nc -v -d -l "$1" 5001 >"$workdir/got" 2>"$workdir/daemon"
	receiver=$started_pid
	answering "$1" 5000 && served_first "$1" 5001
}

talk()
{
	case $1 in
	nc) answers_first on_client nc "$2" 5000 ;;
	'nc -N') answers_all on_client nc -N "$2" 5000 ;;
	'nc -l')
		on_client nc -N "$2" 5001 <"$workdir/text" && wait "$receiver" &&
			cmp "$workdir/got" "$workdir/text"
		;;
	esac
}
