// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SCTP with socket addresses of several addresses: what bundle.ko asks of
 * SCTP (bind to all or none, connect to all with one association), and where
 * SCTP's own calls hand a struct sockaddr_bundle to bundle.ko.
 */

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <net/flow.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sctp/sctp.h>
#include <net/sctp/sm.h>

#include "bundle.h"

/* Unique local addresses (RFC 4193) are private ones; SCTP calls them global. */
enum sctp_scope sctp_bundle_addr_scope(const union sctp_addr *addr)
{
	if (addr->sa.sa_family == AF_INET6 &&
	    (addr->v6.sin6_addr.s6_addr[0] & 0xfe) == 0xfc)
		return SCTP_SCOPE_PRIVATE;
	return sctp_scope(addr);
}

/* How wide a responder's view may get: as far as the addresses go that it was
 * bound to by name. Loopback ones count only in what this host sent to itself,
 * and one that is bound to a wildcard goes by the source alone.
 */
static enum sctp_scope sctp_bundle_scope_limit(const struct sctp_association *asoc,
					       struct sctp_chunk *chunk,
					       enum sctp_scope scope)
{
	struct sctp_sockaddr_entry *entry;
	enum sctp_scope s;

	/* The af's own skb_iif() names, for IPv6, the address's interface. */
	if (chunk->skb->skb_iif == LOOPBACK_IFINDEX)
		return SCTP_SCOPE_LOOPBACK;

	rcu_read_lock();
	list_for_each_entry_rcu(entry, &asoc->ep->base.bind_addr.address_list,
				list) {
		s = sctp_bundle_addr_scope(&entry->a);
		if (entry->valid && s > scope && s <= SCTP_SCOPE_LINK)
			scope = s;
	}
	rcu_read_unlock();
	return scope;
}

/* The scope to which the peer's addresses in an INIT or INIT ACK, and a
 * responder's own, are limited. Stock SCTP takes that of the source alone, so
 * that a peer which asked for {fd00::2,10.0.1.2} would get the one or the two,
 * depending on which it tried first. For the responder on a bundle socket it is
 * the union over all that the INIT lists, so that every order gives the same
 * paths, within the limit above: who comes from outside can't point it at
 * private addresses if it uses none itself. Unique local ones are never held
 * back, as sctp_in_scope() calls them global.
 */
enum sctp_scope sctp_bundle_scope(const struct sctp_association *asoc,
				  struct sctp_chunk *chunk,
				  struct sctp_init_chunk *init,
				  const union sctp_addr *source)
{
	enum sctp_scope limit, scope, s;
	union sctp_params param;
	union sctp_addr addr;
	struct sctp_af *af;

	if (!sctp_sk(asoc->base.sk)->bundle)
		return sctp_scope(source);

	scope = sctp_bundle_addr_scope(source);
	if (init->chunk_hdr.type != SCTP_CID_INIT)
		return scope;

	limit = sctp_bundle_scope_limit(asoc, chunk, scope);
	sctp_walk_params(param, init) {
		if (param.p->type != SCTP_PARAM_IPV4_ADDRESS &&
		    param.p->type != SCTP_PARAM_IPV6_ADDRESS)
			continue;
		af = sctp_get_af_specific(param_type2af(param.p->type));
		if (!af || !af->from_addr_param(&addr, param.addr, 0, 0))
			continue;
		s = sctp_bundle_addr_scope(&addr);
		if (s > scope && s <= limit)
			scope = s;
	}
	return scope;
}

/* Each address must be one that this socket may have or reach at all. */
static int sctp_bundle_supported(struct sctp_sock *sp, union sctp_addr *addrs,
				 int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!sp->pf->af_supported(addrs[i].sa.sa_family, sp))
			return -EAFNOSUPPORT;
	return 0;
}

static int sctp_bundle_security(struct sock *sk, int optname,
				union sctp_addr *addrs, int count)
{
	int err, i;

	for (i = 0; i < count; i++) {
		struct sctp_af *af = sctp_get_af_specific(addrs[i].sa.sa_family);

		err = security_sctp_bind_connect(sk, optname, &addrs[i].sa,
						 af->sockaddr_len);
		if (err)
			return err;
	}
	return 0;
}

/* Everything that may fail comes first and changes nothing: the checks, the
 * memory, and sctp_get_port_local(), which takes the port and all addresses in
 * one step or not at all.
 */
