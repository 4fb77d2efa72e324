# shellcheck shell=bash disable=SC2034,SC2154,SC2094
# SPDX-License-Identifier: GPL-2.0
#
# psql and PostgreSQL, which listens on SCTP and TCP: text is copied into a table and
# out of it. Who is admitted is a matter of addresses.

package=postgresql-15 commands='psql /usr/lib/postgresql/15/bin/postgres'
use client psql semicolons bundle TCP 'a comma begins the next host'
use server postgres name bundle - 'calls the family unrecognized in its log, where it says that it listens'
also postgres sees_client 'sees the address of its client'
also postgres peer_logged 'logs its peer'
also postgres refuses 'refuses by the address in pg_hba.conf'

as_postgres()
{
	setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

prepare()
{
	text 200000
	chmod a+x "$workdir"
	install -d -o postgres "$workdir/postgres"
	(cd / && as_postgres /usr/lib/postgresql/15/bin/initdb -D "$workdir/postgres/data" \
		-A reject -N -E UTF8 --locale=C) || return
	cat >"$workdir/postgres/data/pg_hba.conf" <<-EOF2
		host all admitted 10.0.1.1/32 trust
		host all admitted 10.0.2.1/32 trust
		host all admitted fd00:3::1/128 trust
		host all refused 10.0.0.0/16 reject
		host all refused fd00:3::/64 reject
		host all refused all trust
		host all stranger 10.0.9.0/24 trust
	EOF2
	(cd / && as_postgres /usr/lib/postgresql/15/bin/postgres --single -D "$workdir/postgres/data" \
		postgres <<<'create role admitted superuser login')
}

serve()
{
	cd / || return
	daemon setpriv --reuid=postgres --regid=postgres --clear-groups \
		/usr/lib/postgresql/15/bin/postgres -D "$workdir/postgres/data" -c fsync=off \
		-c listen_addresses="$1" -c unix_socket_directories= -c log_connections=on
	cd - >/dev/null || return
	served "$1" 5432
}

psql_to()
{
	on_client psql -X -q -A -t -h "$1" -U "$2" postgres "${@:3}"
}

talk()
{
	psql_to "$2" admitted -c 'create temporary table lines (line text)' \
		-c '\copy lines from pstdin' -c '\copy lines to stdout' <"$workdir/text" |
		cmp - "$workdir/text"
}

sees_client()
{
	psql_to server admitted -c 'select inet_client_addr()' | grep -xE '10\.0\.2\.1|fd00:3::1'
}

refuses()
{
	! psql_to server refused -c 'select 1' && ! psql_to server stranger -c 'select 1' &&
		grep 'pg_hba.conf rejects connection for host "\(10\.0\.2\|fd00:3:\)[.:]1"' \
			"$workdir/daemon" &&
		grep 'no pg_hba.conf entry for host "\(10\.0\.2\|fd00:3:\)[.:]1"' "$workdir/daemon"
}
