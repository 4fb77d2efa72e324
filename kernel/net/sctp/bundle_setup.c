// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Setting up an association with a bundle. An INIT goes to all addresses of a
 * host at once, the first INIT ACK wins, and an address that fails takes none of
 * the others with it. When the winner doesn't carry the association through, a
 * new one begins with the addresses that it doesn't own; hosts have their turn
 * one after the other.
 *
 * The state machine calls in here where an attempt with several addresses goes
 * another way than one with a single one. All functions run under the socket
 * lock, from a process or a softirq, unless they say something else.
 *
 * The wire sees a new association with each try: new tag, new TSN, new keys. In
 * memory it is the same struct sctp_association throughout, so that those who
 * wait for it, its id, and the data that is queued on it stay what they are.
 */

#include <linux/errno.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/sctp/sctp.h>
#include <net/sctp/sm.h>

#include "bundle.h"

/* How far apart the INITs go that a limit holds back. */
#define SCTP_BUNDLE_PACE	msecs_to_jiffies(10)

/* How long a host's share of the namespace's rate may be saved up. */
#define SCTP_BUNDLE_SAVED_NS	(100 * NSEC_PER_MSEC)

/* Timers */

static void sctp_bundle_timer_stop(struct sctp_association *asoc,
				   enum sctp_event_timeout which)
{
	if (del_timer(&asoc->timers[which]))
		sctp_association_put(asoc);
}

static void sctp_bundle_timer_set(struct sctp_association *asoc,
				  enum sctp_event_timeout which,
				  unsigned long when)
{
	if (!mod_timer(&asoc->timers[which], when))
		sctp_association_hold(asoc);
}

/* Is it for an INIT ACK that the attempt waits? */
static bool sctp_bundle_waits(const struct sctp_association *asoc)
{
	return asoc->bundle_attempt && asoc->state == SCTP_STATE_COOKIE_WAIT;
}

/* Sets the timer to whatever comes next: an INIT held back, the next host's
 * turn, the end of it all.
 */
static void sctp_bundle_timer_arm(struct sctp_association *asoc)
{
	const struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	unsigned long when = asoc->bundle_deadline;

	if (sctp_bundle_waits(asoc) && attempt->until &&
	    (!when || time_before(attempt->until, when)))
		when = attempt->until;
	if (sctp_bundle_waits(asoc) && attempt->pace &&
	    (!when || time_before(attempt->pace, when)))
		when = attempt->pace;
	if (when)
		sctp_bundle_timer_set(asoc, SCTP_EVENT_TIMEOUT_BUNDLE, when);
	else
		sctp_bundle_timer_stop(asoc, SCTP_EVENT_TIMEOUT_BUNDLE);
}

/* A time @after from now, in jiffies, that isn't 0. */
static unsigned long sctp_bundle_time(unsigned long after)
{
	return (jiffies + after) ?: 1;
}

/**
 * sctp_bundle_limit - bound the time that an association may take to be set up
 * @asoc:	the association, about to be set up
 *
 * A program behind a middlebox that swallows SCTP must get to its next address
 * family. What the program itself has said about attempts and time-outs counts
 * instead, and other sockets than AF_BUNDLE's have SCTP's own bound alone.
 */
void sctp_bundle_limit(struct sctp_association *asoc)
{
	unsigned int timeout;

	timeout = READ_ONCE(asoc->base.net->sctp.bundle_connect_timeout);
	asoc->bundle_deadline = sctp_bundle_time(msecs_to_jiffies(timeout));
	sctp_bundle_timer_arm(asoc);
}

/* Sending INITs */

/* May an INIT beyond a connect's first go out now? One may be sent for each
 * 1/bundle_init_rate of a second that has gone by.
 */
static bool sctp_bundle_may_send(struct net *net)
{
	unsigned int rate = READ_ONCE(net->sctp.bundle_init_rate);
	u64 cost = div_u64(NSEC_PER_SEC, max(rate, 1U));
	u64 saved = max_t(u64, SCTP_BUNDLE_SAVED_NS, cost);
	u64 now = ktime_get_ns() + saved;
	bool may;

	spin_lock_bh(&net->sctp.bundle_lock);
	net->sctp.bundle_spent = max(net->sctp.bundle_spent, now - saved);
	may = net->sctp.bundle_spent + cost <= now;
	if (may)
		net->sctp.bundle_spent += cost;
	spin_unlock_bh(&net->sctp.bundle_lock);
	return may;
}

