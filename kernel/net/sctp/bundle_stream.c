// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A bundle's one-to-one socket as a byte stream: what programs written for TCP
 * expect of send(2), recv(2), shutdown(2), poll(2) and ioctl(2). The option
 * BUNDLE_STREAM turns it off.
 *
 * Half-close: the adaptation layer indication of both ends says that they are
 * such sockets (RFC 5061, section 4.2.6), so either can mark the end of what it
 * sends with a message that is never delivered, and go on receiving.
 */

#include <linux/sockios.h>
#include <net/inet_common.h>
#include <net/rps.h>
#include <net/sctp/sctp.h>
#include <net/sctp/sm.h>
#include <net/sctp/stream_sched.h>

#include "bundle.h"

#define SCTP_BUNDLE_MAX_MSG	65536

/* In bytes; longer ones are cut. A send buffer holds two at least. */
static size_t sctp_bundle_max_msg(const struct sock *sk)
{
	return clamp(READ_ONCE(sk->sk_sndbuf) / 2, 1, SCTP_BUNDLE_MAX_MSG);
}

/* All bytes that can be received without waiting, up to an @event, if there is
 * one.
 */
static size_t sctp_bundle_readable(const struct sock *sk, bool *event)
{
	const struct sk_buff *skb;
	size_t len = 0;

	*event = false;
	skb_queue_walk(&sk->sk_receive_queue, skb) {
		*event = sctp_ulpevent_is_notification(sctp_skb2event((void *)skb));
		if (*event)
			break;
		len += skb->len;
	}
	return len;
}

/* Is there no room for more before something is read? */
static bool sctp_bundle_full(const struct sock *sk,
			     const struct sctp_association *asoc)
{
	return !asoc->rwnd ||
	       atomic_read(&sk->sk_rmem_alloc) >= READ_ONCE(sk->sk_rcvbuf);
}

/* The connection's own error, met after some bytes, is for the next call. */
static void sctp_bundle_keep_err(struct sock *sk, int err)
{
	switch (err) {
	case -ECONNRESET:
	case -ECONNABORTED:
	case -ECONNREFUSED:
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		WRITE_ONCE(sk->sk_err, -err);
	}
}

/* As inet_sendmsg() and inet_recvmsg() do, whose calls by pointers make small
 * messages cost more.
 */
static int sctp_bundle_send(struct sock *sk, struct msghdr *msg, size_t len)
{
	sock_rps_record_flow(sk);
	return sctp_sendmsg(sk, msg, len);
}

static int sctp_bundle_recv(struct sock *sk, struct msghdr *msg, size_t len,
			    int flags)
{
	int addr_len = 0, ret;

	sock_rps_record_flow(sk);
	ret = sctp_recvmsg(sk, msg, len, flags, &addr_len);
	if (ret >= 0)
		msg->msg_namelen = addr_len;
	return ret;
}

/* What sending says when one of the ends has closed: 0 if it can go on; @len for
 * the first message after the peer has closed, which is lost as TCP's is; or an
 * error, with a signal.
 */
static int sctp_bundle_send_closed(struct sock *sk, const struct msghdr *msg,
				   size_t len)
{
	const struct sctp_association *asoc;
	int ret = -EPIPE;

	lock_sock(sk);
	if (sk->sk_err || sk->sk_shutdown & SEND_SHUTDOWN)
		goto out;
	asoc = sctp_bundle_asoc(sk);
	if (asoc && !sctp_state(asoc, CLOSED) &&
	    asoc->state <= SCTP_STATE_ESTABLISHED) {
		ret = 0;
	} else if (sk->sk_shutdown & RCV_SHUTDOWN &&
		   !sctp_sk(sk)->bundle_sent_late) {
		sctp_sk(sk)->bundle_sent_late = 1;
		ret = min_t(size_t, len, INT_MAX);
	}
out:
	release_sock(sk);
	return ret < 0 ? sk_stream_error(sk, msg->msg_flags, ret) : ret;
}

/* A message longer than sctp_bundle_max_msg(), in parts; SO_SNDBUF can become
 * smaller meanwhile.
 */
