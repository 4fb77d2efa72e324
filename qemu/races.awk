# SPDX-License-Identifier: GPL-2.0
#
# Copies a kernel's log without the titles of those KCSAN reports that the stock
# kernel has, too, and that are therefore not for a test of ours to judge:
#   - neither access is by a function of net/sctp, net/bundle or net/core/bundle.c;
#     and if one is by what these have called, the other neither is nor comes from
#     a call on a socket: timers, work queues and the like look after their own.
#     What an interrupt or softirq has come in the midst of takes no part in its
#     access, nor do locks that are held;
#   - race.known, which is given first, has the title.
# A report that is cut short counts.
#   awk -f qemu/races.awk qemu/race.known dmesg

# Ends a report, if there is one.
function judge(drop) {
	if (title != "" && !drop)
		print title
	if (title != "")
		printf "%s", report
	title = report = ""
	listed = accesses = depth = own = ours = 0
	delete near
}

FNR == NR {
	if (!/^(#|$)/)
		known[$0]
	next
}
{
	text = $0
	sub(/\r$/, "", text)
	sub(/^\[ *[0-9]+\.[0-9]+\] /, "", text)
}
text ~ /^BUG: KCSAN: / {
	judge(0)
	title = $0
	for (pattern in known)
		if (text ~ pattern)
			listed = 1
	next
}
title == "" {
	print
	next
}
{
	report = report $0 "\n"
}
text ~ / by (task [0-9]+|interrupt) on cpu [0-9]+:$/ {
	accesses++
	depth = 1
	next
}
text == "" || text ~ /^ (handle_softirqs|asm_sysvec|asm_common_interrupt)/ {
	depth = 0
}
text ~ /^====/ {
	judge(listed || !(own || (ours && length(near) == accesses)))
}
!depth {
	next
}
text ~ /^ (bundle_|sk_takes_bundle|.* \[(sctp|bundle)\]$)/ {
	if (depth == 1)
		own = 1
	ours = 1
	near[accesses]
}
text ~ /^ (__sys|inet6?|sk|sock)_/ {
	near[accesses]
}
{
	depth++
}
END {
	judge(0)
}
