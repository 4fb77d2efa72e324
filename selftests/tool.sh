#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command-line tool where all that it needs is there: each subcommand, with
# good and with bad input, over three paths of which the first is dead. What it
# says where something is missing is in tool_missing.sh.

# shellcheck disable=SC2016,SC2154,SC2317  # jq's $; lib.sh's variables; functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib_tool.sh
. "$(dirname "$0")/lib_tool.sh"

need_root
need_command ip tc nft jq setpriv
need_bundle_command
need_tool
need_bundle
need_names "$@"

# Whoever waits for a page of the host's over 9p lets the guest's clock skip ahead to
# the next timers, which must not happen in the midst of connecting.
ldd "$bundle" | grep -o '/[^ ]*' | xargs cat "$bundle" >/dev/null

three_paths
readonly some_dead='{10.0.1.2,10.0.2.2,10.0.9.9,fd00:3::2}'
over /etc/bundles <<EOF2 || exit $ksft_fail
# names for tests
server  {$server_addrs}
half    $some_dead
two     {{10.0.1.2,10.0.2.2},{fd00:3::2}}
EOF2

# Path 1 swallows all, and nobody is told.
swallow_path1()
{
	local side

	for side in "$client" "$server"; do
		in_netns "$side" nft -f - <<-EOF2 || return
			table inet swallow {
				chain incoming {
					type filter hook prerouting priority raw
					iifname "path1" drop
				}
			}
		EOF2
	done
}

on_client()
{
	in_netns "$client" timeout 300 "$bundle" "$@"
}

as_user()
{
	setpriv --reuid 1000 --regid 1000 --clear-groups "$@"
}

on_client_as_user()
{
	in_netns "$client" setpriv --reuid 1000 --regid 1000 --clear-groups "$bundle" "$@"
}

# serve ARGUMENT...: bundle listen on the server, and waits for it. Its report is
# in $workdir/listen, what came in $workdir/got, what it sends in $workdir/reply.
serve()
{
	# The one before ends by itself, unless it keeps on.
	[ -z "${server_pid-}" ] || wait "$server_pid"
	: >"$workdir/listen"
	# shellcheck disable=SC2016  # for sh, as Bash gives background commands no input
	start_in "$server" sh -c 'exec timeout 300 "$@" <"$0"' "${input:-/dev/null}" \
		"$bundle" listen "$@" >"$workdir/got" 2>"$workdir/listen"
	server_pid=$started_pid
	wait_for 20 grep -q '^listening' "$workdir/listen"
}

# stop_serving: ends it and waits, so that the port is free.
stop_serving()
{
	kill "$server_pid" 2>/dev/null
	wait "$server_pid"
	server_pid=
}

reported()
{
	wait_for 20 grep -qE -- "$1" "$workdir/listen" && return
	echo "wanted: $1"
	cat "$workdir/listen"
	return 1
}

# --- The command line

help_names()
{
	local i

	ends 0 "$bundle" --help && said resolve connect listen paths status run || return
	for i in resolve connect listen paths status run; do
		ends 0 "$bundle" "$i" --help && said "Usage: bundle $i" || return
	done
}

