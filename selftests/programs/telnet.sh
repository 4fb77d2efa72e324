# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# telnet of the GNU inetutils.

package=inetutils-telnet commands=inetutils-telnet
use client inetutils-telnet braces bundle TCP
# shellcheck source-path=SCRIPTDIR source=telnet.inc
. "$here/programs/telnet.inc"
