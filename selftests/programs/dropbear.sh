# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# SPDX-License-Identifier: GPL-2.0
#
# dbclient and dropbear.

package=dropbear-bin commands='dbclient dropbear dropbearkey'
use client dbclient semicolons bundle TCP 'a comma begins the next hop'
use server dropbear name bundle -
also dropbear peer_logged 'logs its peer'
also dropbear told_addresses 'tells the command right addresses'
# shellcheck source-path=SCRIPTDIR source=ssh.inc
. "$here/programs/ssh.inc"

make_key()
{
	dropbearkey -t ed25519 -f "$workdir/key" | grep '^ssh-' >"$workdir/authorized_keys"
}

remote()
{
	on_client dbclient -y -y -i "$workdir/key" "root@$1" "$2"
}

# By now the first path is dead; the server's own address is the first that it bound.
told_addresses()
{
	remote server 'echo "$SSH_CONNECTION"' </dev/null |
		grep -E '^(10\.0\.2\.1|fd00:3::1) [0-9]+ 10\.0\.1\.2 22$'
}