/* The transport to an address, or a new one. Not if the address has become that
 * of another association since the attempt began, on this socket or peeled off.
 */
static struct sctp_transport *sctp_bundle_peer(struct sctp_association *asoc,
					       const union sctp_addr *addr,
					       gfp_t gfp)
{
	struct sctp_transport *t;

	t = sctp_assoc_lookup_paddr(asoc, addr);
	if (t)
		return t;
	if (sctp_endpoint_is_peeled_off(asoc->ep, addr))
		return ERR_PTR(-EADDRNOTAVAIL);
	return sctp_assoc_add_peer(asoc, addr, gfp, SCTP_UNKNOWN) ?:
	       ERR_PTR(-ENOMEM);
}

/* The transport to an address, if it has a route and one of our addresses to
 * come from; else why not.
 */
static struct sctp_transport *
sctp_bundle_transport(struct sctp_association *asoc,
		      const union sctp_addr *addr, gfp_t gfp)
{
	struct sctp_transport *t;

	t = sctp_bundle_peer(asoc, addr, gfp);
	if (IS_ERR(t))
		return t;
	if (!sctp_transport_dst_check(t))
		sctp_transport_route(t, NULL, sctp_sk(asoc->base.sk));
	/* Without a source among ours there may still be a route, from another. */
	if (!t->dst || t->saddr.sa.sa_family == AF_UNSPEC) {
		sctp_transport_dst_release(t);
		return ERR_PTR(-ENETUNREACH);
	}
	return t;
}

/* Sends @burst of the INITs that are due, or fewer. The rest follows by timer. */
static void sctp_bundle_send(struct sctp_association *asoc, unsigned int burst,
			     gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	struct net *net = asoc->base.net;
	struct sctp_bundle_path *path;
	struct sctp_transport *t;
	struct sctp_chunk *init;
	int i, first = attempt->next;

	attempt->pace = 0;
	for (i = 0; i < attempt->count; i++) {
		attempt->next = (first + i) % attempt->count;
		path = &attempt->path[attempt->next];
		if (!path->due)
			continue;

		t = sctp_bundle_transport(asoc, &path->addr, gfp);
		if (IS_ERR(t)) {
			sctp_bundle_path_fail(asoc, path, -PTR_ERR(t));
			continue;
		}
		if (!burst || (attempt->inits && !sctp_bundle_may_send(net)))
			goto later;
		init = sctp_make_init(asoc, &asoc->base.bind_addr, gfp, 0);
		if (!init)
			goto later;

		if (attempt->inits++)
			bundle_notify(net, BUNDLE_EVENT_PARALLEL_INIT,
				      &path->addr, 0);
		burst--;
		path->due = false;
		path->sent = jiffies;
		t->init_sent_count++;
		asoc->init_last_sent_to = t;
		init->transport = t;
		sctp_outq_tail(&asoc->outqueue, init, gfp);
	}
	attempt->next = 0;
	return;

later:
	attempt->pace = sctp_bundle_time(SCTP_BUNDLE_PACE);
}

/* Sends INITs to all of the present host's addresses that haven't failed.
 * Returns whether any is left of them.
 */
static bool sctp_bundle_round(struct sctp_association *asoc, gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	int i;

	for (i = 0; i < attempt->count; i++)
		attempt->path[i].due =
			attempt->path[i].host == attempt->host &&
			attempt->path[i].state == BUNDLE_PATH_TRYING;
	sctp_bundle_send(asoc,
			 READ_ONCE(asoc->base.net->sctp.bundle_init_burst), gfp);
	return sctp_bundle_trying(attempt, attempt->host);
}

/* Turns to the next host that has an address left; after the last one it is the
 * first one's turn again, for twice as long. Returns false if no host has any, or
 * as many rounds have passed as there may be.
 */
static bool sctp_bundle_next_host(struct sctp_association *asoc)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	int i;

	for (i = 0; i < attempt->hosts; i++) {
		if (++attempt->host == attempt->hosts) {
			attempt->host = 0;
			attempt->delay = min(attempt->delay * 2, asoc->rto_max);
			asoc->init_err_counter++;
			if (asoc->init_err_counter > asoc->max_init_attempts)
				return false;
		}
		if (sctp_bundle_trying(attempt, attempt->host))
			return true;
	}
	return false;
}

