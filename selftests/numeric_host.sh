#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs that first ask, with AI_NUMERICHOST, whether what they were given is an
# address: a bundle's name is none, and they get on with it as with any name.
# openvpn is told to use IPv4: where it takes any family, it asserts that it knows
# the family of what it gets.

# shellcheck disable=SC2317  # functions that check calls
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly port=8000

need_root
need_command ssh ssh-keygen dropbear dropbearkey aria2c openvpn python3
need_bundle
need_names "$@"

by_ssh()
{
	gives answer in_netns "$client" timeout 60 ssh -F none -i "$workdir/key" \
		-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o LogLevel=ERROR "root@$1" 'echo answer'
}

by_aria2()
{
	rm -f "$workdir/got"
	in_netns "$client" timeout 60 aria2c --no-conf --async-dns=false --quiet \
		--dir="$workdir" --out=got "http://$1:$port/served" &&
		gives served cat "$workdir/got"
}

by_openvpn()
{
	in_netns "$client" timeout 20 openvpn --dev tun --proto tcp4-client --remote "$1" "$port" \
		--connect-retry-max 1 --connect-timeout 10 --secret "$workdir/vpn.key" \
		--cipher AES-256-CBC --ifconfig 10.9.0.1 10.9.0.2 >"$workdir/openvpn" 2>&1
	grep 'TCP connection established with \[AF_INET\]10.0.1.2:' "$workdir/openvpn" ||
		{ cat "$workdir/openvpn"; return 1; }
}

three_paths
over /etc/bundles <<'EOF2'
server {10.0.1.2,10.0.2.2,fd00:3::2}
EOF2
{ cat /etc/hosts; echo "10.0.1.2 ordinary"; } | over /etc/hosts
sed 's,^\(root:.*:\).*,\1/bin/sh,' /etc/passwd | over /etc/passwd
mkdir -p /root/.ssh && mount -t tmpfs -o mode=700 none /root/.ssh || exit $ksft_fail
ssh-keygen -q -t ed25519 -N '' -f "$workdir/key"
cp "$workdir/key.pub" /root/.ssh/authorized_keys
dropbearkey -t ed25519 -f "$workdir/host-key" >/dev/null 2>&1
openvpn --genkey secret "$workdir/vpn.key"
mkdir "$workdir/www"
echo served >"$workdir/www/served"
start_in "$server" dropbear -F -E -r "$workdir/host-key" -P "$workdir/pid" -p server:22 \
	2>"$workdir/dropbear.log"
start_in "$server" python3 -m http.server --directory "$workdir/www" $port \
	>"$workdir/http.log" 2>&1
wait_for 60 listening tcp 22 && wait_for 60 listening tcp $port || exit $ksft_fail

plan 9
for name in ordinary server 10-0-1-2.10-0-2-2.bundle.alt; do
	for program in ssh aria2 openvpn; do
		check "$program $name" "by_$program" "$name"
	done
done
finish
