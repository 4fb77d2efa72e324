# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# SPDX-License-Identifier: GPL-2.0
#
# php takes addresses of IPv4 and IPv6 alone.

package=php8.2-cli commands='php lighttpd'
use client php .bundle.alt TCP TCP 'takes IPv4 and IPv6 alone'
# shellcheck source-path=SCRIPTDIR source=http.inc
. "$here/programs/http.inc"

get()
{
	on_client php -n -r 'exit(!copy($argv[1], $argv[2]));' "$@"
}
