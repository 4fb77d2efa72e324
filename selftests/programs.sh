#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Debian's programs as they are, given a bundle's name: a file in programs/ for
# each. Each use of a program talks over three paths, the first of which dies in
# between; what went over the wire decides what the use is said to do, in a row
# of docs/programs.md. Time is measured: run it in a guest in virtual time.
#
# A file sets package= and commands=, has a line for each use (see use below), and
# functions:
#	prepare			once; unless it is there, makes $workdir/text
#	serve NAME		starts what is talked to: bound to a bundle's name, or
#				to "ordinary", then serving TCP alone
#	talk LABEL NAME		the client's part; succeeds if the content is right
# PROGRAMS in the environment are names of files: those alone.

# shellcheck disable=SC2016,SC2317  # awk's own $; functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# Seconds for a program, on either side.
readonly limit=120
# Packets in either direction until the first path dies: the handshake has two.
readonly lifetime=6
# How much longer than for an ordinary name a fall-back to TCP may take.
readonly delay=1.2
readonly table=$top/docs/programs.md

need_root
need_command nft awk dpkg-query
need_bundle
need_names "$@"

# --- What a file says ---------------------------------------------------------

labels=() roles=() spellings=() expectations=() fallbacks=() remarks=()

# use ROLE LABEL SPELLING OVER FALLBACK [REMARK]: ROLE is client or server, SPELLING
# that of the bundle's name, OVER bundle, TCP or nothing. FALLBACK: what becomes of
# a client that finds a server of TCP alone: TCP, nothing or - (isn't tried).
use()
{
	roles+=("$1") labels+=("$2") spellings+=("$3") expectations+=("$4") fallbacks+=("$5")
	remarks+=("${6-}")
}

# also LABEL FUNCTION TEXT: one more test, after LABEL has talked over the bundle.
also()
{
	more+=("$1|$2|$3")
}

# For the files: the paths' addresses are those of lib.sh.
spelled()
{
	case $1 in
	braces) echo "{$server_addrs}" ;;
	semicolons) echo "{${server_addrs//,/;}}" ;;
	.bundle.alt) echo "10-0-1-2.10-0-2-2.fd00-3--2.bundle.alt" ;;
	name) echo server ;;
	*) echo "$1" ;;
	esac
}

# on_client COMMAND...: with a limit; how long it took is noted, and its status if
# that means a crash or that the time was up.
on_client()
{
	local before=$EPOCHREALTIME status

	in_netns "$client" timeout -k 5 "$limit" "$@"
	status=$?
	awk -v from="$before" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", to - from }' \
		>"$workdir/took"
	((status < 124)) || echo "$1: status $status" >>"$workdir/crashes"
	return "$status"
}

# daemon COMMAND...: a server, which must outlive the talk.
daemon()
{
	start_in "$server" "$@" >>"$workdir/daemon" 2>&1
	daemons+=("$started_pid")
}

# served NAME PORT: whether what was bound to NAME listens; all of them do TCP, too.
# served_first: a server that binds the first of its addresses only.
served()
{
	[ "$1" = ordinary ] || wait_for "$limit" listening sctp "$2" || return
	wait_for "$limit" listening tcp "$2"
}
served_first()
{
	if [ "$1" = ordinary ]; then
		wait_for "$limit" listening tcp "$2"
	else
		wait_for "$limit" listening sctp "$2"
	fi
}

# text BYTES: makes so many, about.
text()
{
	head -c $(($1 * 3 / 4)) /dev/urandom | base64 >"$workdir/text"
}

# answering NAME PORT: a server that answers a request, or sends the text at once.
# answers_all, answers_first COMMAND...: a client of it gets the right answer.
answering()
{
	start_in "$server" perl "$here/programs/answer.pl" "$1" "$2" "$workdir/text" \
		>>"$workdir/answering" 2>&1
	daemons+=("$started_pid")
	served_first "$1" "$2"
}
answers_all()
{
	local size sum

	size=$(stat -c %s "$workdir/text")
	read -r sum _ < <(sha256sum "$workdir/text")
	gives "$size $sum" "$@" <"$workdir/text"
}
answers_first()
{
	"$@" <<<first | cmp - "$workdir/text"
}

# web PORT: lighttpd, by TCP, with the text as /text.
web()
{
	cat >"$workdir/lighttpd.conf" <<-EOF2
		server.document-root = "$workdir"
		server.bind = "[::]"
		server.port = $1
		\$SERVER["socket"] == "0.0.0.0:$1" {}
	EOF2
	daemon lighttpd -D -f "$workdir/lighttpd.conf"
	wait_for "$limit" listening tcp "$1"
}

# A key and its own certificate.
certificate()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 \
		-subj /CN=server -keyout "$workdir/tls.key" -out "$workdir/tls.crt"
}

