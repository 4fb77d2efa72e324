# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# aria2, with the C library's resolver, asks for no port, so it gets no bundle.

package=aria2 commands='aria2c lighttpd'
use client aria2c .bundle.alt TCP TCP 'asks for no port; needs --async-dns=false'
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client aria2c --no-conf --async-dns=false --quiet --max-tries=1 --dir="${2%/*}" \
		--out="${2##*/}" "$1"
}
