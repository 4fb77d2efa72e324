// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP's socket options on a bundle's one-to-one socket: those that SCTP has under
 * another name or can do, and those that can do nothing without harm.
 */

#include <linux/tcp.h>
#include <net/sctp/sctp.h>
#include <net/sctp/sm.h>
#include <net/tcp.h>

#include "bundle.h"

static unsigned int sctp_bundle_keepidle(const struct sctp_sock *sp)
{
	return sp->bundle_keepidle ? :
	       READ_ONCE(sock_net(sctp_opt2sk(sp))->ipv4.sysctl_tcp_keepalive_time) / HZ;
}

static unsigned int sctp_bundle_keepintvl(const struct sctp_sock *sp)
{
	return sp->bundle_keepintvl ? :
	       READ_ONCE(sock_net(sctp_opt2sk(sp))->ipv4.sysctl_tcp_keepalive_intvl) / HZ;
}

static unsigned int sctp_bundle_keepcnt(const struct sctp_sock *sp)
{
	return sp->bundle_keepcnt ? :
	       READ_ONCE(sock_net(sctp_opt2sk(sp))->ipv4.sysctl_tcp_keepalive_probes);
}

/* Do TCP's options say when the peer of an idle association is given up? */
static bool sctp_bundle_probes(const struct sock *sk)
{
	const struct sctp_sock *sp = sctp_sk(sk);

	return sock_flag(sk, SOCK_KEEPOPEN) &&
	       (sp->bundle_user_timeout || sp->bundle_keepintvl ||
		sp->bundle_keepcnt);
}

/**
 * sctp_bundle_hb_rto - the RTO that is part of the time between heartbeats
 * @t:		a path
 *
 * RFC 9260, section 8.3, adds the path's RTO, which doubles with every heartbeat
 * that isn't answered. Where TCP's options count on probes at regular intervals,
 * it is RTO.Initial at most.
 *
 * Return: jiffies, above 0.
 */
unsigned long sctp_bundle_hb_rto(const struct sctp_transport *t)
{
	if (!sctp_bundle_probes(t->asoc->base.sk))
		return t->rto;
	return min(t->rto, t->asoc->rto_initial);
}

/* Heartbeats are SCTP's probes. They watch the paths, too, so they never come less
 * often than without the options.
 */
static void sctp_bundle_heartbeats(struct sock *sk, bool keepalive)
{
	struct sctp_association *asoc = sctp_bundle_asoc(sk);
	struct sctp_sock *sp = sctp_sk(sk);
	u32 ms = sock_net(sk)->sctp.hb_interval;
	struct sctp_transport *trans;

	if (keepalive)
		ms = min3(ms, sctp_bundle_keepidle(sp) * MSEC_PER_SEC,
			  sctp_bundle_keepintvl(sp) * MSEC_PER_SEC);
	if (ms == sp->hbinterval)
		return;
	sp->hbinterval = ms;
	if (!asoc)
		return;
	asoc->hbinterval = msecs_to_jiffies(ms);
	list_for_each_entry(trans, &asoc->peer.transport_addr_list, transports) {
		trans->hbinterval = asoc->hbinterval;
		if (asoc->state >= SCTP_STATE_ESTABLISHED)
			sctp_transport_reset_hb_timer(trans);
	}
}

/**
 * sctp_bundle_keepalive - SO_KEEPALIVE was set
 * @sk:		any SCTP socket
 * @on:		its value
 *
 * Context: socket lock held.
 */
void sctp_bundle_keepalive(struct sock *sk, int on)
{
	/* The flag is set afterwards. */
	if (sctp_bundle_socket(sk) && sctp_style(sk, TCP) &&
	    (on || sock_flag(sk, SOCK_KEEPOPEN)))
		sctp_bundle_heartbeats(sk, on);
}

