// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The part of AF_BUNDLE that is always in the kernel: the one place that knows
 * the layout of a struct sockaddr_bundle, and the meeting point of bundle.ko
 * and sctp.ko.
 */

#include <linux/errno.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <net/bundle.h>
#include <net/ipv6.h>
#include <net/sock.h>

static const void *entry_addr(const struct sockaddr_bundle_entry *entry)
{
	return entry + 1;
}

/**
 * bundle_check - is this a well-formed bundle?
 * @addr:	a socket address in kernel memory, aligned to 8 bytes
 * @len:	how many bytes of it there are; more than the bundle has are fine
 *
 * Everything that the layout promises is checked here and nowhere else; the
 * other functions rely on it. Padding is ignored. Context: any.
 *
 * Return: how many entries it has, -EAFNOSUPPORT if one is neither IPv4 nor
 * IPv6, -EINVAL for anything else that is wrong.
 */
int bundle_check(const void *addr, int len)
{
	const struct sockaddr_bundle_entry *entry;
	const struct sockaddr_bundle *sb = addr;
	unsigned int pos = sizeof(*sb), host = 0, i;
	__be16 port = 0;

	if (len < (int)sizeof(*sb) || sb->sb_family != AF_BUNDLE ||
	    sb->sb_len > len || sb->sb_flags || sb->sb_count < 1 ||
	    sb->sb_count > BUNDLE_MAX_ADDRS)
		return -EINVAL;

	for (i = 0; i < sb->sb_count; i++) {
		union bundle_member member;
		sa_family_t family;
		unsigned int want;

		entry = addr + pos;
		if (sb->sb_len < pos + sizeof(*entry) + sizeof(family) ||
		    sb->sb_len < pos + BUNDLE_ENTRY_SIZE(entry->be_len))
			return -EINVAL;

		memcpy(&family, entry_addr(entry), sizeof(family));
		if (family == AF_INET)
			want = sizeof(member.v4);
		else if (family == AF_INET6)
			want = sizeof(member.v6);
		else
			return -EAFNOSUPPORT;
		if (entry->be_len != want)
			return -EINVAL;

		/* Hosts are counted up from 0, in order. */
		if (entry->be_host != host &&
		    (i == 0 || entry->be_host != ++host))
			return -EINVAL;

		bundle_get(entry, &member);
		if (i == 0)
			port = member.v4.sin_port;
		else if (member.v4.sin_port != port)
			return -EINVAL;

		pos += BUNDLE_ENTRY_SIZE(want);
	}

	return sb->sb_len == pos ? sb->sb_count : -EINVAL;
}
EXPORT_SYMBOL_GPL(bundle_check);

/**
 * bundle_next - the entry after another one
 * @sb:		a bundle that bundle_check() has accepted
 * @entry:	one of its entries, or NULL for the first
 *
 * Return: the entry, or NULL after the last.
 */
const struct sockaddr_bundle_entry *
bundle_next(const struct sockaddr_bundle *sb,
	    const struct sockaddr_bundle_entry *entry)
{
	const void *next = sb + 1;

	if (entry)
		next = (const void *)entry + BUNDLE_ENTRY_SIZE(entry->be_len);
	return next < (const void *)sb + sb->sb_len ? next : NULL;
}
EXPORT_SYMBOL_GPL(bundle_next);

/**
 * bundle_get - the address in an entry
 * @entry:	an entry of a bundle that bundle_check() has accepted
 * @member:	where the address goes; an IPv4-mapped IPv6 address becomes the
 *		IPv4 address that it is
 */
void bundle_get(const struct sockaddr_bundle_entry *entry,
		union bundle_member *member)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	memset(member, 0, sizeof(*member));
	memcpy(member, entry_addr(entry), entry->be_len);
	if (member->sa.sa_family == AF_INET) {
		memset(member->v4.sin_zero, 0, sizeof(member->v4.sin_zero));
	} else if (ipv6_addr_v4mapped(&member->v6.sin6_addr)) {
		v4.sin_port = member->v6.sin6_port;
		v4.sin_addr.s_addr = member->v6.sin6_addr.s6_addr32[3];
		memset(member, 0, sizeof(*member));
		member->v4 = v4;
	}
}
EXPORT_SYMBOL_GPL(bundle_get);

