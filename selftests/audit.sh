#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Audit records the whole socket address of a call, be it as long as a bundle
# can be. auditd prints the records, as the kernel's log cuts long lines.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need_root
need_command ip auditctl auditd
need_tool
need_bundle
auditctl -s >"$workdir/status" 2>&1 ||
	skip_all "the kernel has no audit: $(<"$workdir/status")"
grep -q '^pid 0$' "$workdir/status" || skip_all "an auditd is running already"

readonly log=$workdir/audit.log

audit_off()
{
	auditctl -D
	auditctl -e 0
} >/dev/null 2>&1
at_end+=(audit_off)

mkdir "$workdir/auditd"
# Records are printed (-f), no files written.
cat >"$workdir/auditd/auditd.conf" <<CONF
local_events = yes
write_logs = no
log_format = RAW
priority_boost = 0
space_left = 2
admin_space_left = 1
CONF
chmod -R go-rwx "$workdir"
start auditd -f -s enable -c "$workdir/auditd" >"$log" 2>&1
wait_for 10 grep -q 'type=DAEMON_START' "$log" ||
	skip_all "auditd doesn't start: $(tail -n 1 "$log")"
auditctl -D >/dev/null
# The tool's calls only: auditd's own would never end.
auditctl -a always,exit -F arch=b64 -S bind -S connect -S sendto -S sendmsg \
	-F "exe=$(realpath "$tool")" >/dev/null || exit $ksft_fail
wait_for 10 sh -c 'auditctl -s | grep -q "^enabled 1"'

netns_add alone
# shellcheck disable=SC2154  # netns_add assigns to $alone
seq -f 'addr add fd00::%.0f/128 dev lo nodad' 64 | ip -n "$alone" -batch - ||
	exit $ksft_fail

# recorded SYSCALL-NUMBER HEX: the record of such a call has this address and no
# byte less or more.
recorded()
{
	local line serial

	if ! wait_for 10 grep -q "type=SOCKADDR .*saddr=$2\$" "$log"; then
		echo "wanted: $2"
		echo "got:"
		grep type=SOCKADDR "$log" | tail -n 3
		return 1
	fi
	line=$(grep "type=SOCKADDR .*saddr=$2\$" "$log" | tail -n 1)
	serial=${line#*:}
	serial=${serial%%)*}
	grep "type=SYSCALL .*:$serial)" "$log" | grep -q " syscall=$1 " && return
	grep ":$serial)" "$log"
	return 1
}

# addresses COUNT: fd00::1 to fd00::COUNT, separated by commas.
addresses()
{
	seq -f 'fd00::%.0f' -s , "$1"
}

# Three tests: the call's result, the address's length, and its record. The
# address is in $hex_of and $hex_port.
audited()
{
	local name=$1 number=$2 result=$3 length=$4 hex

	shift 4
	check "$name gives $result" gives "$result" \
		in_netns "$alone" "$tool" "$@"
	hex=$("$tool" "${plain[@]}" hex "$hex_of" "$hex_port")
	check "$name: the address has $length bytes" test ${#hex} = $((2 * length))
	check "$name: the record has all of it" recorded "$number" "$hex"
}

all=$(addresses 64)
few=$(addresses 3)
readonly all few

plan 24
plain=()
hex_of=$few hex_port=6001
audited "bind of 3 addresses" 49 ok 104 bind "$few" 6001
hex_of=$all hex_port=6002
audited "bind of 64 addresses" 49 ok 2056 bind "$all" 6002
hex_of=$all,fd00::99 hex_port=6003
hex_of=${hex_of#*,}
audited "a refused bind" 49 "bind: EADDRNOTAVAIL" 2056 bind "$hex_of" 6003

start_in "$alone" "$tool" serve "$all" 6004 >"$workdir/serve"
wait_for 10 grep -q . "$workdir/serve"
hex_of=$all hex_port=6004
audited "connect to 64 addresses" 42 ok 2056 connect "$all" 6004

for number in 44 46; do
	hex_port=$((6100 + number))
	start_in "$alone" "$tool" --type seqpacket \
		serve "$all" $hex_port >"$workdir/serve$number"
	wait_for 10 grep -q . "$workdir/serve$number"
done
hex_port=6144
audited "sendto 64 addresses" 44 ok 2056 \
	--type seqpacket sendto "$all" 6144
hex_port=6146
audited "sendmsg to 64 addresses" 46 ok 2056 \
	--type seqpacket sendto --sendmsg "$all" 6146

# Other families' records are as they were.
plain=(--plain)
hex_of=fd00::1 hex_port=6005
audited "bind of a plain address" 49 ok 28 --plain bind fd00::1 6005
audited "bind of a plain address on an ordinary socket" 49 ok 28 \
	--plain --socket inet6 bind fd00::1 6005
finish
