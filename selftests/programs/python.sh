# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# python3 takes addresses of IPv4 and IPv6 alone.

package=python3 commands='python3 lighttpd'
use client python3 name TCP TCP 'takes IPv4 and IPv6 alone'
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client python3 -I -c 'import sys, urllib.request
urllib.request.urlretrieve(*sys.argv[1:])' "$@"
}