# Lets root log in by ssh with authorized_keys, to a shell that reads no profile.
logins()
{
	[ -d "$workdir/home" ] || {
		sed "s,^\\(root:[^:]*:[^:]*:[^:]*:[^:]*:\\).*,\\1$workdir/home:/bin/sh," /etc/passwd |
			over /etc/passwd
		mkdir -m 700 "$workdir/home" "$workdir/home/.ssh"
	}
	install -m 600 "$workdir/authorized_keys" "$workdir/home/.ssh"
}

# peer_logged [FILE]: the client's addresses in the daemon's log are right ones.
peer_logged()
{
	local file=${1:-$workdir/daemon}

	if grep -v listening "$file" | grep -E '\{|ffff:|unknown|(^|[^0-9.])0\.0\.0\.0:?[1-9]'; then
		echo "in the log of the server"
		return 1
	fi
	grep -qE '10\.0\.[12]\.1([^0-9]|$)|fd00(:3::|-3--)1' "$file" && return
	cat "$file"
	return 1
}

# --- What goes over the wire --------------------------------------------------

# count_rules iifname|oifname: DATA on each path, and what TCP there is.
count_rules()
{
	local path

	for path in path1 path2 path3; do
		echo "$1 $path sctp chunk data exists counter name $path"
	done
	echo "$1 \"path*\" tcp flags & rst == 0 counter name other"
}

# Counts on the client's side; in either direction the first path dies on arrival.
watch()
{
	local side

	for side in "$client" "$server"; do
		in_netns "$side" nft -f - <<-EOF2 || return
			table inet watch
			delete table inet watch
			table inet watch {
				counter cut {}
				limit life { rate over 1/day burst $lifetime packets; }
				chain arrives {
					type filter hook prerouting priority raw
					iifname path1 meta l4proto sctp limit name life counter name cut drop
				}
			}
		EOF2
	done
	in_netns "$client" nft -f - <<-EOF2
		table inet watch {
			counter path1 {}
			counter path2 {}
			counter path3 {}
			counter other {}
			chain received {
				type filter hook prerouting priority filter
				$(count_rules iifname)
			}
			chain sent {
				type filter hook postrouting priority filter
				$(count_rules oifname)
			}
		}
	EOF2
}

unwatch()
{
	in_netns "$client" nft delete table inet watch
	in_netns "$server" nft delete table inet watch
}

# counted: "DATA on path1, path2, path3, dropped, TCP" packets, as words.
counted()
{
	{
		in_netns "$client" nft list counters table inet watch
		in_netns "$server" nft list counters table inet watch
	} | awk '
		$1 == "counter" { name = $2 }
		$1 == "packets" { count[name] += $2 }
		END {
			print count["path1"] + 0, count["path2"] + 0, count["path3"] + 0,
				count["cut"] + 0, count["other"] + 0
		}'
}

# over_bundle, over_TCP: do the counts say so?
over_bundle()
{
	local path1 path2 path3 cut tcp

	read -r path1 path2 path3 cut tcp <<<"$counts"
	echo "DATA on the paths: $path1 $path2 $path3; lost: $cut; TCP: $tcp"
	((path1 && path2 + path3 && cut && !tcp))
}

over_TCP()
{
	local path1 path2 path3 cut tcp

	read -r path1 path2 path3 cut tcp <<<"$counts"
	echo "DATA on the paths: $path1 $path2 $path3; TCP: $tcp"
	((tcp && path1 + path2 + path3 == 0))
}

# --- The tests of a use -------------------------------------------------------

no_crash()
{
	local pid status=0

	for pid in "${daemons[@]}"; do
		kill -0 "$pid" 2>/dev/null && continue
		echo "a server has ended: $(tail -n 5 "$workdir/daemon")"
		status=1
	done
	if [ -s "$workdir/crashes" ]; then
		cat "$workdir/crashes"
		status=1
	fi
	! dmesg | grep -E 'segfault|general protection|trap ' || status=1
	return "$status"
}

# talks LABEL NAME
talks()
{
	local status

	talk "$1" "$2"
	status=$?
	echo "after $(cat "$workdir/took") s, status $status"
	no_crash && return "$status"
}

# The failure that is expected: an end of its own, in time.
fails_cleanly()
{
	if talk "$1" "$2"; then
		echo "it works"
		return 1
	fi
	no_crash && awk -v limit="$limit" '{ exit !($1 < limit) }' "$workdir/took"
}

# timed LABEL NAME: least becomes the smaller of it and the time that the talk takes.
timed()
{
	talk "$1" "$2" || return
	least=$(awk -v least="$least" '{ print least && least < $1 ? least : $1 }' "$workdir/took")
}

# The least of a few tries counts, since what else runs in the machine takes time, too.
falls_back()
{
	local label=$1 name=$2 least='' ordinary='' bundle=''

	# The first use reads the program and its libraries.
	talk "$label" ordinary >/dev/null || return
	for _ in 1 2 3 4 5 6; do
		least=$ordinary && timed "$label" ordinary && ordinary=$least || return
		least=$bundle && timed "$label" "$name" && bundle=$least || return
		measured="$bundle s, with an ordinary name $ordinary s"
		echo "$measured"
		awk -v least="$bundle" -v most="$ordinary" -v delay="$delay" \
			'BEGIN { exit !(least <= most * delay) }' || continue
		no_crash
		return
	done
	return 1
}

