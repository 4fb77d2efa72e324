# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# curl takes addresses of IPv4 and IPv6 alone.

package=curl commands='curl lighttpd'
use client curl name TCP TCP 'takes IPv4 and IPv6 alone'
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client curl -q -s -S -f -o "$2" "$1"
}
