// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Socket options of AF_BUNDLE sockets: the level SOL_BUNDLE, TCP's on streams, and
 * those of one IP version that act on both. All others are SCTP's.
 */

#include <linux/in.h>
#include <linux/sctp.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/bundle.h>
#include <net/sock.h>

#include "internal.h"

/* Those that act on the paths of one family act on the others', too. */
static int set_traffic_class(struct socket *sock, int level, int optname,
			     sockptr_t optval, unsigned int optlen)
{
	bool v6 = level == SOL_IPV6;
	int err, val;

	err = sock_common_setsockopt(sock, level, optname, optval, optlen);
	if (err || sock->sk->sk_family != AF_INET6)
		return err;
	if (optlen >= sizeof(val)) {
		if (copy_from_sockptr(&val, optval, sizeof(val)))
			return -EFAULT;
	} else {
		u8 byte = 0;	/* as IP_TOS takes it, or none, too */

		if (optlen && copy_from_sockptr(&byte, optval, sizeof(byte)))
			return -EFAULT;
		val = byte;
	}
	if (v6 && val == -1)
		val = 0;
	return sock_common_setsockopt(sock, v6 ? SOL_IP : SOL_IPV6,
				      v6 ? IP_TOS : IPV6_TCLASS,
				      KERNEL_SOCKPTR(&val), sizeof(val));
}

static bool is_traffic_class(int level, int optname)
{
	return (level == SOL_IP && optname == IP_TOS) ||
	       (level == SOL_IPV6 && optname == IPV6_TCLASS);
}

/**
 * bundle_setsockopt - as in struct proto_ops
 * @sock:	an AF_BUNDLE socket
 * @level:	the option's level
 * @optname:	the option
 * @optval:	its value
 * @optlen:	the value's length in bytes
 *
 * Return: 0, or -ENOPROTOOPT for an option that can't be set, -EINVAL, -EFAULT,
 * -EISCONN or -EOPNOTSUPP for BUNDLE_STREAM.
 */
int bundle_setsockopt(struct socket *sock, int level, int optname,
		      sockptr_t optval, unsigned int optlen)
{
	int val;

	if (level == IPPROTO_TCP)
		return sock->type != SOCK_STREAM ? -ENOPROTOOPT :
		       bundle_sctp_ops()->tcp_setsockopt(sock->sk, optname,
							 optval, optlen);
	if (is_traffic_class(level, optname))
		return set_traffic_class(sock, level, optname, optval, optlen);
	if (level != SOL_BUNDLE)
		return sock_common_setsockopt(sock, level, optname, optval,
					      optlen);
	if (optname != BUNDLE_NAMES && optname != BUNDLE_STREAM)
		return -ENOPROTOOPT;

	if (optlen < sizeof(val))
		return -EINVAL;
	if (copy_from_sockptr(&val, optval, sizeof(val)))
		return -EFAULT;
	if (val != 0 && val != 1)
		return -EINVAL;
	if (optname == BUNDLE_STREAM)
		return bundle_sctp_ops()->set_stream(sock->sk, val);
	bundle_sctp_ops()->set_names(sock->sk, val);
	return 0;
}

/* One-to-many sockets have many associations: the caller says which. */
static int get_assoc_id(const struct socket *sock, const char __user *optval,
			s32 *id)
{
	*id = 0;
	if (sock->type == SOCK_SEQPACKET &&
	    copy_from_user(id, optval, sizeof(*id)))
		return -EFAULT;
	return 0;
}

static int put_result(const void *result, int len, char __user *optval,
		      int __user *optlen)
{
	if (copy_to_user(optval, result, len) || put_user(len, optlen))
		return -EFAULT;
	return 0;
}

static int get_bool(bool on, int len, char __user *optval, int __user *optlen)
{
	int val = on;

	if (len < (int)sizeof(val))
		return -EINVAL;
	return put_result(&val, sizeof(val), optval, optlen);
}

static int get_addrs(struct socket *sock, bool peer, int len,
		     char __user *optval, int __user *optlen)
{
	struct sockaddr_bundle *sb;
	s32 id;
	int err;

	if (len < (int)sizeof(*sb))
		return -EINVAL;
	err = get_assoc_id(sock, optval, &id);
	if (err)
		return err;

	len = min_t(int, len, BUNDLE_MAX_LEN);
	sb = kmalloc(len, GFP_KERNEL);
	if (!sb)
		return -ENOMEM;
	bundle_init(sb);
	err = bundle_sctp_ops()->get_addrs(sock->sk, id, peer, sb, len);
	if (!err)
		err = put_result(sb, sb->sb_len, optval, optlen);
	kfree(sb);
	return err;
}

static int get_paths(struct socket *sock, int len, char __user *optval,
		     int __user *optlen)
{
	int max = min_t(int, len / (int)sizeof(struct bundle_path),
			BUNDLE_MAX_ADDRS);
	struct bundle_path *paths;
	s32 id;
	int err;

	if (max < 1)
		return -EINVAL;
	err = get_assoc_id(sock, optval, &id);
	if (err)
		return err;

	paths = kcalloc(max, sizeof(*paths), GFP_KERNEL);
	if (!paths)
		return -ENOMEM;
	err = bundle_sctp_ops()->get_paths(sock->sk, id, paths, max);
	if (err >= 0)
		err = put_result(paths, err * sizeof(*paths), optval, optlen);
	kfree(paths);
	return err;
}

/**
 * bundle_getsockopt - as in struct proto_ops
 * @sock:	an AF_BUNDLE socket
 * @level:	the option's level
 * @optname:	the option
 * @optval:	where its value goes; on one-to-many sockets, for options about
 *		an association, first its id
 * @optlen:	the buffer's length in bytes, becomes the value's
 *
 * Return: 0, or -ENOPROTOOPT for an unknown option, -EINVAL for a buffer too
 * small for any value or an unknown association, -ENOTCONN, -EFAULT, -ENOMEM.
 */
int bundle_getsockopt(struct socket *sock, int level, int optname,
		      char __user *optval, int __user *optlen)
{
	int len;

	if (level == IPPROTO_TCP)
		return sock->type != SOCK_STREAM ? -ENOPROTOOPT :
		       bundle_sctp_ops()->tcp_getsockopt(sock->sk, optname,
							 optval, optlen);
	if (level != SOL_BUNDLE)
		return sock_common_getsockopt(sock, level, optname, optval,
					      optlen);

	if (get_user(len, optlen))
		return -EFAULT;
	switch (optname) {
	case BUNDLE_NAMES:
		return get_bool(bundle_sctp_ops()->get_names(sock->sk), len,
				optval, optlen);
	case BUNDLE_STREAM:
		return get_bool(bundle_sctp_ops()->get_stream(sock->sk), len,
				optval, optlen);
	case BUNDLE_LOCAL_ADDRS:
		return get_addrs(sock, false, len, optval, optlen);
	case BUNDLE_PEER_ADDRS:
		return get_addrs(sock, true, len, optval, optlen);
	case BUNDLE_PATHS:
		return get_paths(sock, len, optval, optlen);
	default:
		return -ENOPROTOOPT;
	}
}
