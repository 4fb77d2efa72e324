#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the KUnit tests of packing and unpacking bundles, which are a module, and
# passes on what they have written to the kernel's log.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# The lines of the log since this script began that match a pattern.
results()
{
	dmesg -t | sed "1,/^$marker\$/d" | grep -E "$1"
}

need_root
modinfo bundle_test >/dev/null 2>&1 || skip_all "the kernel has no bundle_test.ko"
modprobe -qr bundle_test

readonly marker="bundle selftests: kunit $$"
echo "$marker" >/dev/kmsg || exit $ksft_fail
modprobe bundle_test || exit $ksft_fail
results '^kunit: disabled$' >/dev/null &&
	skip_all "KUnit is switched off (boot with kunit.enable=1)"

# A case is indented, its suite is not.
cases=$(results '^    1\.\.[0-9]+$' | sed 's/.*\.//')
plan "${cases:-1}"	# none: that is a failure
while read -r verdict; do
	case $verdict in
	*'# SKIP'*) skip "${verdict%% # SKIP*}" "${verdict##*# SKIP }" ;;
	'not ok '*)
		diag "$(results '^    # ')"
		not_ok "${verdict#not ok * }"
		;;
	*) ok "${verdict#ok * }" ;;
	esac
done < <(results '^    (not )?ok [0-9]')
finish
