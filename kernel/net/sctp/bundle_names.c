// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The addresses that a bundle socket tells: its names (getsockname(2),
 * getpeername(2), whom a message is from), all its addresses and the peer's,
 * and what became of each one that it connects to.
 */

#include <linux/errno.h>
#include <linux/list.h>
#include <net/ipv6.h>
#include <net/sctp/sctp.h>

#include "bundle.h"

static void sctp_bundle_member(union bundle_member *member,
			       const union sctp_addr *addr, __be16 port)
{
	memset(member, 0, sizeof(*member));
	if (addr->sa.sa_family == AF_INET) {
		member->v4.sin_family = AF_INET;
		member->v4.sin_addr = addr->v4.sin_addr;
	} else if (ipv6_addr_v4mapped(&addr->v6.sin6_addr)) {
		member->v4.sin_family = AF_INET;
		member->v4.sin_addr.s_addr = addr->v6.sin6_addr.s6_addr32[3];
	} else {
		member->v6.sin6_family = AF_INET6;
		member->v6.sin6_addr = addr->v6.sin6_addr;
		if (ipv6_addr_type(&addr->v6.sin6_addr) & IPV6_ADDR_LINKLOCAL)
			member->v6.sin6_scope_id = addr->v6.sin6_scope_id;
	}
	member->v4.sin_port = port;
}

/* Appends the peer's addresses, but for the one that stands there already. */
static void sctp_bundle_put_peer(const struct sctp_association *asoc,
				 const union sctp_addr *first,
				 struct sockaddr_bundle *sb, size_t size)
{
	union bundle_member member;
	struct sctp_transport *t;

	list_for_each_entry(t, &asoc->peer.transport_addr_list, transports) {
		if (sctp_bundle_same_addr(&t->ipaddr, first))
			continue;
		sctp_bundle_member(&member, &t->ipaddr, htons(asoc->peer.port));
		if (!bundle_put(sb, size, &member))
			return;
	}
}

/* Likewise for the addresses that an endpoint or association is bound to. */
static void sctp_bundle_put_local(const struct sctp_bind_addr *bp,
				  const union sctp_addr *first,
				  struct sockaddr_bundle *sb, size_t size)
{
	struct sctp_sockaddr_entry *entry;
	union bundle_member member;

	list_for_each_entry(entry, &bp->address_list, list) {
		if (!entry->valid || sctp_bundle_same_addr(&entry->a, first))
			continue;
		sctp_bundle_member(&member, &entry->a, htons(bp->port));
		if (!bundle_put(sb, size, &member))
			return;
	}
}

/* The address of this end to show first: the first that the program bound, or,
 * if that is a wildcard, the one that the peer sees.
 */
static void sctp_bundle_local_addr(struct sctp_sock *sp,
				   struct sctp_association *asoc,
				   union sctp_addr *addr)
{
	struct sctp_bind_addr *bp = &sp->ep->base.bind_addr;
	struct sock *sk = sctp_opt2sk(sp);
	struct sctp_sockaddr_entry *entry;
	struct sctp_transport *t;

	sock_owned_by_me(sk);
	entry = list_first_entry_or_null(&bp->address_list,
					 struct sctp_sockaddr_entry, list);
	if (entry && (!asoc || !sctp_is_any(sk, &entry->a))) {
		*addr = entry->a;
	} else if (!asoc) {
		sp->pf->af->inaddr_any(addr, htons(bp->port));
	} else {
		t = sctp_assoc_lookup_paddr(asoc, &asoc->peer.verified_addr);
		if (!t)
			t = asoc->peer.primary_path;
		if (t && !sctp_is_any(sk, &t->saddr)) {
			*addr = t->saddr;
		} else {
			entry = list_first_entry_or_null(&asoc->base.bind_addr.address_list,
							 struct sctp_sockaddr_entry,
							 list);
			if (entry)
				*addr = entry->a;
			else
				sp->pf->af->inaddr_any(addr, 0);
		}
	}
	addr->v4.sin_port = htons(bp->port);
}

/* The association of a one-to-one or peeled-off socket, if it has one. */
struct sctp_association *sctp_bundle_asoc(struct sock *sk)
{
	sock_owned_by_me(sk);
	if (sctp_style(sk, UDP) || sctp_sstate(sk, LISTENING))
		return NULL;
	return list_first_entry_or_null(&sctp_sk(sk)->ep->asocs,
					struct sctp_association, asocs);
}

static int sctp_bundle_name(struct sctp_sock *sp, const union sctp_addr *addr,
			    const struct sctp_association *asoc,
			    const struct sctp_bind_addr *bp, void *buf)
{
	struct sockaddr_bundle *sb = buf;
	union bundle_member member;

	sctp_bundle_member(&member, addr, addr->v4.sin_port);
	if (!sp->bundle_names) {
		memcpy(buf, &member, bundle_member_len(&member));
		return bundle_member_len(&member);
	}

	bundle_init(sb);
	bundle_put(sb, sizeof(struct sockaddr_storage), &member);
	if (asoc)
		sctp_bundle_put_peer(asoc, addr, sb,
				     sizeof(struct sockaddr_storage));
	else if (bp)
		sctp_bundle_put_local(bp, addr, sb,
				      sizeof(struct sockaddr_storage));
	return sb->sb_len;
}

static void sctp_bundle_peer_addr(const struct sctp_association *asoc,
				  union sctp_addr *addr)
{
	*addr = asoc->peer.verified_addr;
	if (addr->sa.sa_family == AF_UNSPEC)
		*addr = asoc->peer.primary_addr;
	addr->v4.sin_port = htons(asoc->peer.port);
}

