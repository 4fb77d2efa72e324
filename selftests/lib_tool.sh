# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tests of the command-line tool share: running it and judging what it
# says and how it ends. Sourced after lib.sh.

# shellcheck disable=SC2154,SC2317  # lib.sh sets top; functions that check calls

# The tool itself; not $tool, which is bundle_tool.
bundle=$top/build/tools/bundle
[ -x "$bundle" ] || bundle=$(command -v bundle)
readonly bundle

need_bundle_command()
{
	[ -x "$bundle" ] || skip_all "the tool bundle is not built: make tools"
}

# ends WANTED COMMAND...: with that status. What it says is kept for says().
ends()
{
	local wanted=$1 status=0

	shift
	"$@" >"$workdir/said" 2>&1 </dev/null || status=$?
	[ $status = "$wanted" ] && return
	echo "status $status, not $wanted; it said:"
	cat "$workdir/said"
	return 1
}

# said TEXT...: each in what the last command said, anywhere.
said()
{
	local text

	for text in "$@"; do
		grep -qF -- "$text" "$workdir/said" && continue
		echo "wanted: $text"
		cat "$workdir/said"
		return 1
	done
}

# says STATUS TEXT COMMAND...
says()
{
	ends "$1" "${@:3}" && said "$2"
}

# json FILTER COMMAND...: the command's output is JSON for which the filter of
# jq(1) is true. Its status doesn't matter.
json()
{
	local filter=$1

	shift
	"$@" >"$workdir/json" 2>"$workdir/errors" </dev/null
	# To jq, nothing at all is no failure.
	[ -s "$workdir/json" ] && jq -e "$filter" "$workdir/json" >/dev/null && return
	echo "not true: $filter"
	cat "$workdir/json" "$workdir/errors"
	return 1
}

# lacking: the names of the checks of bundle status with another state than "ok".
lacking()
{
	"$bundle" status --json | jq -r '[.checks[] | select(.state != "ok").name] | join(" ")'
}
