// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * AF_BUNDLE: SCTP sockets whose bind(2) and connect(2) take several addresses
 * at once. The family, its sockets, and what SCTP calls when it meets a struct
 * sockaddr_bundle.
 */

#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <net/bundle.h>
#include <net/sock.h>

#define CREATE_TRACE_POINTS
#include "bundle_trace.h"
#include "internal.h"

/* SCTP's operations over IPv4 and over IPv6, but for the few that differ: data
 * calls go to SCTP's functions without a detour. Made for the first socket, and
 * then constant: sctp.ko is held from then on, and sockets hold bundle.ko.
 */
static const struct proto_ops *bundle_proto_ops[2];
static struct module *bundle_sctp_module[2];
static DEFINE_MUTEX(bundle_proto_ops_lock);

static int bundle_getname(struct socket *sock, struct sockaddr *addr, int peer)
{
	return bundle_sctp_ops()->getname(sock->sk,
					  (struct sockaddr_storage *)addr, peer);
}

static const struct proto_ops *bundle_get_proto_ops(const struct socket *inner)
{
	int i = inner->sk->sk_family == AF_INET6;
	const struct proto_ops *sctp = inner->ops;
	const struct proto_ops ops = {
		.family		= PF_BUNDLE,
		.owner		= THIS_MODULE,
		.release	= sctp->release,
		.bind		= sctp->bind,
		.connect	= sctp->connect,
		.socketpair	= sctp->socketpair,
		.accept		= sctp->accept,
		.getname	= bundle_getname,
		.poll		= bundle_sctp_ops()->poll,
		.ioctl		= sctp->ioctl,
#ifdef CONFIG_COMPAT
		.compat_ioctl	= sctp->compat_ioctl,
#endif
		.gettstamp	= sctp->gettstamp,
		.listen		= sctp->listen,
		.shutdown	= bundle_sctp_ops()->shutdown,
		.setsockopt	= bundle_setsockopt,
		.getsockopt	= bundle_getsockopt,
		.sendmsg	= bundle_sctp_ops()->sendmsg,
		.recvmsg	= bundle_sctp_ops()->recvmsg,
		.mmap		= sctp->mmap,
	};

	mutex_lock(&bundle_proto_ops_lock);
	if (!bundle_proto_ops[i]) {
		bundle_proto_ops[i] = kmemdup(&ops, sizeof(ops), GFP_KERNEL);
		if (bundle_proto_ops[i]) {
			/* The socket in hand keeps it from going away. */
			__module_get(sctp->owner);
			bundle_sctp_module[i] = sctp->owner;
		}
	}
	mutex_unlock(&bundle_proto_ops_lock);
	return bundle_proto_ops[i];
}

/* An SCTP socket becomes a bundle socket by changing hands: its struct sock
 * moves from the struct socket that it was created with, with all checks for
 * creating one, to that of family AF_BUNDLE. Creating it asks for sctp.ko by its
 * alias, so that an administrator who blacklists SCTP keeps it out.
 */