/* The transports become those of the present host's addresses that haven't failed,
 * none of them answered yet.
 */
static void sctp_bundle_set_transports(struct sctp_association *asoc, gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	struct sctp_bundle_path *path;
	struct sctp_transport *t, *next;
	int i;

	/* An association is never without a transport, so the new ones come
	 * before the old ones go.
	 */
	for (i = 0; i < attempt->count; i++) {
		path = &attempt->path[i];
		if (path->host != attempt->host ||
		    path->state != BUNDLE_PATH_TRYING)
			continue;
		t = sctp_bundle_peer(asoc, &path->addr, gfp);
		if (IS_ERR(t))
			sctp_bundle_path_fail(asoc, path, -PTR_ERR(t));
	}
	list_for_each_entry_safe(t, next, &asoc->peer.transport_addr_list,
				 transports) {
		t->state = SCTP_UNKNOWN;
		path = sctp_bundle_path(asoc, t);
		if (path && path->host == attempt->host &&
		    path->state == BUNDLE_PATH_TRYING)
			continue;
		if (asoc->peer.transport_count > 1)
			sctp_assoc_rm_peer(asoc, t);
	}
	asoc->peer.last_data_from = NULL;
}

/* Nothing that a peer has said remains. */
static void sctp_bundle_forget_peer(struct sctp_association *asoc)
{
	struct sctp_chunk *chunk;

	memset(&asoc->peer.i, 0, sizeof(asoc->peer.i));
	asoc->peer.rwnd = SCTP_DEFAULT_MAXWINDOW;
	memset(&asoc->peer.verified_addr, 0, sizeof(asoc->peer.verified_addr));
	asoc->peer.ipv4_address = 1;
	asoc->peer.ipv6_address = asoc->base.sk->sk_family == AF_INET6;
	asoc->peer.ecn_capable = 0;
	asoc->peer.adaptation_ind = 0;
	asoc->peer.prsctp_capable = 0;
	asoc->peer.reconf_capable = 0;
	asoc->peer.intl_capable = 0;
	asoc->peer.auth_capable = 0;
	asoc->peer.asconf_capable = 0;
	asoc->peer.addip_disabled_mask = 0;
	kfree(asoc->peer.cookie);
	asoc->peer.cookie = NULL;
	kfree(asoc->peer.peer_random);
	asoc->peer.peer_random = NULL;
	kfree(asoc->peer.peer_chunks);
	asoc->peer.peer_chunks = NULL;
	kfree(asoc->peer.peer_hmacs);
	asoc->peer.peer_hmacs = NULL;

	asoc->default_hmac_id = 0;
	sctp_auth_key_put(asoc->asoc_shared_key);
	asoc->asoc_shared_key = NULL;
	asoc->shkey = NULL;
	/* A chunk that has a key doesn't leave without authentication. If the
	 * next peer wants that, too, the active key becomes the chunk's.
	 */
	list_for_each_entry(chunk, &asoc->outqueue.out_chunk_list, list) {
		chunk->auth = 0;
		if (chunk->shkey)
			sctp_auth_shkey_release(chunk->shkey);
		chunk->shkey = NULL;
	}

	asoc->c.peer_vtag = 0;
	asoc->encap_port = sctp_sk(asoc->base.sk)->encap_port;
}

/* Makes a new association of this one, with nothing that a peer knows, to try the
 * present host's addresses that haven't failed.
 */
