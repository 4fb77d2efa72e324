#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command-line tool where something is missing: the C library is the
# machine's own, and the kernel has no AF_BUNDLE, or keeps it out by a blacklist.
# It says precisely what, and what to do about it. For guests with --glibc=host
# --no-modules, of both kernels.

# shellcheck disable=SC2016,SC2154,SC2317  # jq's $; lib.sh's variables; functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib_tool.sh
. "$(dirname "$0")/lib_tool.sh"

# A mount namespace, where over() changes files for this script alone.
[ "${1-}" = --inside ] || exec unshare --mount -- "$0" --inside

need_root
need_command jq modprobe rmmod getent setpriv
need_bundle_command
! getent bundles >/dev/null 2>&1 || skip_all "the C library is the patched one"
[ ! -e /etc/bundles ] || skip_all "there is a file /etc/bundles"
[ ! -d /sys/module/sctp ] || skip_all "SCTP is loaded already"
[ -e "$top/build/glibc-root" ] || skip_all "no patched C library: make glibc"

readonly blacklist=/etc/modprobe.d/bundle-selftest.conf
remove_blacklist()
{
	rm -f $blacklist
}
at_end+=(remove_blacklist)
mkdir -p "${blacklist%/*}"

# remedy NAME TEXT: what is to be done about that check.
remedy()
{
	json "any(.checks[]; .name == \"$1\" and .state == \"missing\" and (.remedy | contains(\"$2\")))" \
		"$bundle" status --json
}

resolves_on_ours()
{
	"$bundle" run --quiet "$bundle" status --json |
		jq -r '.checks[] | select(.name == "library") | .state'
}

first_on_ours()
{
	"$bundle" run "$bundle" resolve --bundle "$1" | awk '{ print $NF }'
}

if modinfo -n bundle >/dev/null 2>&1; then
	plan 18
	check "paths: SCTP isn't loaded" says 0 "no SCTP loaded" "$bundle" paths
	check "paths: SCTP isn't loaded, as JSON" json '.sctp == false and .associations == []' \
		"$bundle" paths --json

	# SCTP first, which stays once it is loaded.
	echo "install sctp /bin/false" >$blacklist
	check "status: SCTP is blacklisted" remedy sctp "$blacklist: install sctp"
	check "status: a bundle socket needs it" remedy socket "needs SCTP"
	rmmod bundle
	echo "install bundle /bin/false" >$blacklist
	check "status: the module is blacklisted" ends 1 "$bundle" status
	check "status: by which file" said "the module bundle is blacklisted" \
		"$blacklist: install bundle /bin/false"
	check "status: what else follows from that" \
		gives "module socket interface library nsswitch" lacking
	remove_blacklist
	check "status: the library and its switch are missing" gives "library nsswitch" lacking
	check "paths: none, but SCTP is loaded" says 0 "no associations" "$bundle" paths
else
	plan 14
	check "status: the kernel has no AF_BUNDLE" ends 1 "$bundle" status
	check "status: of what release" said "Linux $(uname -r) has no AF_BUNDLE" "CONFIG_BUNDLE"
	check "status: what follows from that, and what is missing besides" \
		gives "kernel module socket interface sysctls library nsswitch" lacking
	check "status: SCTP is there, but not the patched one" \
		remedy sysctls "this SCTP isn't the patched one"
	check "connect: by a bundle there is none" says 1 "doesn't know bundles" \
		"$bundle" connect -b -z 127.0.0.1 9
fi
check "status: as JSON" json '.complete == false and (.checks | length) == 9' "$bundle" status --json
check "status: what to do about the library" remedy library "bundle run"
check "status: what to do about nsswitch.conf" remedy nsswitch "bundles: files"
check "resolve: this library knows no bundles" says 1 "start the program by 'bundle run'" \
	"$bundle" resolve '{192.0.2.1}' 80
check "run: the patched library" gives ok resolves_on_ours
check "run: which nobody else sees" remedy library "bundle run"
check "run: so can who isn't root, and remains it" gives 1000 \
	setpriv --reuid 1000 --regid 1000 --clear-groups "$bundle" run --quiet id -u
check "run: names are switched off, and it says so" says 0 "needs a line 'bundles: files'" \
	"$bundle" run true
{
	cat /etc/nsswitch.conf
	echo "bundles: files"
} | over /etc/nsswitch.conf
check "run: a name of a bundle" gives '{192.0.2.1,2001:db8::1}' \
	first_on_ours '{192.0.2.1,2001:db8::1}'
finish
