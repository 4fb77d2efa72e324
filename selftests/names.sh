#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What an unchanged program gets from getaddrinfo(3) of the patched C library for
# the three spellings of a bundle's name: the bundle first, then its addresses
# one by one.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need_root
need_bundle
need_names "$@"
over /etc/bundles <<'EOF2' || exit $ksft_fail
# names for tests
web             {192.0.2.1,2001:db8::1}
pair.example    {{192.0.2.1,198.51.100.1},{192.0.2.2}}
EOF2

# first NAME: the address of the first entry. singles NAME: those of the others.
first()
{
	getent ahosts "$1" | awk 'NR == 1 { print $1 }'
}
singles()
{
	getent ahosts "$1" | awk '!/^\{/ { print $1 }' | sort -u | xargs
}

plan 12
for name in '{192.0.2.1,2001:db8::1}' 192-0-2-1.2001-db8--1.bundle.alt web web.bundle.alt; do
	check "$name: the bundle comes first" gives '{192.0.2.1,2001:db8::1}' first "$name"
	check "$name: the addresses follow one by one" gives '192.0.2.1 2001:db8::1' singles "$name"
done
check "a bundle of two hosts keeps them apart" \
	gives '{{192.0.2.1,198.51.100.1},{192.0.2.2}}' first pair.example
check "an ordinary name gives no bundle" gives 127.0.0.1 first 127.0.0.1
check "a name that doesn't parse is none" gives '' first '{192.0.2.1,}'
check "getent bundles shows the file's names" \
	gives 'pair.example web' sh -c 'getent bundles | cut -d " " -f 1 | sort | xargs'
finish