static void sctp_bundle_renew(struct sctp_association *asoc, gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	struct sctp_paramhdr *random;
	struct sctp_transport *t;

	sctp_bundle_timer_stop(asoc, SCTP_EVENT_TIMEOUT_T1_INIT);
	sctp_bundle_timer_stop(asoc, SCTP_EVENT_TIMEOUT_T1_COOKIE);
	asoc->timeouts[SCTP_EVENT_TIMEOUT_T1_INIT] = asoc->rto_initial;
	asoc->timeouts[SCTP_EVENT_TIMEOUT_T1_COOKIE] = asoc->rto_initial;

	sctp_bundle_forget_peer(asoc);
	sctp_bundle_set_transports(asoc, gfp);
	list_for_each_entry(t, &asoc->peer.transport_addr_list, transports)
		t->init_sent_count = 0;
	asoc->pathmtu = sctp_sk(asoc->base.sk)->pathmtu;
	sctp_assoc_sync_pmtu(asoc);

	asoc->c.my_vtag = sctp_generate_tag(asoc->ep);
	asoc->c.my_ttag = 0;
	asoc->c.peer_ttag = 0;
	asoc->c.initial_tsn = sctp_generate_tsn(asoc->ep);
	asoc->c.sinit_num_ostreams = attempt->ostreams;
	asoc->c.sinit_max_instreams = attempt->instreams;
	random = (struct sctp_paramhdr *)asoc->c.auth_random;
	get_random_bytes(random + 1, SCTP_AUTH_RANDOM_LENGTH);
	/* If there is no memory for that, it has those that the peer had taken. */
	sctp_stream_init(&asoc->stream, attempt->ostreams, 0, gfp);

	asoc->next_tsn = asoc->c.initial_tsn;
	asoc->ctsn_ack_point = asoc->next_tsn - 1;
	asoc->adv_peer_ack_point = asoc->ctsn_ack_point;
	asoc->highest_sacked = asoc->ctsn_ack_point;
	asoc->last_cwr_tsn = asoc->ctsn_ack_point;
	asoc->addip_serial = asoc->c.initial_tsn;
	asoc->strreset_outseq = asoc->c.initial_tsn;
	asoc->overall_error_count = 0;

	bundle_notify(asoc->base.net, BUNDLE_EVENT_SECOND_ATTEMPT, NULL, 0);
}

/* Tries the present host, or what is left of it, and the next one if nothing is.
 * Returns 0, or why there is nothing left to try, as a negative errno.
 */
static int sctp_bundle_try(struct sctp_association *asoc, gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;

	while (!sctp_bundle_round(asoc, gfp)) {
		if (!sctp_bundle_next_host(asoc))
			return -sctp_bundle_reason(attempt);
		sctp_bundle_renew(asoc, gfp);
	}

	if (attempt->hosts == 1)
		sctp_bundle_timer_set(asoc, SCTP_EVENT_TIMEOUT_T1_INIT, jiffies +
				      asoc->timeouts[SCTP_EVENT_TIMEOUT_T1_INIT]);
	else
		attempt->until = sctp_bundle_time(attempt->delay);
	sctp_bundle_timer_arm(asoc);
	return 0;
}

/* Side effects */

/* The attempt begins. Returns 0, or why it can't, as a negative errno. */
int sctp_bundle_cmd_start(struct sctp_association *asoc, gfp_t gfp)
{
	int err;

	if (sctp_bundle_limited(asoc))
		sctp_bundle_limit(asoc);
	err = sctp_bundle_try(asoc, gfp);
	/* Who made the association frees it. If it is another who starts it, while
	 * that one waits for room for its message, the timer gives it up.
	 */
	if (err) {
		asoc->bundle_attempt->until = sctp_bundle_time(0);
		sctp_bundle_timer_arm(asoc);
	}
	return err;
}

/* It is over, for @err, a negative errno. */
static void sctp_bundle_give_up(struct sctp_cmd_seq *commands,
				struct sctp_association *asoc, int err)
{
	sctp_bundle_failed(asoc, NULL, -err);
	SCTP_INC_STATS(asoc->base.net, SCTP_MIB_ABORTEDS);
	sctp_add_cmd_sf(commands, SCTP_CMD_SET_SK_ERR, SCTP_ERROR(-err));
	sctp_add_cmd_sf(commands, SCTP_CMD_INIT_FAILED,
			SCTP_PERR(SCTP_ERROR_NO_ERROR));
}

/* T1-init has expired: the next round, with twice the time. */
void sctp_bundle_cmd_again(struct sctp_cmd_seq *commands,
			   struct sctp_association *asoc, gfp_t gfp)
{
	unsigned long *timeout = &asoc->timeouts[SCTP_EVENT_TIMEOUT_T1_INIT];
	int err;

	/* After a stale cookie its sender knows this tag; the others mustn't. */
	if (asoc->peer.primary_path->state != SCTP_UNKNOWN)
		sctp_bundle_renew(asoc, gfp);
	asoc->init_err_counter++;
	*timeout = min(*timeout * 2, asoc->max_init_timeo);
	err = sctp_bundle_try(asoc, gfp);
	if (err)
		sctp_bundle_give_up(commands, asoc, err);
}

