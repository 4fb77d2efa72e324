# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# busybox's wget asks for no port and fills it in itself, so it gets no bundle.

package=busybox commands='busybox lighttpd'
use client 'busybox wget' name TCP TCP 'asks for no port'
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client busybox wget -q -O "$2" "$1"
}
