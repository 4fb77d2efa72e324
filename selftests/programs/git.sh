# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# git clone from git daemon, which listens on SCTP and TCP.

package=git commands=git
use client 'git clone git://' .bundle.alt bundle TCP 'in URLs a colon ends the name: no IPv6 in braces'
use server 'git daemon' name bundle -
also 'git daemon' peer_logged 'logs its peer'

prepare()
{
	text 200000
	export HOME=$workdir GIT_CONFIG_NOSYSTEM=1
	git init -q -b main "$workdir/repository" &&
		cp "$workdir/text" "$workdir/repository" &&
		git -C "$workdir/repository" add text &&
		git -C "$workdir/repository" -c user.name=test -c user.email=test@client.test \
			commit -q -m test
}

serve()
{
	daemon git daemon --verbose --export-all --reuseaddr --base-path="$workdir" --listen="$1"
	served "$1" 9418
}

talk()
{
	rm -rf "$workdir/clone"
	on_client git clone -q "git://$2/repository" "$workdir/clone" &&
		cmp "$workdir/clone/text" "$workdir/text"
}