static int sctp_bundle_send_parts(struct sock *sk, struct msghdr *msg,
				  size_t len)
{
	const long timeo = sock_sndtimeo(sk, false);
	const unsigned long start = jiffies;
	size_t sent = 0, part;
	int err;

	do {
		part = min(len - sent, sctp_bundle_max_msg(sk));
		iov_iter_truncate(&msg->msg_iter, part);
		err = sctp_bundle_send(sk, msg, part);
		if (err < 0)
			iov_iter_revert(&msg->msg_iter, part -
					iov_iter_count(&msg->msg_iter));
		else
			sent += err;
		iov_iter_reexpand(&msg->msg_iter, len - sent);
		if (err < 0 &&
		    (err != -EMSGSIZE || part <= sctp_bundle_max_msg(sk))) {
			if (sent)
				sctp_bundle_keep_err(sk, err);
			break;
		}
		if (jiffies - start >= timeo)
			msg->msg_flags |= MSG_DONTWAIT;
	} while (sent < len);
	return sent ? min_t(size_t, sent, INT_MAX) : err;
}

/* As in struct proto_ops. With control messages, it's SCTP's. */
int sctp_bundle_stream_sendmsg(struct socket *sock, struct msghdr *msg,
			       size_t len)
{
	const unsigned int flags = msg->msg_flags;
	struct sock *sk = sock->sk;
	bool whole;
	int ret;

	if (!sctp_bundle_stream(sk) || msg->msg_controllen)
		return sctp_bundle_send(sk, msg, len);

	if (unlikely(READ_ONCE(sk->sk_shutdown) || !len)) {
		ret = sctp_bundle_send_closed(sk, msg, len);
		if (ret || !len)
			return ret;
	}

	msg->msg_flags |= MSG_NOSIGNAL;
	if (READ_ONCE(sctp_sk(sk)->bundle_cork))
		msg->msg_flags |= MSG_MORE;
	whole = len <= sctp_bundle_max_msg(sk);
	if (likely(whole)) {
		ret = sctp_bundle_send(sk, msg, len);
		whole = ret != -EMSGSIZE || len <= sctp_bundle_max_msg(sk);
	}
	if (unlikely(!whole))
		ret = sctp_bundle_send_parts(sk, msg, len);
	msg->msg_flags = flags;

	/* -ESRCH: it ended while we waited for room. */
	if (unlikely(ret == -EPIPE || ret == -ESHUTDOWN || ret == -ESRCH))
		ret = sctp_bundle_send_closed(sk, msg, len) ? :
		      sk_stream_error(sk, flags, -EPIPE);
	return ret;
}

/* recv(2) with MSG_PEEK of more than one message. */
static int sctp_bundle_peek(struct sock *sk, struct msghdr *msg, size_t len,
			    int flags)
{
	const size_t target = sock_rcvlowat(sk, flags & MSG_WAITALL, len);
	long timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	const struct sctp_association *asoc;
	struct sk_buff *skb, *first;
	size_t readable, part;
	int copied = 0, err = 0;
	bool event;

	lock_sock(sk);
	/* What is there belongs to those that are still to be accepted. */
	if (sctp_sstate(sk, LISTENING)) {
		release_sock(sk);
		return -ENOTCONN;
	}
	for (;;) {
		readable = sctp_bundle_readable(sk, &event);
		first = skb_peek(&sk->sk_receive_queue);
		asoc = sctp_bundle_asoc(sk);
		if (readable >= target || event || sk->sk_err || !timeo ||
		    !asoc || sctp_bundle_full(sk, asoc) ||
		    sk->sk_shutdown & RCV_SHUTDOWN || signal_pending(current))
			break;
		sk_wait_data(sk, &timeo, skb_peek_tail(&sk->sk_receive_queue));
	}
	if (!first || min(readable, len) <= first->len) {
		/* One message, an event, or none. */
		release_sock(sk);
		return sctp_bundle_recv(sk, msg, len,
					timeo ? flags : flags | MSG_DONTWAIT);
	}

	skb_queue_walk(&sk->sk_receive_queue, skb) {
		part = min_t(size_t, skb->len, min(readable, len) - copied);
		err = part ? skb_copy_datagram_msg(skb, 0, msg, part) : 0;
		if (!part || err)
			break;
		copied += part;
	}
	if (msg->msg_name)
		sctp_bundle_msgname(sctp_sk(sk), sctp_skb2event(first)->asoc,
				    msg->msg_name, &msg->msg_namelen);
	release_sock(sk);
	return copied ? : err;
}

