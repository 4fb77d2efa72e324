// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an attempt to set up an association with a bundle keeps: its addresses,
 * the hosts that they belong to, and what has become of each. bundle_setup.c has
 * the course that it takes.
 *
 * All functions run under the socket lock, from a process or a softirq, unless
 * they say something else.
 */

#include <linux/errno.h>
#include <linux/slab.h>
#include <net/sctp/sctp.h>

#include "bundle.h"

struct sctp_bundle_attempt *sctp_bundle_attempt_new(const union sctp_addr *addrs,
						    u64 hosts, int count)
{
	struct sctp_bundle_attempt *attempt;
	int i;

	attempt = kzalloc(struct_size(attempt, path, count), GFP_KERNEL);
	if (!attempt)
		return NULL;
	refcount_set(&attempt->refs, 1);
	attempt->count = count;
	for (i = 0; i < count; i++) {
		if (i && hosts & BIT_ULL(i))
			attempt->hosts++;
		attempt->path[i].addr = addrs[i];
		attempt->path[i].host = attempt->hosts;
	}
	attempt->hosts++;
	return attempt;
}

/* The association, which has the first host's addresses, is about to be set up;
 * the reference becomes its own.
 */
void sctp_bundle_attempt_start(struct sctp_association *asoc,
			       struct sctp_bundle_attempt *attempt)
{
	struct net *net = asoc->base.net;

	attempt->ostreams = asoc->c.sinit_num_ostreams;
	attempt->instreams = asoc->c.sinit_max_instreams;
	attempt->delay = msecs_to_jiffies(READ_ONCE(net->sctp.bundle_host_delay));
	asoc->bundle_attempt = attempt;
	asoc->bundle_parallel = attempt->count > 1;
}

/* Needs no lock. */
void sctp_bundle_attempt_put(struct sctp_bundle_attempt *attempt)
{
	if (attempt && refcount_dec_and_test(&attempt->refs))
		kfree(attempt);
}

bool sctp_bundle_same_addr(const union sctp_addr *a, const union sctp_addr *b)
{
	const struct sctp_af *af = sctp_get_af_specific(AF_INET);

	if (a->sa.sa_family == AF_INET6 || b->sa.sa_family == AF_INET6)
		af = sctp_get_af_specific(AF_INET6);
	return af && af->cmp_addr(a, b);
}

/* What the attempt knows of a transport's address, or NULL. */
struct sctp_bundle_path *
sctp_bundle_path(const struct sctp_association *asoc,
		 const struct sctp_transport *transport)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	int i;

	for (i = 0; transport && i < attempt->count; i++)
		if (sctp_bundle_same_addr(&attempt->path[i].addr,
					  &transport->ipaddr))
			return &attempt->path[i];
	return NULL;
}

/* What became of one address, as far as the association tells. */
enum bundle_path_state
sctp_bundle_path_state(const struct sctp_association *asoc,
		       const struct sctp_bundle_path *path)
{
	struct sctp_transport *t;

	if (path->state != BUNDLE_PATH_TRYING ||
	    asoc->state < SCTP_STATE_ESTABLISHED)
		return path->state;
	if (sctp_bundle_same_addr(&asoc->peer.verified_addr, &path->addr))
		return BUNDLE_PATH_WON;
	t = sctp_assoc_lookup_paddr(asoc, &path->addr);
	if (!t)
		return BUNDLE_PATH_DROPPED;
	return t->state == SCTP_UNCONFIRMED ? BUNDLE_PATH_TRYING :
					      BUNDLE_PATH_CONFIRMED;
}

/* An address has failed with the positive errno @err. */
void sctp_bundle_path_fail(const struct sctp_association *asoc,
			   struct sctp_bundle_path *path, int err)
{
	path->due = false;
	path->err = err;
	if (err == ECONNREFUSED)
		path->state = BUNDLE_PATH_REFUSED;
	else if (err == ETIMEDOUT)
		path->state = BUNDLE_PATH_TIMED_OUT;
	else
		path->state = BUNDLE_PATH_UNREACHABLE;
	bundle_notify(asoc->base.net, BUNDLE_EVENT_PATH_FAILED, &path->addr, err);
}

