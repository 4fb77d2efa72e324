/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AF_BUNDLE inside the kernel: walking a struct sockaddr_bundle, and the
 * meeting point of bundle.ko and sctp.ko, neither of which needs the other's
 * symbols. See Documentation/networking/bundle.rst.
 */
#ifndef _NET_BUNDLE_H
#define _NET_BUNDLE_H

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/sockptr.h>
#include <linux/socket.h>
#include <uapi/linux/bundle.h>

struct module;
struct msghdr;
struct net;
struct sock;
struct socket;
union sctp_addr;

/**
 * union bundle_member - one address of a bundle, as the family that it is of
 * @sa:	its family and port stand where every family has them
 * @v4:	an IPv4 address; an IPv4-mapped IPv6 one has become this
 * @v6:	an IPv6 address
 */
union bundle_member {
	struct sockaddr		sa;
	struct sockaddr_in	v4;
	struct sockaddr_in6	v6;
};

static inline int bundle_member_len(const union bundle_member *m)
{
	return m->sa.sa_family == AF_INET ? sizeof(m->v4) : sizeof(m->v6);
}

static inline bool sockaddr_is_bundle(const void *addr, int len)
{
	const struct sockaddr *sa = addr;

	return IS_ENABLED(CONFIG_SOCKADDR_BUNDLE) &&
	       len >= (int)sizeof(sa->sa_family) && sa->sa_family == AF_BUNDLE;
}

bool sk_takes_bundle(const struct sock *sk);
int bundle_check(const void *addr, int len);
const struct sockaddr_bundle_entry *
bundle_next(const struct sockaddr_bundle *sb,
	    const struct sockaddr_bundle_entry *entry);
void bundle_get(const struct sockaddr_bundle_entry *entry,
		union bundle_member *member);
int bundle_unpack(const void *addr, int len, union bundle_member *members,
		  u64 *hosts);
void bundle_init(struct sockaddr_bundle *sb);
bool bundle_put(struct sockaddr_bundle *sb, size_t size,
		const union bundle_member *member);

#if IS_ENABLED(CONFIG_SOCKADDR_BUNDLE)
int bundle_trim(struct sockaddr_storage *addr, int len, int room);
#else
static inline int bundle_trim(struct sockaddr_storage *addr, int len, int room)
{
	return len;
}
#endif

/**
 * enum bundle_event - what SCTP tells bundle.ko of
 * @BUNDLE_EVENT_ASSOC:		an association with a bundle was started
 * @BUNDLE_EVENT_PARALLEL_INIT:	an INIT beyond an attempt's first was sent
 * @BUNDLE_EVENT_SECOND_ATTEMPT: a new association takes the place of one that
 *				couldn't be set up, with the addresses left
 * @BUNDLE_EVENT_PATH_FAILED:	one of the addresses asked for has failed
 */
enum bundle_event {
	BUNDLE_EVENT_ASSOC,
	BUNDLE_EVENT_PARALLEL_INIT,
	BUNDLE_EVENT_SECOND_ATTEMPT,
	BUNDLE_EVENT_PATH_FAILED,
};

/**
 * struct bundle_ops - what bundle.ko does for SCTP's sockets
 * @owner:	bundle.ko
 * @bind:	bind(2) given a bundle. Sleeps; the socket isn't locked.
 * @connect:	connect(2) given a bundle, @flags as in struct proto_ops. Sleeps;
 *		the socket isn't locked.
 * @unpack:	check a bundle and return how many members it holds, the members
 *		themselves in *@members, which the caller frees with kfree(), and
 *		which are the first of a host in *@hosts, one bit each. Sleeps.
 * @event:	count and trace @event; @addr and @err say which address failed
 *		and why. Any context, under rcu_read_lock().
 */
struct bundle_ops {
	struct module *owner;
	int (*bind)(struct sock *sk, const void *addr, int len);
	int (*connect)(struct sock *sk, const void *addr, int len, int flags);
	int (*unpack)(struct sock *sk, const void *addr, int len,
		      union sctp_addr **members, u64 *hosts);
	void (*event)(struct net *net, enum bundle_event event,
		      const union sctp_addr *addr, int err);
};

/**
 * struct bundle_sctp_ops - what SCTP does for bundle.ko
 * @init:	make a socket just created a bundle socket: IPv4 addresses are
 *		never mapped, IPv4 members not kept out by bindv6only
 * @bind:	bind to exactly these addresses, or to none of them
 * @connect:	set up one association with these addresses; a bit of @hosts is set
 *		for each that is the first of a host
 * @getname:	as in struct proto_ops
 * @get_names:	is the BUNDLE_NAMES option on?
 * @set_names:	turn it on or off
 * @get_addrs:	fill a bundle of @size bytes with the local or the peer's
 *		addresses; the association's @id counts on one-to-many sockets
 * @get_paths:	fill @paths, which has room for @max, with what became of the
 *		addresses that the latest attempt asked for; return how many
 * @set_stream:	turn the BUNDLE_STREAM option on or off; -EISCONN once the peer
 *		has been told, -EOPNOTSUPP for a one-to-many socket
 * @get_stream:	is it on?
 * @sendmsg:	as in struct proto_ops, as are the others below: a byte stream's if
 *		BUNDLE_STREAM is on
 * @recvmsg:	likewise
 * @poll:	likewise
 * @shutdown:	likewise
 * @tcp_setsockopt: set an option at level IPPROTO_TCP of a one-to-one socket
 * @tcp_getsockopt: get one
 *
 * All sleep and lock the socket themselves.
 */
struct bundle_sctp_ops {
	void (*init)(struct sock *sk);
	int (*bind)(struct sock *sk, union sctp_addr *addrs, int count);
	int (*connect)(struct sock *sk, union sctp_addr *addrs, u64 hosts,
		       int count, int flags);
	int (*getname)(struct sock *sk, struct sockaddr_storage *addr, int peer);
	bool (*get_names)(const struct sock *sk);
	void (*set_names)(struct sock *sk, bool on);
	int (*get_addrs)(struct sock *sk, s32 id, bool peer,
			 struct sockaddr_bundle *sb, size_t size);
	int (*get_paths)(struct sock *sk, s32 id, struct bundle_path *paths,
			 int max);
	int (*set_stream)(struct sock *sk, bool on);
	bool (*get_stream)(const struct sock *sk);
	int (*sendmsg)(struct socket *sock, struct msghdr *msg, size_t len);
	int (*recvmsg)(struct socket *sock, struct msghdr *msg, size_t len,
		       int flags);
	__poll_t (*poll)(struct file *file, struct socket *sock,
			 poll_table *wait);
	int (*shutdown)(struct socket *sock, int how);
	int (*tcp_setsockopt)(struct sock *sk, int optname, sockptr_t optval,
			      unsigned int optlen);
	int (*tcp_getsockopt)(struct sock *sk, int optname,
			      char __user *optval, int __user *optlen);
};

int bundle_register(const struct bundle_ops *ops);
void bundle_unregister(const struct bundle_ops *ops);
const struct bundle_ops *bundle_ops_get(void);
void bundle_ops_put(const struct bundle_ops *ops);
void bundle_notify(struct net *net, enum bundle_event event,
		   const union sctp_addr *addr, int err);
void bundle_sctp_set_ops(const struct bundle_sctp_ops *ops);
const struct bundle_sctp_ops *bundle_sctp_ops(void);

#endif /* _NET_BUNDLE_H */