# The manual page has every option of --help.
in_manual()
{
	local page=$top/docs/man/bundle.1 i option failed=0

	for i in resolve connect listen paths status run; do
		for option in $("$bundle" "$i" --help | grep -oE -- '--[a-z0-9-]+' | sort -u); do
			[ "$option" = --help ] && continue
			option=${option#--}
			grep -qF -- "\\-${option//-/\\-}" "$page" && continue
			echo "$i --$option is not in $page"
			failed=1
		done
	done
	return "$failed"
}

# completes WANTED WORD...: Bash would offer that for the last word.
completes()
{
	local wanted=$1

	shift
	gives "$wanted" bash -c '
		. "$1/tools/bundle/completion.bash"
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_bundle
		echo "${COMPREPLY[*]}"' completion "$top" "$bundle" "$@"
}

# --- resolve

columns()
{
	"$bundle" resolve "$@" | awk '{ print $1, $2, $3, $4, $5 }'
}

readonly all_of_server="bundle stream sctp 80 {$server_addrs}
IPv6 stream tcp 80 fd00:3::2
IPv4 stream tcp 80 10.0.1.2
IPv4 stream tcp 80 10.0.2.2"

# --- connect and listen

answered()
{
	cmp -s "$workdir/reply" "$workdir/answer"
}

# Both directions at once, each with more than the sockets' buffers hold, and
# each until its own end.
transfer()
{
	local status=0

	input=$workdir/reply serve server 5001 || return
	on_client connect "$@" <"$workdir/sent" >"$workdir/answer" 2>"$workdir/said" || status=$?
	exchanged "$status"
}

# exchanged STATUS: the client's; both have got all.
exchanged()
{
	local status=$1

	wait "$server_pid" || status="$status, the server's $?"
	server_pid=
	[ "$status" = 0 ] && cmp "$workdir/sent" "$workdir/got" &&
		cmp "$workdir/reply" "$workdir/answer" && return
	echo "status $status"
	cat "$workdir/said" "$workdir/listen"
	return 1
}

# Half-close: the answer comes after the end of the question.
answer_late()
{
	local status=0

	: >"$workdir/got"
	# Opened when serve() reads from it.
	{
		wait_for 60 cmp -s "$workdir/sent" "$workdir/got" && sleep 1
		cat "$workdir/reply"
	} >"$workdir/late" &
	input=$workdir/late serve server 5001 || return
	on_client connect "$1" 5001 <"$workdir/sent" >"$workdir/answer" 2>"$workdir/said" || status=$?
	exchanged "$status"
}

# The other way round: who listens is done at once.
question_late()
{
	local status=0

	: >"$workdir/answer"
	input=$workdir/reply serve server 5001 || return
	{
		wait_for 60 answered && sleep 1
		cat "$workdir/sent"
	} | on_client connect "$1" 5001 >"$workdir/answer" 2>"$workdir/said" || status=$?
	exchanged "$status"
}

# A peer that closes is not waited for, whatever standard input has to come.
closes()
{
	with_server "-d -i 1 server 5001" on_client connect server 5001 < <(sleep 200)
}

# SCTP's own sockets, whose shutdown ends both directions.
to_foreign()
{
	start_in "$server" "$tool" --socket inet --plain --limit 60 recv 10.0.2.2 5010 \
		"$workdir/got" >"$workdir/listen"
	wait_for 20 listening sctp 5010 || return
	on_client connect -b 10.0.2.2 5010 <"$workdir/sent" || return
	wait "$started_pid" && cmp "$workdir/sent" "$workdir/got"
}

from_foreign()
{
	serve -b --no-shutdown 10.0.2.2 5011 || return
	in_netns "$client" "$tool" --socket inet --plain --limit 60 send 10.0.2.2 5011 \
		"$workdir/sent" || return
	wait "$server_pid" && cmp "$workdir/sent" "$workdir/got"
}

# quicker SECONDS COMMAND...: by the guest's clock.
quicker()
{
	local limit=$1 start=$EPOCHREALTIME

	shift
	"$@" || return
	awk -v from="$start" -v to="$EPOCHREALTIME" -v limit="$limit" 'BEGIN {
		print "it took", to - from, "s"
		exit !(to - from < limit)
	}'
}

# with_server "ARGUMENTS" COMMAND...: while bundle listen runs.
with_server()
{
	local status=0

	# shellcheck disable=SC2086  # words
	serve $1 || return
	"${@:2}" || status=$?
	stop_serving
	return "$status"
}

have_connected()
{
	[ "$(grep -c 'has connected' "$workdir/listen")" = "$1" ]
}

kept()
{
	on_client connect -z server 5002 && on_client connect -z 10.0.2.2 5002 &&
		wait_for 20 have_connected 2
}

