# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# mariadb and its server, which listens on SCTP and TCP. Who is admitted is a matter
# of addresses.

package=mariadb-server-core commands='mariadb mariadbd mariadb-install-db'
use client mariadb .bundle.alt bundle TCP 'a comma begins the next host, a colon its port'
use server mariadbd name bundle -
also mariadbd sees_client 'sees the address of its client'
also mariadbd refuses 'refuses by the address of a user'

prepare()
{
	text 200000
	mariadb-install-db --no-defaults --user=root --datadir="$workdir/mariadb" \
		--auth-root-authentication-method=normal --skip-test-db --skip-name-resolve || return
	cat >"$workdir/users" <<-EOF2
		create user admitted@10.0.1.1;
		create user admitted@10.0.2.1;
		create user admitted@'fd00:3::1';
		create user refused@10.0.9.1;
	EOF2
}

serve()
{
	daemon mariadbd --no-defaults --user=root --datadir="$workdir/mariadb" --skip-name-resolve \
		--bind-address="$1" --socket="$workdir/mariadb.socket" --init-file="$workdir/users"
	served "$1" 3306
}

mariadb_to()
{
	on_client mariadb --no-defaults --host="$1" --user="$2" --raw --skip-column-names
}

talk()
{
	{ printf "select '"; cat "$workdir/text"; echo "'"; } | mariadb_to "$2" admitted |
		cmp - <(cat "$workdir/text"; echo)
}

sees_client()
{
	mariadb_to server admitted <<<'select user()' | grep -xE 'admitted@(10\.0\.2\.1|fd00:3::1)'
}

refuses()
{
	mariadb_to server refused <<<'select 1' 2>&1 |
		grep -E "Access denied for user 'refused'@'(10\.0\.2\.1|fd00:3::1)'"
}
