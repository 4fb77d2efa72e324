# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# telnet as the BSDs have it, with TLS, which is not used.

package=telnet-ssl commands=telnet-ssl
use client telnet-ssl .bundle.alt bundle TCP
# shellcheck source-path=SCRIPTDIR source=telnet.inc
. "$here/programs/telnet.inc"