static bool same_member(const union bundle_member *a,
			const union bundle_member *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
	       ipv6_addr_equal(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

/**
 * bundle_unpack - the addresses in a bundle, each once
 * @addr:	a socket address in kernel memory, aligned to 8 bytes
 * @len:	how many bytes of it there are
 * @members:	room for BUNDLE_MAX_ADDRS addresses
 * @hosts:	which of them are the first of a host, one bit each
 *
 * The order is that of the bundle; of duplicates, the first counts.
 *
 * Return: how many addresses there are, or an error as of bundle_check().
 */
int bundle_unpack(const void *addr, int len, union bundle_member *members,
		  u64 *hosts)
{
	const struct sockaddr_bundle_entry *entry = NULL;
	int err, i, n = 0, host = -1;

	err = bundle_check(addr, len);
	if (err < 0)
		return err;

	*hosts = 0;
	while ((entry = bundle_next(addr, entry))) {
		bundle_get(entry, &members[n]);
		for (i = 0; i < n; i++)
			if (same_member(&members[i], &members[n]))
				break;
		if (i < n)
			continue;
		if (entry->be_host != host)
			*hosts |= BIT_ULL(n);
		host = entry->be_host;
		n++;
	}
	return n;
}
EXPORT_SYMBOL_GPL(bundle_unpack);

/**
 * bundle_init - start an empty bundle
 * @sb:	at least the header's bytes
 */
void bundle_init(struct sockaddr_bundle *sb)
{
	*sb = (struct sockaddr_bundle) {
		.sb_family = AF_BUNDLE,
		.sb_len = sizeof(*sb),
	};
}
EXPORT_SYMBOL_GPL(bundle_init);

/**
 * bundle_put - append an address, as one of host 0, if it has room
 * @sb:		a bundle begun by bundle_init()
 * @size:	how many bytes it may grow to
 * @member:	the address
 *
 * Padding is zero. Without room the bundle stays as it is but for SB_MORE.
 *
 * Return: was there room?
 */
bool bundle_put(struct sockaddr_bundle *sb, size_t size,
		const union bundle_member *member)
{
	struct sockaddr_bundle_entry *entry = (void *)sb + sb->sb_len;
	int len = bundle_member_len(member);

	if (sb->sb_count == BUNDLE_MAX_ADDRS ||
	    size < sb->sb_len + BUNDLE_ENTRY_SIZE(len)) {
		sb->sb_flags |= SB_MORE;
		return false;
	}

	memset(entry, 0, BUNDLE_ENTRY_SIZE(len));
	entry->be_len = len;
	memcpy(entry + 1, member, len);
	sb->sb_len += BUNDLE_ENTRY_SIZE(len);
	sb->sb_count++;
	return true;
}
EXPORT_SYMBOL_GPL(bundle_put);

/**
 * bundle_trim - cut an address that the kernel gives back to a user's buffer
 * @addr:	the address
 * @len:	its length
 * @room:	the buffer's length
 *
 * A program may trust the length that it gets back, so a bundle is cut to
 * whole entries and its length never exceeds the buffer. An address of another
 * family stays as it is.
 *
 * Return: the length of what is left.
 */
int bundle_trim(struct sockaddr_storage *addr, int len, int room)
{
	struct sockaddr_bundle *sb = (struct sockaddr_bundle *)addr;
	const struct sockaddr_bundle_entry *entry = NULL;
	unsigned int count = 0, used = sizeof(*sb);

	/* Names of all families come here, and one of them lets a user choose
	 * what stands in place of the family: only what says its own length is
	 * one of ours.
	 */
	if (len < (int)sizeof(*sb) || len > (int)sizeof(*addr) ||
	    !sockaddr_is_bundle(addr, len) || sb->sb_len != len ||
	    room < 0 || len <= room)
		return len;
	if (room < (int)sizeof(*sb))
		return 0;

	while ((entry = bundle_next(sb, entry))) {
		if (used + BUNDLE_ENTRY_SIZE(entry->be_len) > min(room, len))
			break;
		used += BUNDLE_ENTRY_SIZE(entry->be_len);
		count++;
	}
	sb->sb_len = used;
	sb->sb_count = count;
	sb->sb_flags |= SB_MORE;
	return used;
}
EXPORT_SYMBOL_GPL(bundle_trim);

/**
 * sk_takes_bundle - does this socket know what to do with a bundle?
 * @sk:	any socket, or NULL
 *
 * Return: whether it is SCTP's, of either family and style. Raw sockets of
 * SCTP's number are not.
 */
bool sk_takes_bundle(const struct sock *sk)
{
	return sk && sk_is_inet(sk) && sk->sk_protocol == IPPROTO_SCTP &&
	       sk->sk_type != SOCK_RAW;
}
EXPORT_SYMBOL_GPL(sk_takes_bundle);

/* Read under RCU by SCTP, whose calls hold a reference to the module. */
static const struct bundle_ops __rcu *bundle_ops;

/**
 * bundle_register - bundle.ko is there
 * @ops:	what it does
 *
 * Return: 0, or -EBUSY if it is there already.
 */
int bundle_register(const struct bundle_ops *ops)
{
	return cmpxchg((const struct bundle_ops __force **)&bundle_ops, NULL,
		       ops) ? -EBUSY : 0;
}
EXPORT_SYMBOL_GPL(bundle_register);

/**
 * bundle_unregister - bundle.ko goes
 * @ops:	what it was registered with
 *
 * Afterwards nobody is inside @ops: the sleeping ones run with a reference to
 * the module, and the one that doesn't runs under RCU. Context: sleeps.
 */
void bundle_unregister(const struct bundle_ops *ops)
{
	WARN_ON(rcu_access_pointer(bundle_ops) != ops);
	RCU_INIT_POINTER(bundle_ops, NULL);
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(bundle_unregister);

/**
 * bundle_ops_get - hold bundle.ko, if it is there
 *
 * Return: its operations, to be given back to bundle_ops_put(), or NULL.
 */
const struct bundle_ops *bundle_ops_get(void)
{
	const struct bundle_ops *ops;

	rcu_read_lock();
	ops = rcu_dereference(bundle_ops);
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	rcu_read_unlock();
	return ops;
}
EXPORT_SYMBOL_GPL(bundle_ops_get);

/**
 * bundle_ops_put - let go of bundle.ko
 * @ops:	from bundle_ops_get()
 */
void bundle_ops_put(const struct bundle_ops *ops)
{
	module_put(ops->owner);
}
EXPORT_SYMBOL_GPL(bundle_ops_put);

/**
 * bundle_notify - tell bundle.ko of something, if it is there
 * @net:	the network namespace that it happened in
 * @event:	what happened
 * @addr:	which address it is about, or NULL
 * @err:	why it failed, a positive errno value, or 0
 *
 * Context: any.
 */
void bundle_notify(struct net *net, enum bundle_event event,
		   const union sctp_addr *addr, int err)
{
	const struct bundle_ops *ops;

	rcu_read_lock();
	ops = rcu_dereference(bundle_ops);
	if (ops)
		ops->event(net, event, addr, err);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(bundle_notify);

/* Only followed by who holds an SCTP socket, and with it sctp.ko. */
static const struct bundle_sctp_ops *sctp_ops;

/**
 * bundle_sctp_set_ops - sctp.ko comes or goes
 * @ops:	what it does, or NULL
 */
void bundle_sctp_set_ops(const struct bundle_sctp_ops *ops)
{
	WRITE_ONCE(sctp_ops, ops);
}
EXPORT_SYMBOL_GPL(bundle_sctp_set_ops);

/**
 * bundle_sctp_ops - what SCTP does for bundle.ko
 *
 * Return: never NULL for a caller that holds an SCTP socket.
 */
const struct bundle_sctp_ops *bundle_sctp_ops(void)
{
	return READ_ONCE(sctp_ops);
}
EXPORT_SYMBOL_GPL(bundle_sctp_ops);