/* Wait for another message of data; there may be bytes already. */
static int sctp_bundle_wait(struct sock *sk, long *timeo, bool have_bytes)
{
	struct sk_buff *skb;
	int err = 0;

	lock_sock(sk);
	skb = skb_peek(&sk->sk_receive_queue);
	if (skb) {
		if (have_bytes &&
		    sctp_ulpevent_is_notification(sctp_skb2event(skb)))
			err = -EAGAIN;
	} else if (!*timeo || (have_bytes && sk->sk_err)) {
		err = -EAGAIN;
	} else {
		sctp_wait_for_packet(sk, &err, timeo);
	}
	release_sock(sk);
	return err;
}

/* recv(2) of as many messages as make @target bytes. */
static int sctp_bundle_recv_all(struct sock *sk, struct msghdr *msg,
				size_t len, int flags, size_t target)
{
	long timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	size_t copied = 0;
	int ret;

	do {
		ret = sctp_bundle_recv(sk, msg, len - copied,
				       flags | MSG_DONTWAIT);
		if (ret > 0) {
			copied += ret;
			if (copied >= target || msg->msg_flags & MSG_NOTIFICATION)
				break;
		} else if (ret != -EAGAIN || !timeo) {
			break;
		}
		ret = sctp_bundle_wait(sk, &timeo, copied);
	} while (!ret);
	if (!copied)
		return ret;
	if (ret < 0)
		sctp_bundle_keep_err(sk, ret);
	return min_t(size_t, copied, INT_MAX);
}

/* As in struct proto_ops. */
int sctp_bundle_stream_recvmsg(struct socket *sock, struct msghdr *msg,
			       size_t len, int flags)
{
	struct sock *sk = sock->sk;
	size_t target;
	int ret;

	if (!sctp_bundle_stream(sk) || flags & MSG_ERRQUEUE)
		return sctp_bundle_recv(sk, msg, len, flags);
	if (flags & MSG_OOB)
		return -EINVAL;	/* there never are any */
	if (flags & MSG_PEEK)
		return sctp_bundle_peek(sk, msg, len, flags);

	target = sock_rcvlowat(sk, flags & MSG_WAITALL, len);
	if (likely(target <= 1))
		ret = sctp_bundle_recv(sk, msg, len, flags);
	else
		ret = sctp_bundle_recv_all(sk, msg, len, flags, target);
	/* Who gets less than it asked for, and waits for an edge, epoll(7), takes
	 * it for all that there was.
	 */
	if (ret >= 0 && ret < len &&
	    !skb_queue_empty_lockless(&sk->sk_receive_queue))
		sk->sk_data_ready(sk);
	return ret;
}

/* As many bytes as SO_RCVLOWAT asks for, or as there is room for, or an event,
 * which no bytes follow before it is read?
 */
static bool sctp_bundle_enough(struct sock *sk)
{
	const struct sctp_association *asoc;
	bool enough, event;

	lock_sock(sk);
	asoc = sctp_bundle_asoc(sk);
	enough = sctp_bundle_readable(sk, &event) >= sk->sk_rcvlowat || event ||
		 !asoc || sctp_bundle_full(sk, asoc);
	release_sock(sk);
	return enough;
}