/* The next ones of those that were held back. */
void sctp_bundle_cmd_more(struct sctp_cmd_seq *commands,
			  struct sctp_association *asoc, gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;

	sctp_bundle_send(asoc, 1, gfp);
	if (sctp_bundle_trying(attempt, attempt->host))
		sctp_bundle_timer_arm(asoc);
	else
		sctp_bundle_cmd_next(commands, asoc, false, gfp);
}

/* Is it an address that a chunk of the handshake may go to? If so, it does go there:
 * DATA that went with a COOKIE ECHO and timed out with it isn't held against it.
 */
static bool sctp_bundle_confirmed(struct sctp_transport *t)
{
	if (t->state == SCTP_UNCONFIRMED)
		return false;
	t->state = SCTP_ACTIVE;
	return true;
}

/* Tells a peer that has our COOKIE ECHO, or may have it, that the association
 * is none.
 */
void sctp_bundle_cmd_abort(struct sctp_association *asoc, gfp_t gfp)
{
	struct sctp_transport *t;
	struct sctp_chunk *abort;

	list_for_each_entry(t, &asoc->peer.transport_addr_list, transports) {
		if (!sctp_bundle_confirmed(t))
			continue;
		abort = sctp_make_abort(asoc, NULL, 0);
		if (!abort)
			break;
		abort->transport = t;
		sctp_outq_tail(&asoc->outqueue, abort, gfp);
		SCTP_INC_STATS(asoc->base.net, SCTP_MIB_OUTCTRLCHUNKS);
	}
	/* Before the tag and the addresses change. */
	sctp_outq_uncork(&asoc->outqueue, gfp);
}

/* What is being tried has failed. On with what is left of this host, or with the
 * next one.
 */
void sctp_bundle_cmd_next(struct sctp_cmd_seq *commands,
			  struct sctp_association *asoc, bool abort, gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	bool answered = asoc->peer.i.init_tag;
	int err;

	if (answered) {
		/* What answers this peer mustn't go to the next one. */
		if (abort)
			sctp_bundle_cmd_abort(asoc, gfp);
		else
			sctp_outq_uncork(&asoc->outqueue, gfp);
		sctp_bundle_peer_fail(asoc, ETIMEDOUT);
	}

	/* A peer that is to be asked once more after a stale cookie is gone, too. */
	answered = answered || asoc->peer.primary_path->state != SCTP_UNKNOWN;
	/* The count is one peer's: whoever is asked next begins at none. */
	asoc->stale_cookies = 0;
	if ((answered && sctp_bundle_trying(attempt, attempt->host)) ||
	    sctp_bundle_next_host(asoc)) {
		sctp_bundle_renew(asoc, gfp);
		err = sctp_bundle_try(asoc, gfp);
	} else {
		err = -sctp_bundle_reason(attempt);
	}
	if (err)
		sctp_bundle_give_up(commands, asoc, err);
}

/* An INIT ACK has been taken: where it came from is the primary path, and has had
 * its first round trip measured, unless it isn't clear which INIT it answers.
 */
void sctp_bundle_cmd_winner(struct sctp_association *asoc,
			    struct sctp_transport *transport)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	struct sctp_bundle_path *path;
	int i;

	if (!transport)
		return;
	for (i = 0; i < attempt->count; i++)
		attempt->path[i].due = false;

	asoc->init_last_sent_to = transport;
	asoc->peer.retran_path = transport;
	sctp_assoc_set_primary(asoc, transport);
	path = sctp_bundle_path(asoc, transport);
	if (!path)
		return;
	/* An ICMP error may have told otherwise. */
	path->state = BUNDLE_PATH_TRYING;
	path->err = 0;
	if (transport->init_sent_count == 1)
		sctp_transport_update_rto(transport, jiffies - path->sent);
}

/* An INIT ACK was well-formed, but it can't be taken: its address has failed, and
 * the others, which lost their transports in the course of it, go on waiting.
 */
void sctp_bundle_cmd_refused(struct sctp_association *asoc,
			     struct sctp_transport *transport, gfp_t gfp)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	struct sctp_bundle_path *path = sctp_bundle_path(asoc, transport);

	if (path && path->state == BUNDLE_PATH_TRYING)
		sctp_bundle_path_fail(asoc, path, ECONNREFUSED);
	sctp_bundle_forget_peer(asoc);
	sctp_bundle_set_transports(asoc, gfp);
	if (!sctp_bundle_trying(attempt, attempt->host)) {
		attempt->until = sctp_bundle_time(0);
		sctp_bundle_timer_arm(asoc);
	}
}

