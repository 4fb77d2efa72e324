# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# wget takes addresses of IPv4 and IPv6 alone.

package=wget commands='wget lighttpd'
use client wget .bundle.alt TCP TCP 'takes IPv4 and IPv6 alone'
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client wget --no-config -q -O "$2" "$1"
}
