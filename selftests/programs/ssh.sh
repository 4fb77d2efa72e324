# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# OpenSSH takes addresses of IPv4 and IPv6 alone.

package=openssh-client commands='ssh ssh-keygen dropbear dropbearkey'
use client ssh name TCP TCP 'takes IPv4 and IPv6 alone'
# shellcheck source-path=SCRIPTDIR source=ssh.inc
. "$here/programs/ssh.inc"

make_key()
{
	ssh-keygen -q -t ed25519 -N '' -f "$workdir/key" &&
		cp "$workdir/key.pub" "$workdir/authorized_keys"
}

remote()
{
	on_client ssh -F none -i "$workdir/key" -o BatchMode=yes -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "root@$1" "$2"
}