# What a report must say of the name half.
readonly half_dead='.connected and (.attempts | length) == 1 and (.attempts[0] |
	.error == null and .seconds < 1 and
	(.addresses | map({(.address): .fate}) | add |
	 .["10.0.1.2"] == "silent" and .["10.0.9.9"] == "unreachable" and
	 ([.["10.0.2.2"], .["fd00:3::2"]] | sort) == ["answered", "won"]) and
	(.addresses[] | select(.fate == "unreachable") | .error == "ENETUNREACH"))'

# --- paths

# hold NAME PORT: a connection, kept.
hold()
{
	start ip netns exec "$client" timeout 300 "$bundle" connect -d "$1" "$2" \
		2>"$workdir/held"
	wait_for 20 grep -q connected "$workdir/held" || return
	# ip(8) has become timeout(1).
	holder=$(pgrep -P "$started_pid")
}

readonly one_association='.sctp and (.associations | length) == 1 and (.associations[0] |
	.state == "established" and .peer_port == 5004 and
	([.paths[] | select(.primary)] | length) == 1 and
	([.paths[].state] == ["active", "active"]) and
	all(.paths[]; .rto_ms > 0 and .rtt_ms > 0) and
	.others == [{address: "10.0.9.9", fate: "unreachable"}])'

link_local()
{
	hold '{fe80::2%path3}' 5006 &&
		json 'any(.associations[0].paths[]; .address == "fe80::2%path3")' \
			on_client paths --json 5006
}

# --- All of it

head -c 300000 /dev/urandom >"$workdir/sent"
head -c 300000 /dev/urandom >"$workdir/reply"
mkfifo "$workdir/late"
in_netns "$client" sysctl -qw net.sctp.hb_interval=200
# Round trips of 20 and 40 ms. Less than a tick would count as nothing.
for side in "$client" "$server"; do
	in_netns "$side" tc qdisc add dev path2 root netem delay 10ms || exit $ksft_fail
	in_netns "$side" tc qdisc add dev path3 root netem delay 20ms || exit $ksft_fail
done
ip -n "$client" addr add fe80::1/64 dev path3 nodad
ip -n "$server" addr add fe80::2/64 dev path3 nodad

plan 85
check "--help names the subcommands, and each has its own" help_names
check "the manual page has every option" in_manual
check "no subcommand is an error" says 2 "Usage: bundle" "$bundle"
check "nor is there one of another name" says 2 "not expected: frob" "$bundle" frob
check "a wrong option is one" says 2 "--frob" "$bundle" resolve --frob server
check "completion: subcommands" completes "resolve run" r
check "completion: options" completes "--pid --port" paths --p
check "completion: an option's values" completes "seqpacket stream" resolve --type s
check "completion: names of bundles" completes half connect ha
check "completion: services" completes ssh connect half ssh
check "completion: programs" completes ldconfig run ldconfi

check "resolve: a bundle first, then its addresses" gives "$all_of_server" columns server 80
check "resolve: in braces" gives "$all_of_server" columns "{$server_addrs}" 80
check "resolve: under .bundle.alt" gives "$all_of_server" columns server.bundle.alt http
check "resolve: JSON" json '.service == "80" and
	(.entries[0] | .family == "bundle" and .port == 80 and .length == 88 and
	 [.addresses[].address] == ["10.0.1.2", "10.0.2.2", "fd00:3::2"]) and
	(.entries | length) == 4' "$bundle" resolve --json server 80
check "resolve: without a service there are no ports" json '.service == null and
	.entries[0].family == "bundle" and all(.entries[]; has("port") | not)' \
	"$bundle" resolve --json server
check "resolve: which host an address belongs to" \
	json '[.entries[0].addresses[].host] == [0, 0, 1]' "$bundle" resolve --json two 80
check "resolve: one family" gives "IPv4 stream tcp 80 10.0.1.2
IPv4 stream tcp 80 10.0.2.2" columns -4 server 80
check "resolve: an ordinary name as a bundle" \
	gives "bundle stream sctp 80 {127.0.0.1}" columns --bundle 127.0.0.1 80