/**
 * sctp_assoc_out_of_patience - is it time to give the peer up?
 * @asoc:	an association whose peer hasn't answered in time
 * @idle:	a heartbeat, not DATA
 *
 * Without TCP's options it is after Association.Max.Retrans time-outs in a row,
 * RFC 9260, section 8.1. TCP_USER_TIMEOUT says how long to wait instead, and for
 * heartbeats of a socket with SO_KEEPALIVE the options of its probes do; that is
 * looked at when a timer expires.
 *
 * Context: BH; a state function's.
 */
bool sctp_assoc_out_of_patience(const struct sctp_association *asoc, bool idle)
{
	const struct sctp_sock *sp = sctp_sk(asoc->base.sk);
	const struct sctp_transport *t;
	u64 ms = sp->bundle_user_timeout;

	if (idle && sctp_outq_is_empty(&asoc->outqueue)) {
		if (!sctp_bundle_probes(asoc->base.sk))
			ms = 0;
		else if (!ms)
			ms = (u64)sctp_bundle_keepintvl(sp) *
			     sctp_bundle_keepcnt(sp) * MSEC_PER_SEC;
	}
	if (!ms)
		return asoc->overall_error_count >= asoc->max_retrans;

	/* A path in order hasn't been silent, only not been asked. */
	if (idle)
		list_for_each_entry(t, &asoc->peer.transport_addr_list,
				    transports)
			if (t->state == SCTP_ACTIVE && !t->error_count)
				return false;
	return asoc->overall_error_count &&
	       time_after_eq(jiffies, asoc->bundle_silent_since +
				      msecs_to_jiffies(min_t(u64, ms, INT_MAX)));
}

static int sctp_bundle_set_cork(struct sock *sk, bool on)
{
	struct sctp_association *asoc = sctp_bundle_asoc(sk);

	WRITE_ONCE(sctp_sk(sk)->bundle_cork, on);
	if (!on && asoc && asoc->force_delay) {
		asoc->force_delay = 0;
		sctp_outq_uncork(&asoc->outqueue, GFP_KERNEL);
	}
	return 0;
}

static int sctp_bundle_set_keep(struct sock *sk, int optname, int val)
{
	struct sctp_sock *sp = sctp_sk(sk);

	if (val < 1 ||
	    val > (optname == TCP_KEEPIDLE ? MAX_TCP_KEEPIDLE :
		   optname == TCP_KEEPINTVL ? MAX_TCP_KEEPINTVL :
		   MAX_TCP_KEEPCNT))
		return -EINVAL;
	if (optname == TCP_KEEPIDLE)
		sp->bundle_keepidle = val;
	else if (optname == TCP_KEEPINTVL)
		sp->bundle_keepintvl = val;
	else
		sp->bundle_keepcnt = val;
	if (sock_flag(sk, SOCK_KEEPOPEN))
		sctp_bundle_heartbeats(sk, true);
	return 0;
}

/* SCTP has one algorithm, RFC 9260, section 7. */
static int sctp_bundle_set_congestion(sockptr_t optval, unsigned int optlen)
{
	char name[TCP_CA_NAME_MAX];

	if (optlen < 1)
		return -EINVAL;
	optlen = min_t(unsigned int, optlen, sizeof(name) - 1);
	if (copy_from_sockptr(name, optval, optlen))
		return -EFAULT;
	name[optlen] = '\0';
	return strcmp(name, "sctp") ? -ENOENT : 0;
}

/**
 * sctp_bundle_tcp_setsockopt - options at level IPPROTO_TCP
 * @sk:		a one-to-one socket of family AF_BUNDLE
 * @optname:	the option
 * @optval:	its value
 * @optlen:	the value's length in bytes
 *
 * Context: sleeps, locks the socket.
 * Return: 0, or -ENOPROTOOPT for one that SCTP can't do, -EINVAL, -EFAULT, -ENOENT
 * for another congestion control.
 */