static int bundle_create(struct net *net, struct socket *sock, int protocol,
			 int kern)
{
	struct socket *inner;
	struct sock *sk;
	int err;

	if (protocol && protocol != IPPROTO_SCTP)
		return -EPROTONOSUPPORT;
	if (sock->type != SOCK_STREAM && sock->type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;

	err = __sock_create(net, ipv6_mod_enabled() ? PF_INET6 : PF_INET,
			    sock->type, IPPROTO_SCTP, &inner, kern);
	if (err == -ESOCKTNOSUPPORT)	/* no SCTP, and so nothing of this type */
		return -EPROTONOSUPPORT;
	if (err)
		return err;

	sk = inner->sk;
	sock->ops = bundle_get_proto_ops(inner);
	if (!sock->ops) {
		sock_release(inner);
		return -ENOMEM;
	}
	bundle_sctp_ops()->init(sk);

	inner->sk = NULL;
	sock_graft(sk, sock);
	sock_release(inner);
	return 0;
}

static const struct net_proto_family bundle_family_ops = {
	.family	= PF_BUNDLE,
	.create	= bundle_create,
	.owner	= THIS_MODULE,
};

static int bundle_op_unpack(struct sock *sk, const void *addr, int len,
			    union sctp_addr **members, u64 *hosts)
{
	union bundle_member *m;
	int count;

	m = kmalloc_array(BUNDLE_MAX_ADDRS, sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	count = bundle_unpack(addr, len, m, hosts);
	if (count < 0) {
		if (count == -EINVAL)
			bundle_mib_inc(sock_net(sk), BUNDLE_MIB_MALFORMED);
		kfree(m);
		return count;
	}
	static_assert(sizeof(*m) == sizeof(union sctp_addr));
	*members = (union sctp_addr *)m;
	return count;
}

static int bundle_op_bind(struct sock *sk, const void *addr, int len)
{
	union sctp_addr *addrs;
	int count, err;
	u64 hosts;

	count = bundle_op_unpack(sk, addr, len, &addrs, &hosts);
	if (count < 0)
		return count;
	err = bundle_sctp_ops()->bind(sk, addrs, count);
	trace_bundle_bind(sk, addrs, count, err);
	kfree(addrs);
	return err;
}

static int bundle_op_connect(struct sock *sk, const void *addr, int len,
			     int flags)
{
	union sctp_addr *addrs;
	int count, err;
	u64 hosts;

	count = bundle_op_unpack(sk, addr, len, &addrs, &hosts);
	if (count < 0)
		return count;
	err = bundle_sctp_ops()->connect(sk, addrs, hosts, count, flags);
	trace_bundle_connect(sk, addrs, count, err);
	kfree(addrs);
	return err;
}

static void bundle_op_event(struct net *net, enum bundle_event event,
			    const union sctp_addr *addr, int err)
{
	switch (event) {
	case BUNDLE_EVENT_ASSOC:
		bundle_mib_inc(net, BUNDLE_MIB_ASSOCS);
		break;
	case BUNDLE_EVENT_PARALLEL_INIT:
		bundle_mib_inc(net, BUNDLE_MIB_PARALLEL_INITS);
		break;
	case BUNDLE_EVENT_SECOND_ATTEMPT:
		bundle_mib_inc(net, BUNDLE_MIB_SECOND_ATTEMPTS);
		break;
	case BUNDLE_EVENT_PATH_FAILED:
		bundle_mib_inc(net, BUNDLE_MIB_ADDRS_FAILED);
		trace_bundle_path_failed(addr, err);
		break;
	}
}

static const struct bundle_ops bundle_ops = {
	.owner		= THIS_MODULE,
	.bind		= bundle_op_bind,
	.connect	= bundle_op_connect,
	.unpack		= bundle_op_unpack,
	.event		= bundle_op_event,
};

static int __init bundle_init_module(void)
{
	int err;

	err = bundle_mib_init();
	if (err)
		return err;
	err = sock_register(&bundle_family_ops);
	if (err)
		goto err_mib;
	/* Last: SCTP may be inside from here on, so nothing may fail after it. */
	err = bundle_register(&bundle_ops);
	if (err)
		goto err_family;
	return 0;

err_family:
	sock_unregister(PF_BUNDLE);
err_mib:
	bundle_mib_exit();
	return err;
}

static void __exit bundle_exit_module(void)
{
	int i;

	sock_unregister(PF_BUNDLE);
	bundle_unregister(&bundle_ops);
	bundle_mib_exit();
	for (i = 0; i < ARRAY_SIZE(bundle_proto_ops); i++) {
		kfree(bundle_proto_ops[i]);
		module_put(bundle_sctp_module[i]);
	}
}

module_init(bundle_init_module);
module_exit(bundle_exit_module);

MODULE_DESCRIPTION("AF_BUNDLE: sockets with several addresses");
MODULE_LICENSE("GPL");
MODULE_ALIAS_NETPROTO(PF_BUNDLE);