begin_servers()
{
	daemons=()
	: >"$workdir/daemon"
	: >"$workdir/crashes"
	serve "$1"
}

# The row, as it should stand in the table. Versions come and go.
row_stands()
{
	awk -F ' *[|] *' -v row="$1" '
		function rest(line) { sub(/^[|][^|]*[|][^|]*[|]/, "", line); return line }
		BEGIN { split(row, wanted, / *[|] */) }
		$2 == wanted[2] && rest($0) == rest(row) { found = 1 }
		$2 == wanted[2] { print }
		END { exit !found }' "$table"
}

tests_of()
{
	local i=$1 item n=2

	[ "${expectations[i]}" = nothing ] || n=3
	[ "${fallbacks[i]}" = - ] || : $((++n))
	for item in "${more[@]}"; do
		[ "${item%%|*}" != "${labels[i]}" ] || : $((++n))
	done
	echo $n
}

test_use()
{
	local i=$1 label=${labels[$1]} name bound=server asked over=nothing back=- row
	local item function text before counts measured known_fallback=${fallbacks[$1]}

	name=$(spelled "${spellings[i]}")
	if [ "${roles[i]}" = server ]; then bound=$name asked=server; else asked=$name; fi

	watch
	begin_servers "$bound" >"$workdir/serve.log" 2>&1 || diag "$(cat "$workdir/serve.log" "$workdir/daemon")"
	if [ "${expectations[i]}" = nothing ]; then
		check "$label: fails in time" fails_cleanly "$label" "$asked"
	else
		before=$tests_failed
		check "$label: gets the right content" talks "$label" "$asked"
		counts=$(counted)
		check "$label: by ${expectations[i]}" "over_${expectations[i]}"
		for item in "${more[@]}"; do
			IFS='|' read -r item function text <<<"$item"
			[ "$item" != "$label" ] || check "$label: $text" "$function"
		done
		((tests_failed > before)) || over=${expectations[i]}
	fi
	end_started
	unwatch

	if [ "$known_fallback" != - ]; then
		begin_servers ordinary >"$workdir/serve.log" 2>&1 || diag "$(cat "$workdir/serve.log" "$workdir/daemon")"
		before=$tests_failed
		if [ "$known_fallback" = TCP ]; then
			measured=''
			check "$label: as fast with a server of TCP alone" falls_back "$label" "$asked"
			[ -z "$measured" ] || diag "$measured"
		else
			check "$label: fails in time with a server of TCP alone" \
				fails_cleanly "$label" "$asked"
		fi
		back=$known_fallback
		((tests_failed == before)) || back=failed
		end_started
	fi

	row="| $label | $version | ${roles[i]} | ${spellings[i]} | $over | $back | ${remarks[i]} |"
	diag "row: $row"
	check "$label: has its row in the table" row_stands "$row"
}

# --- All of it ----------------------------------------------------------------

# load FILE: for a file's uses and functions, which replace those of the last one.
load()
{
	labels=() roles=() spellings=() expectations=() fallbacks=() remarks=() more=()
	package='' commands=''
	unset -f serve talk
	prepare()
	{
		text 200000
	}
	# shellcheck source=/dev/null
	. "$1"
}

files=()
for file in "$here"/programs/*.sh; do
	name=${file##*/}
	[[ -n ${PROGRAMS-} && " $PROGRAMS " != *" ${name%.sh} "* ]] || files+=("$file")
done

three_paths
over /etc/bundles <<EOF2
server {$server_addrs}
EOF2
# Names for the client, since some programs ask for them, and end if none is found.
{
	cat /etc/hosts
	printf '%s ordinary\n' ${server_addrs//,/ }
	echo "10.0.1.1 10.0.1.1.client.test"
	echo "10.0.2.1 10.0.2.1.client.test"
	echo "fd00:3::1 fd00-3--1.client.test"
} | over /etc/hosts
dmesg -c >/dev/null

total=0
for file in "${files[@]}"; do
	load "$file"
	for i in "${!labels[@]}"; do
		total=$((total + $(tests_of "$i")))
	done
done
plan $total
for file in "${files[@]}"; do
	load "$file"
	missing=''
	for name in $commands; do
		command -v "$name" >/dev/null || missing=$name
	done
	version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null)
	[ -n "$missing" ] || prepare >"$workdir/prepare.log" 2>&1 ||
		diag "$(cat "$workdir/prepare.log")"
	for i in "${!labels[@]}"; do
		if [ -n "$missing" ]; then
			for ((n = $(tests_of "$i"); n; n--)); do
				skip "${labels[i]}" "$missing of $package is not there"
			done
		else
			test_use "$i"
		fi
	done
done
finish
