#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What an ordinary host name costs in our C library, without a "bundles:" line in
# nsswitch.conf, above what it costs in the unpatched one: instructions of the
# process, counted by valgrind, and system calls. Fails if the first look-up or
# later ones take above 1 % more instructions, or other system calls than one more
# stat of nsswitch.conf for each.
#   bench/lookup.sh			compared with the machine's own C library
#   bench/lookup.sh DIRECTORY	compared with that of make glibc-install there,
#				which has been built without our patches
# The machine's own is of the same version and built alike (with-glibc sees to it).

# shellcheck source-path=SCRIPTDIR source=../selftests/lib.sh
. "$(dirname "$0")/../selftests/lib.sh"
set -uo pipefail

program=${BENCH_OUTPUT:-$top/build/bench}/lookup
names=(localhost host.example)
alignments=256	# that lookup.cpp runs through

# --- What runs in a mount namespace with files of its own in /etc

# Prints the instructions that look_up() takes in COUNT calls, the first with
# alignment SHIFT.
instructions() {
	local log count
	log=$(mktemp)
	"${on[@]}" valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
		--toggle-collect=look_up "$program" "$@" > "$log" 2>&1
	count=$(sed -n 's/^==.* Collected : //p' "$log")
	[ "${count:-0}" -gt 0 ] || cat "$log" >&2
	rm "$log"
	echo "${count:-0}"
}

# Prints the instructions of the first look-up of a name in a process, and of a
# later one, both on average of the alignments: a few for the first, as each takes
# a process.
measure() {
	local name=$1 shift sum=0 all
	for shift in 0 64 128 192; do
		sum=$((sum + $(instructions 1 "$name" $shift)))
	done
	all=$(instructions $alignments "$name" 0)
	echo $((sum / 4)) $(((all - sum / 4) / (alignments - 1)))
}

# Prints the names of the system calls of COUNT look-ups, but "nsswitch" for each
# stat of nsswitch.conf, in no order.
system_calls() {
	local log
	log=$(mktemp)
	"${on[@]}" strace -o "$log" "$program" "$@"
	sed -E '/stat.*"\/etc\/nsswitch.conf"/s/.*/nsswitch/; s/\(.*//' "$log" | sort
	rm "$log"
}

inside() {
	local directory=$1 side count name
	mount --bind "$directory/nsswitch.conf" /etc/nsswitch.conf || return
	mount --bind "$directory/hosts" /etc/hosts || return
	for side in base patched; do
		read -ra on < "$directory/$side"
		for name in "${names[@]}"; do
			"${on[@]}" "$program" 1 "$name" 0 || return
			measure "$name" > "$directory/$side-$name"
			for count in 1 2 100; do
				system_calls "$count" "$name" 0 > "$directory/$side-$name-$count"
			done
		done
	done
}

# --- Comparing

# shellcheck disable=SC2317 # called by check
# Tells whether PATCHED is at most 1 % above BASE.
within() { [ "$1" -gt 0 ] && [ $(($2 * 100)) -le $(($1 * 101)) ]; }

check_instructions() {
	local what=$1 base=$2 patched=$3 percent
	percent=$(awk -v base="$base" -v patched="$patched" \
		'BEGIN { printf "%+.2f %%", base ? (patched / base - 1) * 100 : 0 }')
	check "$what: $base -> $patched instructions, $percent" within "$base" "$patched"
}

# shellcheck disable=SC2317 # called by check
# Tells whether the calls are the same but for at most COUNT stats.
same_calls() {
	[ -s "$1" ] && diff <(grep -v '^nsswitch$' "$1") <(grep -v '^nsswitch$' "$2") &&
		[ $(($(grep -c '^nsswitch$' "$2") - $(grep -c '^nsswitch$' "$1"))) -le "$3" ]
}

compare() {
	local directory=$1 name=$2 base=() patched=() count
	read -ra base < "$directory/base-$name"
	read -ra patched < "$directory/patched-$name"
	check_instructions "$name, the first look-up" "${base[0]}" "${patched[0]}"
	check_instructions "$name, a later one" "${base[1]}" "${patched[1]}"
	for count in 1 2 100; do
		check "$name, $count times: $(wc -l < "$directory/base-$name-$count") -> $(wc -l \
			< "$directory/patched-$name-$count") system calls" \
			same_calls "$directory/"{base,patched}"-$name-$count" "$count"
	done
}

if [ "${1-}" = --inside ]; then
	inside "$2"
	exit
fi

need_command valgrind strace
[ -x "$program" ] || skip_all "not built: make -C bench"
sed '/^bundles:/d; /^hosts:/d' /etc/nsswitch.conf > "$workdir/nsswitch.conf"
echo 'hosts: files' >> "$workdir/nsswitch.conf"
printf '127.0.0.1 localhost\n::1 localhost\n192.0.2.1 host.example\n' > "$workdir/hosts"
echo "${1:+$(realpath "$1")/with-glibc}" > "$workdir/base"
echo "$top/tools/with-glibc" > "$workdir/patched"

as_root=()
[ "$(id -u)" = 0 ] || as_root=(--map-root-user)
unshare --mount "${as_root[@]}" true || skip_all "no mount namespace"
plan $((1 + 5 * ${#names[@]}))
check "measured" unshare --mount "${as_root[@]}" -- "$0" --inside "$workdir"
if ((!tests_failed)); then
	for name in "${names[@]}"; do
		compare "$workdir" "$name"
	done
fi
finish