/* As in struct proto_ops. */
__poll_t sctp_bundle_stream_poll(struct file *file, struct socket *sock,
				 poll_table *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask = sctp_poll(file, sock, wait);
	u8 shut = READ_ONCE(sk->sk_shutdown);

	if (!sctp_bundle_stream(sk) ||
	    inet_sk_state_load(sk) == SCTP_SS_LISTENING)
		return mask;
	if (mask & EPOLLIN && !(mask & EPOLLERR) && !(shut & RCV_SHUTDOWN) &&
	    READ_ONCE(sk->sk_rcvlowat) > 1 && !sctp_bundle_enough(sk))
		mask &= ~(EPOLLIN | EPOLLRDNORM);
	/* Whoever waits to send has to learn that nobody is there. */
	if (shut & SEND_SHUTDOWN ||
	    (shut && inet_sk_state_load(sk) == SCTP_SS_CLOSED))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

/**
 * sctp_bundle_unsent - data that hasn't been sent once
 * @q:		an association's
 *
 * Context: socket lock held.
 * Return: how many bytes.
 */
int sctp_bundle_unsent(const struct sctp_outq *q)
{
	struct sctp_chunk *chunk;
	int len = 0;

	list_for_each_entry(chunk, &q->out_chunk_list, list)
		len += sctp_data_size(chunk);
	return len;
}

/* Bytes of data that the peer hasn't said to have. */
static int sctp_bundle_unacked(const struct sctp_outq *q)
{
	int len = sctp_bundle_unsent(q) + q->outstanding_bytes;
	struct sctp_chunk *chunk;

	list_for_each_entry(chunk, &q->retransmit, transmitted_list)
		len += sctp_data_size(chunk);
	return len;
}

/**
 * sctp_bundle_stream_ioctl - those that TCP has
 * @sk:		a bundle stream, not listening
 * @cmd:	the request
 * @karg:	its result, in bytes
 *
 * Context: socket lock held.
 * Return: 0, or -ENOIOCTLCMD for one that isn't known.
 */
int sctp_bundle_stream_ioctl(struct sock *sk, int cmd, int *karg)
{
	const struct sctp_association *asoc = sctp_bundle_asoc(sk);
	bool event;

	switch (cmd) {
	case SIOCINQ:
		*karg = sctp_bundle_readable(sk, &event);
		return 0;
	case SIOCOUTQ:
		*karg = asoc ? sctp_bundle_unacked(&asoc->outqueue) : 0;
		return 0;
	case SIOCOUTQNSD:
		*karg = asoc ? sctp_bundle_unsent(&asoc->outqueue) : 0;
		return 0;
	case SIOCATMARK:
		*karg = 0;
		return 0;
	default:
		return -ENOIOCTLCMD;
	}
}

/* Mark the end of what this side sends, though the send buffer be full. */
static int sctp_bundle_send_end(struct sctp_association *asoc)
{
	struct sctp_sndrcvinfo sinfo = {
		.sinfo_ppid = SCTP_BUNDLE_PPID_END,
	};
	struct sock *sk = asoc->base.sk;
	char byte = 0;
	struct kvec vec = { .iov_base = &byte, .iov_len = sizeof(byte) };
	struct iov_iter from;
	int err = 0;

	if (!SCTP_SO(&asoc->stream, 0)->ext)
		err = sctp_stream_init_ext(&asoc->stream, 0);
	/* By the others, it could overtake what other streams have to send. */
	if (!err && sctp_sched_get_sched(asoc) != SCTP_SS_FCFS)
		err = sctp_sched_set_sched(asoc, SCTP_SS_FCFS);
	if (!err && !sk_wmem_schedule(sk, sizeof(byte)))
		err = -ENOBUFS;
	if (err)
		return err;

	iov_iter_kvec(&from, ITER_SOURCE, &vec, 1, sizeof(byte));
	asoc->bundle_end_sent = 1;	/* no Nagle from here on */
	err = sctp_sendmsg_queue(asoc, &from, NULL, &sinfo, 0);
	if (err) {
		asoc->bundle_end_sent = 0;
		return err;
	}
	asoc->bundle_ends_first = !asoc->bundle_eof;
	/* Those that wait for room wait in vain. */
	wake_up_interruptible_all(&asoc->wait);
	return 0;
}

/* Frees what @asoc has in a queue that it shares with others. */
static void sctp_bundle_purge(struct sk_buff_head *queue,
			      const struct sctp_association *asoc)
{
	struct sctp_ulpevent *event;
	struct sk_buff *skb, *next;

	skb_queue_walk_safe(queue, skb, next) {
		event = sctp_skb2event(skb);
		if (event->asoc == asoc) {
			__skb_unlink(skb, queue);
			sctp_ulpevent_free(event);
		}
	}
}

/* As TCP has it, nobody is accepted any more, and who waits for that learns of it. */
static int sctp_bundle_unlisten(struct socket *sock)
{
	struct sctp_association *asoc, *next;
	struct sock *sk = sock->sk;
	int err;

	err = sctp_inet_listen(sock, 0);
	if (err)
		return err;

	lock_sock(sk);
	/* Unless another thread listens again already. */
	if (!sctp_sstate(sk, CLOSED))
		goto out;
	list_for_each_entry_safe(asoc, next, &sctp_sk(sk)->ep->asocs, asocs) {
		sctp_bundle_purge(&sk->sk_receive_queue, asoc);
		sctp_bundle_purge(&sctp_sk(sk)->pd_lobby, asoc);
		if (sctp_state(asoc, CLOSED))
			sctp_association_free(asoc);
		else
			sctp_primitive_ABORT(sock_net(sk), asoc,
					     sctp_make_abort_user(asoc, NULL, 0));
	}
	WRITE_ONCE(sk->sk_ack_backlog, 0);
	sk->sk_state_change(sk);
out:
	release_sock(sk);
	return 0;
}

/* As in struct proto_ops. Who won't receive either ends the association, so that
 * the peer learns of it, unless it has sent all.
 */
int sctp_bundle_stream_shutdown(struct socket *sock, int how)
{
	struct sctp_association *asoc;
	struct sock *sk = sock->sk;
	bool peer_closed;
	int err = 0;

	if (!sctp_bundle_stream(sk))
		return inet_shutdown(sock, how);
	if (sctp_sstate(sk, LISTENING) && (how == SHUT_RD || how == SHUT_RDWR))
		return sctp_bundle_unlisten(sock);

	lock_sock(sk);
	asoc = sctp_bundle_asoc(sk);
	if (asoc && asoc->bundle_restarted) {
		/* The peer mustn't think that what it sends has been read. */
		sctp_primitive_ABORT(sock_net(sk), asoc,
				     sctp_make_abort_user(asoc, NULL, 0));
		release_sock(sk);
		return -ENOTCONN;
	}
	if (asoc && sctp_state(asoc, ESTABLISHED) &&
	    sctp_bundle_half_close(asoc) && !asoc->bundle_end_sent &&
	    (how == SHUT_WR || (how == SHUT_RDWR && asoc->bundle_eof)))
		err = sctp_bundle_send_end(asoc);
	peer_closed = sk->sk_shutdown & RCV_SHUTDOWN;
	release_sock(sk);
	if (err)
		return err;

	err = inet_shutdown(sock, how);
	/* To TCP's programs, it is connected until they close, too. */
	return err == -ENOTCONN && peer_closed ? 0 : err;
}

/**
 * sctp_bundle_violates_end - DATA that a bundle stream can't have sent
 * @asoc:	the association
 * @chunk:	a DATA or I-DATA chunk whose TSN is new, subh set
 *
 * Context: BH, or socket lock held.
 * Return: whether it is past the mark of the end, or a mark that isn't one
 * ordered chunk on stream 0 and the last.
 */
bool sctp_bundle_violates_end(const struct sctp_association *asoc,
			      const struct sctp_chunk *chunk)
{
	const u8 flags = chunk->chunk_hdr->flags;
	const u32 tsn = ntohl(chunk->subh.data_hdr->tsn);

	if (asoc->bundle_end && TSN_lt(asoc->bundle_end_tsn, tsn))
		return true;
	return sctp_bundle_is_end(asoc, chunk) &&
	       ((flags & SCTP_DATA_FRAG_MASK) != SCTP_DATA_NOT_FRAG ||
		flags & SCTP_DATA_UNORDERED || chunk->subh.data_hdr->stream ||
		TSN_lt(tsn, asoc->peer.tsn_map.max_tsn_seen));
}

/**
 * sctp_bundle_cmd_end - the mark of the end has arrived
 * @asoc:	the association
 * @chunk:	the DATA chunk; it isn't delivered
 *
 * Context: BH, or socket lock held.
 * Return: 0, or -ENOMEM, upon which it comes again.
 */
int sctp_bundle_cmd_end(struct sctp_association *asoc, struct sctp_chunk *chunk)
{
	const u32 tsn = ntohl(chunk->subh.data_hdr->tsn);
	int err = sctp_tsnmap_mark(&asoc->peer.tsn_map, tsn, chunk->transport);

	if (!err) {
		asoc->bundle_end = 1;
		asoc->bundle_end_tsn = tsn;
	}
	return err;
}

/**
 * sctp_bundle_reach_end - after DATA has arrived: was it the last missing?
 * @asoc:	an association whose mark of the end has arrived
 *
 * Whoever closed first shuts the association down when both have.
 *
 * Context: BH, or socket lock held.
 */
void sctp_bundle_reach_end(struct sctp_association *asoc)
{
	struct sock *sk = asoc->base.sk;

	if (TSN_lt(sctp_tsnmap_get_ctsn(&asoc->peer.tsn_map),
		   asoc->bundle_end_tsn))
		return;
	asoc->bundle_eof = 1;

	if (sctp_bundle_connected(sk)) {
		WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | RCV_SHUTDOWN);
		sk->sk_state_change(sk);
		sk_wake_async(sk, SOCK_WAKE_WAITD,
			      sk->sk_shutdown == SHUTDOWN_MASK ? POLL_HUP : POLL_IN);
	}
	/* As sctp_primitive_SHUTDOWN(), which may sleep. */
	if (asoc->bundle_ends_first && sctp_state(asoc, ESTABLISHED))
		sctp_do_sm(sock_net(sk), SCTP_EVENT_T_PRIMITIVE,
			   SCTP_ST_PRIMITIVE(SCTP_PRIMITIVE_SHUTDOWN),
			   asoc->state, asoc->ep, asoc, NULL, GFP_ATOMIC);
}