int sctp_bundle_tcp_setsockopt(struct sock *sk, int optname, sockptr_t optval,
			       unsigned int optlen)
{
	struct sctp_assoc_value maxseg = {};
	int val, err = 0;

	if (optname == TCP_CONGESTION)
		return sctp_bundle_set_congestion(optval, optlen);
	if (optlen < sizeof(val))
		return -EINVAL;
	if (copy_from_sockptr(&val, optval, sizeof(val)))
		return -EFAULT;

	switch (optname) {
	case TCP_NODELAY:
		return sk->sk_prot->setsockopt(sk, SOL_SCTP, SCTP_NODELAY,
					       KERNEL_SOCKPTR(&val), sizeof(val));
	case TCP_MAXSEG:
		maxseg.assoc_value = val;
		return sk->sk_prot->setsockopt(sk, SOL_SCTP, SCTP_MAXSEG,
					       KERNEL_SOCKPTR(&maxseg),
					       sizeof(maxseg));
	}

	lock_sock(sk);
	switch (optname) {
	case TCP_CORK:
		err = sctp_bundle_set_cork(sk, val);
		break;
	case TCP_KEEPIDLE:
	case TCP_KEEPINTVL:
	case TCP_KEEPCNT:
		err = sctp_bundle_set_keep(sk, optname, val);
		break;
	case TCP_USER_TIMEOUT:
		if (val < 0)
			err = -EINVAL;
		else
			sctp_sk(sk)->bundle_user_timeout = val;
		break;
	case TCP_QUICKACK:
	case TCP_DEFER_ACCEPT:
		break;
	case TCP_FASTOPEN:
		if (val < 0)
			err = -EINVAL;
		break;
	case TCP_SYNCNT:
		if (val < 1 || val > MAX_TCP_SYNCNT)
			err = -EINVAL;
		break;
	default:
		err = -ENOPROTOOPT;
	}
	release_sock(sk);
	return err;
}

static int sctp_bundle_tcp_state(const struct sock *sk,
				 const struct sctp_association *asoc)
{
	if (sctp_sstate(sk, LISTENING))
		return TCP_LISTEN;
	if (!asoc)
		return TCP_CLOSE;
	switch (asoc->state) {
	case SCTP_STATE_COOKIE_WAIT:
	case SCTP_STATE_COOKIE_ECHOED:
		return TCP_SYN_SENT;
	case SCTP_STATE_ESTABLISHED:
		if (asoc->bundle_end_sent)
			return asoc->bundle_eof ? TCP_CLOSING : TCP_FIN_WAIT2;
		return asoc->bundle_eof ? TCP_CLOSE_WAIT : TCP_ESTABLISHED;
	case SCTP_STATE_SHUTDOWN_PENDING:
	case SCTP_STATE_SHUTDOWN_SENT:
		return TCP_FIN_WAIT1;
	case SCTP_STATE_SHUTDOWN_RECEIVED:
		return TCP_CLOSE_WAIT;
	case SCTP_STATE_SHUTDOWN_ACK_SENT:
		return TCP_LAST_ACK;
	default:
		return TCP_CLOSE;
	}
}