/* The COOKIE ECHO goes again, to all addresses that are known to be the peer's. */
void sctp_bundle_cmd_cookie(struct sctp_association *asoc, gfp_t gfp)
{
	unsigned long *timeout = &asoc->timeouts[SCTP_EVENT_TIMEOUT_T1_COOKIE];
	struct sctp_transport *t;
	struct sctp_chunk *echo;

	asoc->init_err_counter++;
	list_for_each_entry(t, &asoc->peer.transport_addr_list, transports) {
		sctp_retransmit_mark(&asoc->outqueue, t, SCTP_RTXR_T1_RTX);
		if (!sctp_bundle_confirmed(t))
			continue;
		echo = sctp_make_cookie_echo(asoc, NULL);
		if (!echo)
			break;
		echo->transport = t;
		t->init_sent_count++;
		asoc->init_last_sent_to = t;
		sctp_outq_tail(&asoc->outqueue, echo, gfp);
	}
	if (!sctp_bundle_has_others(asoc))
		*timeout = min(*timeout * 2, asoc->max_init_timeo);
	sctp_bundle_timer_set(asoc, SCTP_EVENT_TIMEOUT_T1_COOKIE,
			      jiffies + *timeout);
}

/* The other side: an INIT is answered from the address that it was sent to, which
 * has shown that it can be reached, instead of the first that has a route. Its
 * sender may have tried them all, and takes this one for its primary path.
 */
void sctp_bundle_answer_from(struct sctp_association *asoc,
			     const struct sctp_chunk *chunk)
{
	struct sctp_transport *t = asoc->peer.primary_path;
	union sctp_addr source = chunk->dest;

	source.v4.sin_port = htons(asoc->base.bind_addr.port);
	sctp_transport_route(t, &source, sctp_sk(asoc->base.sk));
	if (!t->dst)
		sctp_transport_route(t, NULL, sctp_sk(asoc->base.sk));
}

/* Outcomes */

/* The association is set up: the socket's peer is the one that the handshake
 * verified, and what became of the addresses is written down for when the
 * association has gone.
 */
void sctp_bundle_established(struct sctp_association *asoc)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	struct sctp_sock *sp = sctp_sk(asoc->base.sk);
	int i;

	if (sp->bundle && !sctp_style(asoc->base.sk, UDP) &&
	    sctp_bundle_connected(asoc->base.sk))
		sp->pf->to_sk_daddr(&asoc->peer.verified_addr, asoc->base.sk);

	asoc->bundle_deadline = 0;
	sctp_bundle_timer_stop(asoc, SCTP_EVENT_TIMEOUT_BUNDLE);

	/* To have fewer streams takes no memory. Nothing was sent yet while the
	 * others were kept for another peer; later, chunks may refer to them.
	 */
	if (asoc->bundle_keeps_streams)
		sctp_stream_init(&asoc->stream, asoc->c.sinit_num_ostreams, 0,
				 GFP_ATOMIC);
	asoc->bundle_keeps_streams = 0;

	for (i = 0; attempt && i < attempt->count; i++)
		attempt->path[i].state =
			sctp_bundle_path_state(asoc, &attempt->path[i]);
}

/* State functions */

/**
 * sctp_bundle_sf_lost - an address, or the peer that it belongs to, has failed
 * @asoc:	an association that is being set up
 * @transport:	the address that the news came from, or NULL
 * @err:	what happened to it, as a positive errno
 * @abort:	a peer that is given up still has to be told
 * @commands:	for what is to be done about it
 *
 * Return: false if that isn't for a bundle to mend, and ends the association.
 */