/* Does the address belong to the peer that has answered? It may say so of all of
 * its host's, but not of another host's.
 */
static bool sctp_bundle_peers(const struct sctp_association *asoc,
			      const struct sctp_bundle_path *path)
{
	return path->host == asoc->bundle_attempt->host &&
	       sctp_assoc_lookup_paddr(asoc, &path->addr);
}

/* The peer that has answered, and with it all its addresses, likewise. */
void sctp_bundle_peer_fail(const struct sctp_association *asoc, int err)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	int i;

	for (i = 0; i < attempt->count; i++)
		if (attempt->path[i].state == BUNDLE_PATH_TRYING &&
		    sctp_bundle_peers(asoc, &attempt->path[i]))
			sctp_bundle_path_fail(asoc, &attempt->path[i], err);
}

/* Has the host an address that hasn't failed? */
bool sctp_bundle_trying(const struct sctp_bundle_attempt *attempt, int host)
{
	int i;

	for (i = 0; i < attempt->count; i++)
		if (attempt->path[i].host == host &&
		    attempt->path[i].state == BUNDLE_PATH_TRYING)
			return true;
	return false;
}

/* Is there an address to go on with if the present peer is given up? */
bool sctp_bundle_has_others(const struct sctp_association *asoc)
{
	const struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	int i;

	if (asoc->state >= SCTP_STATE_ESTABLISHED)
		return false;
	for (i = 0; i < attempt->count; i++)
		if (attempt->path[i].state == BUNDLE_PATH_TRYING &&
		    !sctp_bundle_peers(asoc, &attempt->path[i]))
			return true;
	return false;
}

/* All addresses have failed: what connect(2) says, as a positive errno. */
int sctp_bundle_reason(const struct sctp_bundle_attempt *attempt)
{
	static const int ranking[] = { ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH };
	int i, err, rank;

	for (rank = 0; rank < ARRAY_SIZE(ranking); rank++) {
		for (i = 0; i < attempt->count; i++) {
			err = attempt->path[i].err;
			if (attempt->path[i].state == BUNDLE_PATH_TRYING)
				err = ETIMEDOUT;
			if (err == ranking[rank])
				return err;
		}
	}
	return attempt->path[0].err ?: ETIMEDOUT;
}

/* Is @addr one of those that the program asked this association for? */
bool sctp_bundle_asked_for(const struct sctp_association *asoc,
			   const union sctp_addr *addr)
{
	return asoc->bundle_attempt && sctp_assoc_lookup_paddr(asoc, addr);
}

/* Does what came from @transport tell of @path? Of all addresses of a peer that has
 * been sent the cookie, it does.
 */
static bool sctp_bundle_tells_of(const struct sctp_association *asoc,
				 const struct sctp_transport *transport,
				 const struct sctp_bundle_path *path)
{
	return transport &&
	       (sctp_bundle_same_addr(&path->addr, &transport->ipaddr) ||
		(sctp_state(asoc, COOKIE_ECHOED) &&
		 sctp_bundle_peers(asoc, path)));
}

/* The attempt to set up @asoc has failed with @err, and @transport, if any, is
 * where the news came from.
 */
void sctp_bundle_failed(const struct sctp_association *asoc,
			const struct sctp_transport *transport, int err)
{
	struct sctp_association *my_asoc = (struct sctp_association *)asoc;
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	int i;

	if ((attempt || sctp_sk(asoc->base.sk)->bundle) && !asoc->bundle_err)
		my_asoc->bundle_err = err;

	for (i = 0; attempt && i < attempt->count; i++) {
		struct sctp_bundle_path *path = &attempt->path[i];

		if (path->state != BUNDLE_PATH_TRYING)
			continue;
		if (err == ETIMEDOUT ||
		    sctp_bundle_tells_of(asoc, transport, path)) {
			sctp_bundle_path_fail(asoc, path, err);
		} else {
			path->state = BUNDLE_PATH_DROPPED;
			path->err = err;
		}
	}
}
