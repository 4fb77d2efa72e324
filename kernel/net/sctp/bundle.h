/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files about bundles share inside SCTP.
 */
#ifndef __sctp_bundle_h__
#define __sctp_bundle_h__

#include <linux/refcount.h>
#include <net/bundle.h>
#include <net/sctp/structs.h>

static_assert(sizeof(union bundle_member) == sizeof(union sctp_addr));

/**
 * struct sctp_bundle_path - one address of an attempt, and what became of it
 * @addr:	the address
 * @sent:	when its latest INIT went out, in jiffies
 * @state:	enum bundle_path_state; BUNDLE_PATH_TRYING until it fails, or the
 *		association is set up
 * @err:	why it failed, as a positive errno
 * @icmp:	the errno of an ICMP message that waits for the socket lock
 * @host:	the host that it belongs to, counted from 0
 * @due:	its INIT of this round hasn't been sent yet
 * @stale:	its cookie has been stale once
 */
struct sctp_bundle_path {
	union sctp_addr addr;
	unsigned long sent;
	u16 state;
	u16 err;
	u16 icmp;
	u8 host;
	bool due;
	bool stale;
};

/**
 * struct sctp_bundle_attempt - setting up one association with a bundle
 * @refs:	the socket's reference (its latest attempt) and the association's
 * @host:	the host whose addresses are being tried
 * @hosts:	how many there are
 * @inits:	how many INITs were sent
 * @delay:	how long each host gets in this cycle, in jiffies
 * @until:	when the next host's turn comes, in jiffies; 0 for never
 * @pace:	when the next of the INITs goes out that a limit holds back, in
 *		jiffies; 0 if there is none
 * @next:	the address whose INIT a limit holds back: the next one to send
 * @ostreams:	how many streams the program asked for, before any peer cut it
 * @instreams:	likewise, inbound
 * @count:	how many addresses were asked for
 * @path:	the addresses, those of one host side by side
 *
 * All but @refs and @path[].icmp is protected by the socket lock.
 */
struct sctp_bundle_attempt {
	refcount_t refs;
	int host;
	int hosts;
	unsigned int inits;
	unsigned long delay;
	unsigned long until;
	unsigned long pace;
	int next;
	u16 ostreams;
	u16 instreams;
	int count;
	struct sctp_bundle_path path[] __counted_by(count);
};

/* Is it an association's own? Before accept(2), an association has the listening
 * one, or one that was, as listen(2) with a backlog of 0 ends that; see
 * sctp_sock_migrate().
 */
static inline bool sctp_bundle_connected(const struct sock *sk)
{
	return sctp_sstate(sk, ESTABLISHED) || sctp_sstate(sk, CLOSING);
}

bool sctp_bundle_same_addr(const union sctp_addr *a, const union sctp_addr *b);
enum sctp_scope sctp_bundle_addr_scope(const union sctp_addr *addr);

struct sctp_association *sctp_bundle_asoc(struct sock *sk);
int sctp_bundle_getname(struct sock *sk, struct sockaddr_storage *buf, int peer);
bool sctp_bundle_get_names(const struct sock *sk);
void sctp_bundle_set_names(struct sock *sk, bool on);
int sctp_bundle_get_addrs(struct sock *sk, s32 id, bool peer,
			  struct sockaddr_bundle *sb, size_t size);
int sctp_bundle_get_paths(struct sock *sk, s32 id, struct bundle_path *out,
			  int max);

struct sctp_bundle_attempt *sctp_bundle_attempt_new(const union sctp_addr *addrs,
						    u64 hosts, int count);
void sctp_bundle_attempt_start(struct sctp_association *asoc,
			       struct sctp_bundle_attempt *attempt);
enum bundle_path_state
sctp_bundle_path_state(const struct sctp_association *asoc,
		       const struct sctp_bundle_path *path);
struct sctp_bundle_path *
sctp_bundle_path(const struct sctp_association *asoc,
		 const struct sctp_transport *transport);
void sctp_bundle_path_fail(const struct sctp_association *asoc,
			   struct sctp_bundle_path *path, int err);
void sctp_bundle_peer_fail(const struct sctp_association *asoc, int err);
bool sctp_bundle_trying(const struct sctp_bundle_attempt *attempt, int host);
int sctp_bundle_reason(const struct sctp_bundle_attempt *attempt);

int sctp_bundle_stream_sendmsg(struct socket *sock, struct msghdr *msg,
			       size_t len);
int sctp_bundle_stream_recvmsg(struct socket *sock, struct msghdr *msg,
			       size_t len, int flags);
__poll_t sctp_bundle_stream_poll(struct file *file, struct socket *sock,
				 poll_table *wait);
int sctp_bundle_stream_shutdown(struct socket *sock, int how);
int sctp_bundle_set_stream(struct sock *sk, bool on);
bool sctp_bundle_get_stream(const struct sock *sk);
int sctp_bundle_unsent(const struct sctp_outq *q);
int sctp_bundle_tcp_setsockopt(struct sock *sk, int optname, sockptr_t optval,
			       unsigned int optlen);
int sctp_bundle_tcp_getsockopt(struct sock *sk, int optname,
			       char __user *optval, int __user *optlen);

#endif /* __sctp_bundle_h__ */