/* What means the same with SCTP; of the paths, it's the primary one's. */
static void sctp_bundle_tcp_info(struct sock *sk, struct tcp_info *info)
{
	const struct sctp_association *asoc = sctp_bundle_asoc(sk);
	const struct sctp_transport *t;

	memset(info, 0, sizeof(*info));
	info->tcpi_state = sctp_bundle_tcp_state(sk, asoc);
	if (!asoc)
		return;
	info->tcpi_options = TCPI_OPT_SACK |
			     (asoc->peer.ecn_capable ? TCPI_OPT_ECN : 0);
	info->tcpi_retransmits = min(asoc->overall_error_count, U8_MAX);
	info->tcpi_snd_mss = asoc->frag_point;
	info->tcpi_rcv_mss = asoc->frag_point;
	info->tcpi_advmss = asoc->frag_point;
	info->tcpi_unacked = DIV_ROUND_UP(asoc->outqueue.outstanding_bytes,
					  max(asoc->frag_point, 1));
	info->tcpi_rcv_space = asoc->rwnd;
	info->tcpi_rcv_wnd = asoc->rwnd;
	info->tcpi_snd_wnd = asoc->peer.rwnd;
	info->tcpi_total_retrans = asoc->stats.rtxchunks;
	info->tcpi_segs_out = asoc->stats.opackets;
	info->tcpi_segs_in = asoc->stats.ipackets;
	info->tcpi_data_segs_out = asoc->stats.oodchunks + asoc->stats.ouodchunks;
	info->tcpi_data_segs_in = asoc->stats.iodchunks + asoc->stats.iuodchunks;
	info->tcpi_notsent_bytes = sctp_bundle_unsent(&asoc->outqueue);

	t = asoc->peer.primary_path;
	if (!t)
		return;
	info->tcpi_rto = jiffies_to_usecs(t->rto);
	info->tcpi_rtt = jiffies_to_usecs(t->srtt);
	info->tcpi_rttvar = jiffies_to_usecs(t->rttvar);
	info->tcpi_pmtu = t->pathmtu;
	info->tcpi_snd_cwnd = t->cwnd / max(asoc->frag_point, 1);
	info->tcpi_snd_ssthresh = t->ssthresh / max(asoc->frag_point, 1);
}

static int sctp_bundle_get_maxseg(struct sock *sk)
{
	const struct sctp_association *asoc = sctp_bundle_asoc(sk);

	return asoc ? asoc->frag_point : sctp_sk(sk)->user_frag;
}

/**
 * sctp_bundle_tcp_getsockopt - options at level IPPROTO_TCP
 * @sk:		a one-to-one socket of family AF_BUNDLE
 * @optname:	the option
 * @optval:	where its value goes
 * @optlen:	the buffer's length in bytes, becomes the value's
 *
 * Context: sleeps, locks the socket.
 * Return: 0, or -ENOPROTOOPT for one that SCTP can't tell, -EINVAL, -EFAULT.
 */
int sctp_bundle_tcp_getsockopt(struct sock *sk, int optname,
			       char __user *optval, int __user *optlen)
{
	union {
		int val;
		struct tcp_info info;
		char name[TCP_CA_NAME_MAX];
	} result = {};
	const struct sctp_sock *sp = sctp_sk(sk);
	int len, size = sizeof(result.val), err = 0;

	if (get_user(len, optlen))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;

	lock_sock(sk);
	switch (optname) {
	case TCP_NODELAY:
		result.val = sp->nodelay;
		break;
	case TCP_MAXSEG:
		result.val = sctp_bundle_get_maxseg(sk);
		break;
	case TCP_CORK:
		result.val = sp->bundle_cork;
		break;
	case TCP_KEEPIDLE:
		result.val = sctp_bundle_keepidle(sp);
		break;
	case TCP_KEEPINTVL:
		result.val = sctp_bundle_keepintvl(sp);
		break;
	case TCP_KEEPCNT:
		result.val = sctp_bundle_keepcnt(sp);
		break;
	case TCP_USER_TIMEOUT:
		result.val = sp->bundle_user_timeout;
		break;
	case TCP_QUICKACK:
	case TCP_DEFER_ACCEPT:
	case TCP_FASTOPEN:
		break;
	case TCP_SYNCNT:
		result.val = sp->initmsg.sinit_max_attempts;
		break;
	case TCP_INFO:
		sctp_bundle_tcp_info(sk, &result.info);
		size = sizeof(result.info);
		break;
	case TCP_CONGESTION:
		strscpy_pad(result.name, "sctp", sizeof(result.name));
		size = sizeof(result.name);
		break;
	default:
		err = -ENOPROTOOPT;
	}
	release_sock(sk);
	if (err)
		return err;

	len = min(len, size);
	if (put_user(len, optlen) || copy_to_user(optval, &result, len))
		return -EFAULT;
	return 0;
}
