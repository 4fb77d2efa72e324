# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# node takes addresses of IPv4 and IPv6 alone.

package=nodejs commands='node lighttpd'
use client node name TCP TCP 'takes IPv4 and IPv6 alone'
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client node -e '
		require("http").get(process.argv[1], (answer) =>
			answer.pipe(require("fs").createWriteStream(process.argv[2])))
	' "$@"
}
