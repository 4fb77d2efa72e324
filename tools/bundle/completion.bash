# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Bash completion for bundle(1). Subcommands and options are those of --help, so
# that they can't differ; names come from /etc/bundles and the hosts that Bash
# knows, ports and PIDs from the live associations.

# _bundle_help [SUBCOMMAND]: options, and without one the subcommands, too.
_bundle_help()
{
	"${COMP_WORDS[0]}" "$@" --help 2>/dev/null | awk '
	/^[A-Z][a-z]*:$/ { part = $1 }
	part == "Options:" && $1 ~ /^-/ { gsub(",", " ", $1); print $1 }
	part == "Subcommands:" && /^  [a-z]/ { print $1 }'
}

# Local and remote ports of the associations, and who has them.
_bundle_live()
{
	awk '$12 ~ /^[0-9]+$/ { print $12; print $13 }' /proc/net/sctp/assocs 2>/dev/null
	"${COMP_WORDS[0]}" paths 2>/dev/null | sed -n 's/.*, PID \([0-9]*\): .*/\1/p'
}

_bundle_names()
{
	awk '$1 !~ /^#/ && NF > 1 { print $1 }' /etc/bundles 2>/dev/null
	compgen -A hostname -- "$1"
}

_bundle()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local command='' position=0 words='' i

	# The subcommand, and how many arguments follow it before this one.
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-t | --type | -w | --timeout | -i | --idle | --settle | -l | --library | --pid | --port)
			i=$((i + 1)) ;;
		-*) ;;
		*)
			[ -n "$command" ] && position=$((position + 1))
			command=${command:-${COMP_WORDS[i]}} ;;
		esac
	done

	case $command:$previous in
	:*) words=$(_bundle_help) ;;
	resolve:-t | resolve:--type) words='stream datagram seqpacket any' ;;
	connect:-w | connect:--timeout | connect:-i | connect:--idle | connect:--settle) return ;;
	listen:-w | listen:--timeout | listen:-i | listen:--idle) return ;;
	run:-l | run:--library)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return ;;
	paths:--pid | paths:--port) words=$(_bundle_live) ;;
	*)
		if [[ $current = -* && ($command != run || $position = 0) ]]; then
			words=$(_bundle_help "$command")
		else
			case $command:$position in
			resolve:0 | connect:0 | listen:0) words=$(_bundle_names "$current") ;;
			resolve:1 | connect:1 | listen:1) words=$(compgen -A service -- "$current") ;;
			paths:0) words=$(_bundle_live) ;;
			run:0) words=$(compgen -c -- "$current") ;;
			run:*)
				mapfile -t COMPREPLY < <(compgen -f -- "$current")
				return ;;
			esac
		fi ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current" | sort -u)
}

complete -F _bundle bundle