static int __sctp_bundle_bind(struct sock *sk, union sctp_addr *addrs, int count)
{
	struct sctp_sock *sp = sctp_sk(sk);
	struct sctp_bind_addr *bp = &sp->ep->base.bind_addr;
	struct sctp_bind_addr new;
	struct net *net = sock_net(sk);
	u16 port = ntohs(addrs[0].v4.sin_port);
	int err, i;

	/* RFC 6458 would let a second one add addresses; bind(2) doesn't. */
	if (bp->port)
		return -EINVAL;

	err = sctp_bundle_supported(sp, addrs, count);
	if (err)
		return err;

	for (i = 0; i < count; i++) {
		if (count > 1 && sctp_is_any(sk, &addrs[i]))
			return -EINVAL;
		if (!sp->pf->bind_verify(sp, &addrs[i]))
			return -EADDRNOTAVAIL;
	}

	if (port && inet_port_requires_bind_service(net, port) &&
	    !ns_capable(net->user_ns, CAP_NET_BIND_SERVICE))
		return -EACCES;

	err = sctp_bundle_security(sk, SCTP_SOCKOPT_BINDX_ADD, addrs, count);
	if (err)
		return err;

	sctp_bind_addr_init(&new, 0);
	for (i = 0; i < count; i++) {
		err = sctp_add_bind_addr(&new, &addrs[i], sizeof(addrs[i]),
					 SCTP_ADDR_SRC, GFP_KERNEL);
		if (err)
			goto err_free;
	}

	err = -EADDRINUSE;
	if (sctp_get_port_local(sk, addrs, count, &new))
		goto err_free;

	sctp_auto_asconf_init(sp);
	inet_sk(sk)->inet_sport = htons(bp->port);
	sp->pf->to_sk_saddr(&addrs[0], sk);
	return 0;

err_free:
	sctp_bind_addr_free(&new);
	return err;
}

static int sctp_bundle_do_bind(struct sock *sk, union sctp_addr *addrs, int count)
{
	int err;

	lock_sock(sk);
	err = __sctp_bundle_bind(sk, addrs, count);
	release_sock(sk);
	return err;
}

/* Is @addr among those that the association, under way, is still to try? */
static bool sctp_bundle_wants(const struct sctp_association *asoc,
			      const union sctp_addr *addr)
{
	const struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	int i;

	if (!attempt || asoc->state >= SCTP_STATE_ESTABLISHED)
		return false;
	for (i = 0; i < attempt->count; i++)
		if (sctp_bundle_same_addr(&attempt->path[i].addr, addr))
			return true;
	return false;
}

/* The association under way, or there already, that has one of the addresses.
 * -EINVAL if they are those of several.
 */
static int sctp_bundle_lookup(struct sctp_endpoint *ep, union sctp_addr *addrs,
			      int count, struct sctp_association **asoc,
			      struct sctp_transport **transport)
{
	struct sctp_association *found, *a;
	struct sctp_transport *t;
	int i;

	*asoc = NULL;
	*transport = NULL;
	for (i = 0; i < count; i++) {
		found = sctp_endpoint_lookup_assoc(ep, &addrs[i], &t);
		if (!found)
			list_for_each_entry(a, &ep->asocs, asocs)
				if (a->peer.port == ntohs(addrs[i].v4.sin_port) &&
				    sctp_bundle_wants(a, &addrs[i])) {
					found = a;
					t = a->peer.primary_path;
					break;
				}
		if (!found || found == *asoc)
			continue;
		if (*asoc)
			return -EINVAL;
		*asoc = found;
		*transport = t;
	}
	return 0;
}

/* A new association with the first host's addresses, nothing sent yet. Its own addresses
 * are those in the union of the scopes of its destinations, so that
 * {fd00:3::2,10.0.1.2} has a source for each, whichever comes first.
 */
static int sctp_bundle_new_asoc(struct sctp_endpoint *ep, int optname,
				union sctp_addr *addrs, u64 hosts, int count,
				const struct sctp_initmsg *init,
				struct sctp_transport **transport)
{
	enum sctp_scope scope = SCTP_SCOPE_GLOBAL;
	struct sock *sk = ep->base.sk;
	struct sctp_bundle_attempt *attempt;
	struct sctp_association *asoc;
	int err, i;

	for (i = 0; i < count; i++) {
		struct sctp_af *af = sctp_get_af_specific(addrs[i].sa.sa_family);

		err = sctp_verify_addr(sk, &addrs[i], af->sockaddr_len);
		if (err)
			return err;
		if (sctp_endpoint_is_peeled_off(ep, &addrs[i]))
			return -EADDRNOTAVAIL;
		scope = max(scope, sctp_bundle_addr_scope(&addrs[i]));
	}

