# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# tnftp gets a file by HTTP.

package=tnftp commands='tnftp lighttpd'
use client 'tnftp http://' .bundle.alt bundle TCP
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client tnftp -V -o "$2" "$1"
}
