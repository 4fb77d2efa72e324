# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# rsync and its daemon, which listens on SCTP and TCP and admits by address.

package=rsync commands=rsync
use client 'rsync rsync://' name bundle TCP
use server 'rsync --daemon' .bundle.alt bundle -
also 'rsync --daemon' peer_logged 'logs its peer'
also 'rsync --daemon' refuses 'refuses by address'

prepare()
{
	text 200000
	mkdir -p "$workdir/module"
	cp "$workdir/text" "$workdir/module"
	cat >"$workdir/rsyncd.conf" <<-EOF2
		use chroot = no
		uid = root
		gid = root
		[open]
		path = $workdir/module
		hosts allow = 10.0.1.1 10.0.2.1 fd00:3::1
		[closed]
		path = $workdir/module
		hosts allow = 10.0.9.1
	EOF2
}

serve()
{
	daemon rsync --daemon --no-detach --config="$workdir/rsyncd.conf" --log-file=/dev/stdout \
		--address="$1"
	served "$1" 873
}

talk()
{
	rm -rf "$workdir/copy"
	on_client rsync -r "rsync://$2/open/" "$workdir/copy" && cmp "$workdir/copy/text" "$workdir/text"
}

refuses()
{
	! on_client rsync "rsync://server/closed/" && grep 'denied on module closed' "$workdir/daemon"
}