/**
 * sctp_bundle_stream_closed - an association's socket learns that it has ended
 * @sk:		a one-to-one socket of family AF_BUNDLE
 *
 * Context: BH, or socket lock held.
 */
void sctp_bundle_stream_closed(struct sock *sk)
{
	if (sctp_bundle_connected(sk))
		WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown |
			   (sk->sk_err ? SHUTDOWN_MASK : RCV_SHUTDOWN));
}

/**
 * sctp_bundle_restarted - the peer has begun anew, RFC 9260, section 5.2.4 A
 * @asoc:	the association, which now is the new one
 *
 * Two streams must not become one: the program learns that its connection was
 * reset, or, if nobody has accepted it yet, never sees the former.
 *
 * Context: BH, or socket lock held.
 */
void sctp_bundle_restarted(struct sctp_association *asoc)
{
	struct sock *sk = asoc->base.sk;

	if (sctp_bundle_connected(sk)) {
		asoc->bundle_restarted = 1;
		WRITE_ONCE(sk->sk_err, ECONNRESET);
		WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
		sk_error_report(sk);
		sk->sk_state_change(sk);
		return;
	}
	sctp_ulpq_flush(&asoc->ulpq);
	asoc->stream.si->abort_pd(&asoc->ulpq, GFP_ATOMIC);
	/* What was skipped was the former's. */
	sctp_stream_clear(&asoc->stream);
	sctp_bundle_purge(&sk->sk_receive_queue, asoc);
	/* What came while another one's message was delivered in part. */
	sctp_bundle_purge(&sctp_sk(sk)->pd_lobby, asoc);
}

int sctp_bundle_set_stream(struct sock *sk, bool on)
{
	struct sctp_sock *sp = sctp_sk(sk);
	int err = 0;

	lock_sock(sk);
	if (!sctp_style(sk, TCP)) {
		err = -EOPNOTSUPP;
	} else if (!sctp_sstate(sk, CLOSED) || !list_empty(&sp->ep->asocs)) {
		err = -EISCONN;	/* the peer has been told */
	} else if (sp->bundle_stream != on) {
		WRITE_ONCE(sp->bundle_stream, on);
		sp->adaptation_ind = on ? SCTP_BUNDLE_ADAPTATION : 0;
	}
	release_sock(sk);
	return err;
}

bool sctp_bundle_get_stream(const struct sock *sk)
{
	return sctp_bundle_stream(sk);
}
