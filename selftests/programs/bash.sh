# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# SPDX-License-Identifier: GPL-2.0
#
# bash connects by itself, to /dev/tcp/NAME/PORT, so that any program can write to
# the socket: dd with a single write(2) of 16 MiB.

package=bash commands='bash dd strace nc'
use client 'bash /dev/tcp' name bundle TCP 'one write(2) of 16 MiB'

prepare()
{
	head -c 16M /dev/urandom >"$workdir/text"
}

serve()
{
	start_in "$server" nc -d -k -l "$1" 5000 >>"$workdir/got"
	served_first "$1" 5000
}

complete()
{
	cmp "$workdir/got" "$workdir/text"
}

talk()
{
	: >"$workdir/got"
	on_client bash -c 'strace -qq -e trace=write -o "$3/strace" \
		dd if="$2" bs=16M iflag=fullblock >"/dev/tcp/$1/5000"' - \
		"$2" "$workdir/text" "$workdir" || return
	grep '^write(1, .* = 16777216$' "$workdir/strace" || { cat "$workdir/strace"; return 1; }
	wait_for "$limit" complete
}