/* The peer's address that is left when the association has gone. */
static void sctp_bundle_daddr(const struct sock *sk, union sctp_addr *addr)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		addr->v6.sin6_family = AF_INET6;
		addr->v6.sin6_addr = sk->sk_v6_daddr;
		addr->v6.sin6_port = inet_sk(sk)->inet_dport;
		return;
	}
#endif
	addr->v4.sin_family = AF_INET;
	addr->v4.sin_addr.s_addr = inet_sk(sk)->inet_daddr;
	addr->v4.sin_port = inet_sk(sk)->inet_dport;
}

static const struct sctp_bind_addr *
sctp_bundle_bound(struct sctp_sock *sp, const struct sctp_association *asoc)
{
	return asoc ? &asoc->base.bind_addr : &sp->ep->base.bind_addr;
}

/* Has the peer closed, and we not yet? With TCP that's a connection still. */
static bool sctp_bundle_peer_closed(const struct sock *sk)
{
	return sctp_bundle_stream(sk) && sk->sk_shutdown == RCV_SHUTDOWN;
}

int sctp_bundle_getname(struct sock *sk, struct sockaddr_storage *buf, int peer)
{
	struct sctp_sock *sp = sctp_sk(sk);
	struct sctp_association *asoc;
	union sctp_addr addr;
	int ret;

	lock_sock(sk);
	asoc = sctp_bundle_asoc(sk);
	memset(&addr, 0, sizeof(addr));
	if (!peer) {
		sctp_bundle_local_addr(sp, asoc, &addr);
		ret = sctp_bundle_name(sp, &addr, NULL,
				       sctp_bundle_bound(sp, asoc), buf);
	} else if (!inet_sk(sk)->inet_dport ||
		   (peer == 1 && (1 << sk->sk_state) & TCPF_CLOSE &&
		    !sctp_bundle_peer_closed(sk))) {
		ret = -ENOTCONN;
	} else {
		if (asoc)
			sctp_bundle_peer_addr(asoc, &addr);
		else
			sctp_bundle_daddr(sk, &addr);
		ret = sctp_bundle_name(sp, &addr, asoc, NULL, buf);
	}
	release_sock(sk);
	return ret;
}

/* Where a message came from, as a bundle socket tells it: the address that the
 * handshake verified, whichever path it took. Context: socket lock held.
 */
void sctp_bundle_msgname(struct sctp_sock *sp, struct sctp_association *asoc,
			 void *name, int *len)
{
	union sctp_addr addr;

	sctp_bundle_peer_addr(asoc, &addr);
	*len = sctp_bundle_name(sp, &addr, asoc, NULL, name);
}

bool sctp_bundle_get_names(const struct sock *sk)
{
	return READ_ONCE(sctp_sk(sk)->bundle_names);
}

void sctp_bundle_set_names(struct sock *sk, bool on)
{
	lock_sock(sk);
	WRITE_ONCE(sctp_sk(sk)->bundle_names, on);
	release_sock(sk);
}

int sctp_bundle_get_addrs(struct sock *sk, s32 id, bool peer,
			  struct sockaddr_bundle *sb, size_t size)
{
	struct sctp_sock *sp = sctp_sk(sk);
	struct sctp_association *asoc;
	union bundle_member member;
	union sctp_addr addr;
	int err = 0;

	lock_sock(sk);
	if (sctp_style(sk, UDP))
		asoc = id ? sctp_id2assoc(sk, id) : NULL;
	else
		asoc = sctp_bundle_asoc(sk);

	memset(&addr, 0, sizeof(addr));
	if (sctp_style(sk, UDP) && !asoc && (peer || id)) {
		err = -EINVAL;
	} else if (!peer) {
		sctp_bundle_local_addr(sp, asoc, &addr);
		sctp_bundle_member(&member, &addr, addr.v4.sin_port);
		if (bundle_put(sb, size, &member))
			sctp_bundle_put_local(sctp_bundle_bound(sp, asoc), &addr,
					      sb, size);
	} else if (!asoc || asoc->state < SCTP_STATE_ESTABLISHED) {
		err = -ENOTCONN;
	} else {
		sctp_bundle_peer_addr(asoc, &addr);
		sctp_bundle_member(&member, &addr, addr.v4.sin_port);
		if (bundle_put(sb, size, &member))
			sctp_bundle_put_peer(asoc, &addr, sb, size);
	}
	release_sock(sk);
	return err;
}

int sctp_bundle_get_paths(struct sock *sk, s32 id, struct bundle_path *out,
			  int max)
{
	const struct sctp_bundle_attempt *attempt;
	const struct sctp_bundle_path *path;
	struct sctp_association *asoc;
	union bundle_member member;
	int count = 0, i;

	lock_sock(sk);
	if (sctp_style(sk, UDP)) {
		asoc = sctp_id2assoc(sk, id);
		if (!asoc) {
			count = -EINVAL;
			goto out;
		}
	} else {
		asoc = sctp_bundle_asoc(sk);
	}
	attempt = asoc ? asoc->bundle_attempt : sctp_sk(sk)->bundle_attempt;
	if (!attempt)
		goto out;

	for (i = 0; i < attempt->count && count < max; i++, count++) {
		path = &attempt->path[i];
		memset(&out[count], 0, sizeof(out[count]));
		sctp_bundle_member(&member, &path->addr, path->addr.v4.sin_port);
		memcpy(out[count].bp_addr, &member, sizeof(member));
		out[count].bp_state = asoc ? sctp_bundle_path_state(asoc, path) :
					     path->state;
		out[count].bp_error = path->err;
	}
out:
	release_sock(sk);
	return count;
}