	err = sctp_bundle_security(sk, optname, addrs, count);
	if (err)
		return err;

	attempt = sctp_bundle_attempt_new(addrs, hosts, count);
	if (!attempt)
		return -ENOMEM;

	err = sctp_connect_new_asoc(ep, &addrs[0], scope, init, transport);
	if (err)
		goto err_put;

	asoc = (*transport)->asoc;
	for (i = 1; i < count && attempt->path[i].host == 0; i++) {
		if (!sctp_assoc_add_peer(asoc, &addrs[i], GFP_KERNEL,
					 SCTP_UNKNOWN)) {
			err = -ENOMEM;
			goto err_free;
		}
	}

	sctp_bundle_attempt_start(asoc, attempt);
	refcount_inc(&attempt->refs);
	sctp_bundle_attempt_put(sctp_sk(sk)->bundle_attempt);
	sctp_sk(sk)->bundle_attempt = attempt;
	bundle_notify(sock_net(sk), BUNDLE_EVENT_ASSOC, NULL, 0);
	return 0;

err_free:
	sctp_association_free(asoc);
err_put:
	sctp_bundle_attempt_put(attempt);
	return err;
}

/* As inet_stream_connect() has it: a connect(2) that comes again while one is
 * under way waits on, or says -EALREADY if it mustn't wait; the first one after
 * that brings the outcome, 0 included.
 */
static int __sctp_bundle_connect(struct sock *sk, union sctp_addr *addrs,
				 u64 hosts, int count, int flags)
{
	long timeo = sock_sndtimeo(sk, flags & O_NONBLOCK);
	struct sctp_sock *sp = sctp_sk(sk);
	struct sctp_transport *transport;
	struct sctp_association *asoc;
	bool pending, repeated;
	int err;

	err = sctp_bundle_supported(sp, addrs, count);
	if (err)
		return err;

	pending = sp->bundle_connecting;
	sp->bundle_connecting = 0;
	if (sctp_bundle_connected(sk))
		return pending ? 0 : -EISCONN;
	if (sctp_style(sk, TCP) && sctp_sstate(sk, LISTENING))
		return -EISCONN;

	if (sctp_style(sk, UDP)) {
		err = sctp_bundle_lookup(sp->ep, addrs, count, &asoc, &transport);
		if (err)
			return err;
		if (asoc && asoc->state >= SCTP_STATE_ESTABLISHED)
			return -EISCONN;
		/* A message that waits for room will begin it, or not. */
		if (asoc && sctp_state(asoc, CLOSED))
			return -EALREADY;
	} else {
		asoc = list_first_entry_or_null(&sp->ep->asocs,
						struct sctp_association, asocs);
		if (!asoc && pending && sk->sk_err)
			return sock_error(sk);
		/* It has ended before the program accepted it. */
		if (asoc && sctp_state(asoc, CLOSED))
			return -EISCONN;
	}

	repeated = asoc;
	if (!repeated) {
		err = sctp_bundle_new_asoc(sp->ep, SCTP_SOCKOPT_CONNECTX, addrs,
					   hosts, count, NULL, &transport);
		if (err)
			return err;
		asoc = transport->asoc;

		err = sctp_primitive_ASSOCIATE(sock_net(sk), asoc, NULL);
		if (err < 0) {
			sctp_association_free(asoc);
			return err;
		}

		inet_sk(sk)->inet_dport = htons(asoc->peer.port);
		sp->pf->to_sk_daddr(&addrs[0], sk);
		WRITE_ONCE(sk->sk_err, 0);
	}

	err = sctp_wait_for_connect(asoc, NULL, &timeo);

	if (repeated && err == -EINPROGRESS)
		err = -EALREADY;
	if (sctp_style(sk, UDP))
		return err;
	if (err == -EINPROGRESS || err == -EALREADY || err == -EINTR ||
	    err == -ERESTARTSYS)
		sp->bundle_connecting = 1;
	else if (err)
		err = sock_error(sk) ?: err;
	return err;
}

static int sctp_bundle_do_connect(struct sock *sk, union sctp_addr *addrs,
				  u64 hosts, int count, int flags)
{
	int err;

	lock_sock(sk);
	err = __sctp_bundle_connect(sk, addrs, hosts, count, flags);
	release_sock(sk);
	return err;
}