check "resolve: another type" gives "bundle seqpacket sctp 80 {127.0.0.1}
IPv4 seqpacket sctp 80 127.0.0.1" columns --type seqpacket '{127.0.0.1}' 80
check "resolve: a brace that isn't closed" \
	says 1 "a brace isn't closed" "$bundle" resolve '{192.0.2.1,' 80
check "resolve: an empty member" \
	says 1 "there is an empty member" "$bundle" resolve '{192.0.2.1,,192.0.2.2}' 80
check "resolve: hosts and addresses mixed" says 1 "either all members are in braces" \
	"$bundle" resolve '{{192.0.2.1},192.0.2.2}' 80
check "resolve: something after the end" \
	says 1 "something after the last brace" "$bundle" resolve '{192.0.2.1}x' 80
check "resolve: no such bundle" \
	says 1 "a name of /etc/bundles before .bundle.alt" "$bundle" resolve nothing.bundle.alt 80
check "resolve: no such service" says 1 "no service 'nosuch'" "$bundle" resolve server nosuch
check "resolve: no such port" says 2 "they go up to 65535" "$bundle" resolve server 65536
check "resolve: no such type" says 2 "{stream,datagram,seqpacket,any}" "$bundle" resolve -t x server
check "resolve: an error as JSON" json '.error.code == "EAI_NONAME" and
	(.error.message | contains("brace"))' "$bundle" resolve --json '{192.0.2.1' 80

check "status: all is there" ends 0 "$bundle" status
check "status: JSON" json '.complete and (.checks | length) == 9 and
	all(.checks[]; .state == "ok" and .remedy == null)' "$bundle" status --json

check "connect: data in both directions, over a bundle" transfer server 5001
check "connect: which address answered first" said "answered first" "the bundle"
check "listen: it reports the client's paths" \
	reported 'path +10\.0\.2\.1 '
check "connect: by TCP, with an answer after the end" answer_late 10.0.2.2
check "listen: it reports how much came" reported 'received 300000 bytes'
check "connect: over a bundle, with an answer after the end" answer_late server
check "listen: over a bundle, with a question after the end" question_late server
check "connect: a peer that closes ends it" quicker 4 closes
check "connect: to SCTP without half-close" quicker 4 to_foreign
check "listen: to SCTP without half-close" from_foreign

swallow_path1 || exit $ksft_fail
check "connect: a bundle half of which is dead is quick" quicker 2 transfer half 5001
check "connect: the dead one has not answered" sh -c '! grep "10.0.1.2 .*answered" "$1"' \
	sh "$workdir/said"
check "connect: an address without a route" said "10.0.9.9 " "no route"
check "connect: the report as JSON" with_server "-d server 5001" \
	json "$half_dead" on_client connect -z --json half 5001
check "connect: nobody listens" says 1 "no address of" \
	on_client connect -z "{10.0.2.2,fd00:3::2}" 5009
check "connect: each address has refused" said "10.0.2.2 " "refused" "Connection refused"
check "connect: silence, by the kernel's limit" \
	quicker 6 says 1 "silent" on_client connect -b "{10.0.1.2}" 5009
check "connect: silence, by a limit of one's own" \
	quicker 2 says 1 "no answer" on_client connect -b -w 1 "{10.0.1.2}" 5009
check "connect: an address of somebody else" with_server "-d server 5001" \
	says 0 "not an address of the peer" on_client connect -z "{10.0.2.2,10.0.2.3}" 5001
check "connect: an error of the name as JSON" json '.connected == false and .attempts == [] and
	.error.code == "EAI_NONAME"' on_client connect -z --json '{10.0.2.2' 5001
check "connect: JSON is for reports alone" \
	says 2 "--json requires" on_client connect --json server 5001
check "connect: port 0" says 2 "they go from 1" on_client connect server 0
check "connect: a time that is none" says 2 "--timeout" on_client connect -w never server 5001
check "connect: nothing comes or goes" with_server "-d server 5001" \
	says 1 "nothing has come or gone" on_client connect -d -i 1 server 5001
check "listen: nobody comes" says 1 "nobody has connected in 1.00 s" \
	in_netns "$server" "$bundle" listen -w 1 server 5001
check "listen: an address of another machine" says 1 "Cannot assign requested address" \
	in_netns "$server" "$bundle" listen '{10.0.2.99}' 5001
check "listen: one after another" with_server "-d --keep server 5002" kept
check "listen: on every address, for bundles" with_server "-d 5003" \
	says 0 "answered first" on_client connect -z server 5003
check "listen: on every address, for TCP" with_server "-d 5003" \
	says 0 "connected" on_client connect -z 10.0.2.2 5003

serve -d --keep '{10.0.2.2,fd00:3::2}' 5004 && hold '{10.0.2.2,fd00:3::2,10.0.9.9}' 5004
check "paths: there are some" says 0 "port 5004 to" in_netns "$server" "$bundle" paths
check "paths: of a port, on the other side" says 0 "to 5004" on_client paths 5004
check "paths: of a PID" says 0 "bundle, PID $holder" on_client paths "$holder"
check "paths: of a process in another namespace" says 0 "PID $holder" "$bundle" paths --pid "$holder"
check "paths: one is primary, and all become active" wait_for 3 json "$one_association" \
	on_client paths --json
check "paths: who has it" json ".associations[0].processes[0].pid == $holder" \
	on_client paths --json
check "paths: no other" says 1 "no such association" on_client paths 5005
check "paths: none at all" says 0 "no associations" "$bundle" paths
check "paths: what is neither" says 2 "PID|PORT" "$bundle" paths server
check "paths: those of others, for who isn't root" \
	says 0 "are for root" on_client_as_user paths
check "paths: what others see is there all the same" said "10.0.2.2" "active"
check "completion: live ports" gives 5004 in_netns "$server" bash -c '
	. "$1/tools/bundle/completion.bash"
	COMP_WORDS=("$2" paths 500) COMP_CWORD=2
	_bundle
	echo "${COMPREPLY[*]}"' completion "$top" "$bundle"
kill "$holder"
stop_serving
check "paths: a link-local address has its scope" \
	with_server "-d --keep {fe80::2%path3} 5006" link_local
check "run: the program's status is its own" ends 3 "$bundle" run sh -c 'exit 3'
check "run: so are its options" says 0 "--help" "$bundle" run printf %s --help
check "run: no program" says 127 "no program 'frobnicate'" "$bundle" run frobnicate
check "run: no library" says 125 "no patched C library in /etc" "$bundle" run --library /etc true
check "run: a static program" says 126 "statically linked" "$bundle" run ldconfig
echo '#!/sbin/ldconfig' >"$workdir/script"
cp /bin/true "$workdir/privileged"
chmod +x "$workdir" "$workdir/script"
chmod 4755 "$workdir/privileged"
check "run: a script of one" says 126 "which runs it" "$bundle" run "$workdir/script"
check "run: a set-user-ID program" says 126 "set-user-ID" \
	as_user "$bundle" run "$workdir/privileged"
check "run: what isn't a program" says 126 "isn't an executable" "$bundle" run "$workdir/sent"

cat >"$workdir/bundles" <<'EOF2'
web    {192.0.2.1}
broken {192.0.2.1,}
EOF2
check "status: a faulty line in /etc/bundles" \
	says 1 "/etc/bundles, line 2: there is an empty member" "$bundle" status
check "status: nothing else" gives names lacking
: >"$workdir/bundles"
grep -v ^bundles: /etc/nsswitch.conf | over /etc/nsswitch.conf
check "status: names are switched off" gives nsswitch lacking
check "resolve: names are switched off" says 1 "needs a line" "$bundle" resolve "{192.0.2.1}" 80
finish
