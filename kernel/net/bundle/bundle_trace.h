/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints: who binds and connects to how many addresses, and which fail.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bundle

#if !defined(_NET_BUNDLE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _NET_BUNDLE_TRACE_H

#include <linux/tracepoint.h>
#include <net/sctp/structs.h>

DECLARE_EVENT_CLASS(bundle_call,
		    TP_PROTO(const struct sock *sk, const union sctp_addr *addrs,
			     int count, int err),

		    TP_ARGS(sk, addrs, count, err),

		    TP_STRUCT__entry(__field(const void *, sk)
				     __field(__u16, family)
				     __field(__u16, port)
				     __field(int, count)
				     __field(int, err)
				     __array(__u8, first,
					     sizeof(union sctp_addr))
		    ),

		    TP_fast_assign(__entry->sk = sk;
				   __entry->family = sk->sk_family;
				   __entry->port = ntohs(addrs->v4.sin_port);
				   __entry->count = count;
				   __entry->err = err;
				   memcpy(__entry->first, addrs, sizeof(*addrs));
		    ),

		    TP_printk("sk=%p family=%u count=%d first=%pISc port=%u err=%d",
			      __entry->sk, __entry->family, __entry->count,
			      __entry->first, __entry->port, __entry->err)
);

DEFINE_EVENT(bundle_call, bundle_bind,
	     TP_PROTO(const struct sock *sk, const union sctp_addr *addrs,
		      int count, int err),
	     TP_ARGS(sk, addrs, count, err)
);

DEFINE_EVENT(bundle_call, bundle_connect,
	     TP_PROTO(const struct sock *sk, const union sctp_addr *addrs,
		      int count, int err),
	     TP_ARGS(sk, addrs, count, err)
);

TRACE_EVENT(bundle_path_failed,
	    TP_PROTO(const union sctp_addr *addr, int err),

	    TP_ARGS(addr, err),

	    TP_STRUCT__entry(__field(int, err)
			     __array(__u8, addr, sizeof(union sctp_addr))
	    ),

	    TP_fast_assign(__entry->err = err;
			   memcpy(__entry->addr, addr, sizeof(*addr));
	    ),

	    TP_printk("addr=%pISpc err=%d", __entry->addr, __entry->err)
);

#endif /* _NET_BUNDLE_TRACE_H */

/* This part must be outside protection */
#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE bundle_trace
#include <trace/define_trace.h>