bool sctp_bundle_sf_lost(const struct sctp_association *asoc,
			 const struct sctp_transport *transport, int err,
			 bool abort, struct sctp_cmd_seq *commands)
{
	struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;
	struct sctp_bundle_path *path;
	bool answered;

	answered = asoc->state == SCTP_STATE_COOKIE_ECHOED;
	if (answered && !sctp_bundle_has_others(asoc))
		return false;

	path = sctp_bundle_path(asoc, transport);
	if (path && path->state == BUNDLE_PATH_TRYING)
		sctp_bundle_path_fail(asoc, path, err);
	if (answered) {
		/* The peer has, not one of its addresses. */
		sctp_bundle_peer_fail(asoc, err);
		sctp_add_cmd_sf(commands, SCTP_CMD_NEW_STATE,
				SCTP_STATE(SCTP_STATE_COOKIE_WAIT));
	}
	if (answered || !sctp_bundle_trying(attempt, attempt->host) ||
	    asoc->peer.primary_path->state != SCTP_UNKNOWN)
		sctp_add_cmd_sf(commands, SCTP_CMD_BUNDLE_NEXT, SCTP_I32(abort));
	return true;
}

/**
 * sctp_bundle_sf_stale - a peer says that our cookie has expired
 * @asoc:	an association that is being set up
 * @transport:	the address that the news came from, or NULL
 * @commands:	for what is to be done about it
 *
 * Once in the attempt, each address that has won is asked for a cookie with more
 * time, RFC 9260, section 5.2.6.
 *
 * Return: true if it has had that, and the others have their turn.
 */
bool sctp_bundle_sf_stale(const struct sctp_association *asoc,
			  const struct sctp_transport *transport,
			  struct sctp_cmd_seq *commands)
{
	struct sctp_bundle_path *path;

	path = sctp_bundle_path(asoc, asoc->peer.primary_path);
	if (path && !path->stale) {
		path->stale = true;
		return false;
	}
	return sctp_bundle_sf_lost(asoc, transport, ETIMEDOUT, false, commands);
}

/**
 * sctp_bundle_icmp - an ICMP error has come for an association's address
 * @sk:		its socket, spinlock held, perhaps owned by a process
 * @asoc:	the association
 * @transport:	its transport to the address
 * @err:	what it says, as a positive errno
 *
 * Return: true if that is all there is to it.
 */
bool sctp_bundle_icmp(struct sock *sk, struct sctp_association *asoc,
		      struct sctp_transport *transport, int err)
{
	struct sctp_bundle_path *path;

	if (asoc->state != SCTP_STATE_COOKIE_WAIT)
		return false;
	path = sctp_bundle_path(asoc, transport);
	if (!path)
		return false;
	WRITE_ONCE(path->icmp, err);
	sctp_icmp_proto_unreachable(sk, asoc, transport);
	return true;
}

/* The positive errno that an ICMP error brought, if it wasn't the one that the
 * state machine knows.
 */
int sctp_bundle_icmp_err(const struct sctp_association *asoc,
			 const struct sctp_transport *transport)
{
	struct sctp_bundle_path *path = sctp_bundle_path(asoc, transport);

	return path ? READ_ONCE(path->icmp) : 0;
}

/* T1-cookie has expired. Returns whether the peer is given up. */
bool sctp_bundle_sf_t1_cookie(const struct sctp_association *asoc,
			      struct sctp_cmd_seq *commands)
{
	if (asoc->init_err_counter && sctp_bundle_has_others(asoc)) {
		sctp_add_cmd_sf(commands, SCTP_CMD_NEW_STATE,
				SCTP_STATE(SCTP_STATE_COOKIE_WAIT));
		sctp_add_cmd_sf(commands, SCTP_CMD_BUNDLE_NEXT, SCTP_I32(1));
		return true;
	}
	return false;
}

/* What the bundle's timer says is next. */
enum sctp_bundle_event sctp_bundle_sf_timer(const struct sctp_association *asoc)
{
	const struct sctp_bundle_attempt *attempt = asoc->bundle_attempt;

	if (asoc->bundle_deadline &&
	    time_after_eq(jiffies, asoc->bundle_deadline))
		return SCTP_BUNDLE_DEADLINE;
	if (sctp_bundle_waits(asoc) && attempt->until &&
	    time_after_eq(jiffies, attempt->until))
		return SCTP_BUNDLE_NEXT_HOST;
	if (sctp_bundle_waits(asoc) && attempt->pace &&
	    time_after_eq(jiffies, attempt->pace))
		return SCTP_BUNDLE_MORE;
	/* It came for what is no more, or was put off while the socket was busy. */
	sctp_bundle_timer_arm((struct sctp_association *)asoc);
	return SCTP_BUNDLE_NOTHING;
}
