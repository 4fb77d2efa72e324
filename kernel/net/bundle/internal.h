/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of bundle.ko share.
 */
#ifndef _NET_BUNDLE_INTERNAL_H
#define _NET_BUNDLE_INTERNAL_H

#include <linux/net.h>
#include <linux/sockptr.h>

struct net;

/* Lines of /proc/net/bundle_stat, in this order. */
enum bundle_mib {
	BUNDLE_MIB_ASSOCS,		/* associations started */
	BUNDLE_MIB_PARALLEL_INITS,	/* INITs beyond a connect's first */
	BUNDLE_MIB_ADDRS_FAILED,	/* addresses that failed */
	BUNDLE_MIB_SECOND_ATTEMPTS,	/* tries after a connect's first */
	BUNDLE_MIB_MALFORMED,		/* bundles refused as malformed */
	__BUNDLE_MIB_MAX
};

/* mib.c */
void bundle_mib_inc(struct net *net, enum bundle_mib field);
int bundle_mib_init(void);
void bundle_mib_exit(void);

/* sockopt.c */
int bundle_setsockopt(struct socket *sock, int level, int optname,
		      sockptr_t optval, unsigned int optlen);
int bundle_getsockopt(struct socket *sock, int level, int optname,
		      char __user *optval, int __user *optlen);

#endif /* _NET_BUNDLE_INTERNAL_H */
