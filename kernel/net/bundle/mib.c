// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters of a network namespace, shown in /proc/net/bundle_stat.
 */

#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <net/ip.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/snmp.h>

#include "internal.h"

struct bundle_mibs {
	unsigned long mibs[__BUNDLE_MIB_MAX];
};

struct bundle_net {
	DEFINE_SNMP_STAT(struct bundle_mibs, mib);
};

static unsigned int bundle_net_id __read_mostly;

static const struct snmp_mib bundle_mib_list[] = {
	SNMP_MIB_ITEM("BundleAssocs", BUNDLE_MIB_ASSOCS),
	SNMP_MIB_ITEM("BundleParallelInits", BUNDLE_MIB_PARALLEL_INITS),
	SNMP_MIB_ITEM("BundleAddrsFailed", BUNDLE_MIB_ADDRS_FAILED),
	SNMP_MIB_ITEM("BundleSecondAttempts", BUNDLE_MIB_SECOND_ATTEMPTS),
	SNMP_MIB_ITEM("BundleMalformed", BUNDLE_MIB_MALFORMED),
	SNMP_MIB_SENTINEL
};

/**
 * bundle_mib_inc - count one more
 * @net:	the network namespace that it happened in
 * @field:	what happened
 *
 * Context: any.
 */
void bundle_mib_inc(struct net *net, enum bundle_mib field)
{
	struct bundle_net *bn = net_generic(net, bundle_net_id);

	SNMP_INC_STATS(bn->mib, field);
}

/* Without PROC_FS nobody calls it. */
static int __maybe_unused bundle_stat_show(struct seq_file *seq, void *v)
{
	struct net *net = seq_file_single_net(seq);
	struct bundle_net *bn = net_generic(net, bundle_net_id);
	int i;

	for (i = 0; bundle_mib_list[i].name; i++)
		seq_printf(seq, "%-32s\t%lu\n", bundle_mib_list[i].name,
			   snmp_fold_field(bn->mib, bundle_mib_list[i].entry));
	return 0;
}

static int __net_init bundle_net_init(struct net *net)
{
	struct bundle_net *bn = net_generic(net, bundle_net_id);

	bn->mib = alloc_percpu(struct bundle_mibs);
	if (!bn->mib)
		return -ENOMEM;
	if (IS_ENABLED(CONFIG_PROC_FS) &&
	    !proc_create_net_single("bundle_stat", 0444, net->proc_net,
				    bundle_stat_show, NULL)) {
		free_percpu(bn->mib);
		return -ENOMEM;
	}
	return 0;
}

static void __net_exit bundle_net_exit(struct net *net)
{
	struct bundle_net *bn = net_generic(net, bundle_net_id);

	remove_proc_entry("bundle_stat", net->proc_net);
	free_percpu(bn->mib);
}

/* A subsys, not a device: the last sockets of a namespace are gone by then. */
static struct pernet_operations bundle_net_ops = {
	.init	= bundle_net_init,
	.exit	= bundle_net_exit,
	.id	= &bundle_net_id,
	.size	= sizeof(struct bundle_net),
};

int __init bundle_mib_init(void)
{
	return register_pernet_subsys(&bundle_net_ops);
}

void bundle_mib_exit(void)
{
	unregister_pernet_subsys(&bundle_net_ops);
}