/**
 * sctp_bundle_sendmsg - the association that a message to a bundle goes to
 * @sk:		the socket, locked
 * @addrs:	the addresses, not all of other families than the socket's
 * @hosts:	which of them are the first of a host, one bit each
 * @count:	how many
 * @init:	what a new association is to be set up with, or NULL
 * @asoc:	the association that has one of @addrs, or NULL after a new one
 *		with all of them was made
 * @transport:	its transport to the first that it has; @transport->asoc is the
 *		association in either case
 * @sflags:	the message's flags; none that end an association start one
 *
 * Return: 0, or -EINVAL if @addrs belong to different associations, or why a
 * new one couldn't be made.
 */
int sctp_bundle_sendmsg(struct sock *sk, union sctp_addr *addrs, u64 hosts,
			int count, const struct sctp_initmsg *init,
			__u16 sflags,
			struct sctp_association **asoc,
			struct sctp_transport **transport)
{
	struct sctp_endpoint *ep = sctp_sk(sk)->ep;
	int err;

	err = sctp_bundle_supported(sctp_sk(sk), addrs, count);
	if (err)
		return err;
	err = sctp_bundle_lookup(ep, addrs, count, asoc, transport);
	if (err || *asoc)
		return err;

	if (sflags & (SCTP_EOF | SCTP_ABORT))
		return -EINVAL;
	if (sctp_style(sk, TCP) && sctp_bundle_connected(sk))
		return -EADDRNOTAVAIL;

	return sctp_bundle_new_asoc(ep, SCTP_SENDMSG_CONNECT, addrs, hosts,
				    count, init, transport);
}

/* From SCTP to bundle.ko */

int sctp_bundle_bind(struct sock *sk, const void *addr, int len)
{
	const struct bundle_ops *ops = bundle_ops_get();
	int err;

	if (!ops)
		return -EAFNOSUPPORT;
	err = ops->bind(sk, addr, len);
	bundle_ops_put(ops);
	return err;
}

int sctp_bundle_connect(struct sock *sk, const void *addr, int len, int flags)
{
	const struct bundle_ops *ops = bundle_ops_get();
	int err;

	if (!ops)
		return -EAFNOSUPPORT;
	err = ops->connect(sk, addr, len, flags);
	bundle_ops_put(ops);
	return err;
}

int sctp_bundle_unpack(struct sock *sk, const void *addr, int len,
		       union sctp_addr **addrs, u64 *hosts)
{
	const struct bundle_ops *ops = bundle_ops_get();
	int count;

	if (!ops)
		return -EAFNOSUPPORT;
	count = ops->unpack(sk, addr, len, addrs, hosts);
	bundle_ops_put(ops);
	return count;
}

/* Nobody else knows the socket yet; sctp_do_peeloff() holds another one's lock. */
static void sctp_bundle_init_sock(struct sock *sk)
{
	struct sctp_sock *sp = sctp_sk(sk);

	sp->bundle = 1;
	if (sctp_style(sk, TCP)) {
		sp->bundle_stream = 1;
		sp->adaptation_ind = SCTP_BUNDLE_ADAPTATION;
	}
	/* RFC 9260, section 16; SCTP's own is RFC 4960's. */
	sp->rtoinfo.srto_initial = min(sp->rtoinfo.srto_initial, 1000);
	sp->v4mapped = 0;
	sk->sk_ipv6only = 0;
}

const struct bundle_sctp_ops sctp_bundle_ops = {
	.init		= sctp_bundle_init_sock,
	.bind		= sctp_bundle_do_bind,
	.connect	= sctp_bundle_do_connect,
	.getname	= sctp_bundle_getname,
	.get_names	= sctp_bundle_get_names,
	.set_names	= sctp_bundle_set_names,
	.get_addrs	= sctp_bundle_get_addrs,
	.get_paths	= sctp_bundle_get_paths,
	.set_stream	= sctp_bundle_set_stream,
	.get_stream	= sctp_bundle_get_stream,
	.sendmsg	= sctp_bundle_stream_sendmsg,
	.recvmsg	= sctp_bundle_stream_recvmsg,
	.poll		= sctp_bundle_stream_poll,
	.shutdown	= sctp_bundle_stream_shutdown,
	.tcp_setsockopt	= sctp_bundle_tcp_setsockopt,
	.tcp_getsockopt	= sctp_bundle_tcp_getsockopt,
};
