/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * AF_BUNDLE: socket addresses that hold several IPv4 and IPv6 addresses.
 *
 * See Documentation/networking/bundle.rst.
 */
#ifndef _UAPI_LINUX_BUNDLE_H
#define _UAPI_LINUX_BUNDLE_H

#include <linux/socket.h>
#include <linux/types.h>

#ifndef AF_BUNDLE
#define AF_BUNDLE	46
#define PF_BUNDLE	AF_BUNDLE
#endif

#ifndef SOL_BUNDLE
#define SOL_BUNDLE	288
#endif

/* The most addresses that one bundle holds. */
#define BUNDLE_MAX_ADDRS	64

/**
 * struct sockaddr_bundle - a socket address of several addresses
 * @sb_family:	AF_BUNDLE.
 * @sb_len:	bytes in use, this header included; a multiple of 8. A socket
 *		call's addrlen may be larger, never smaller.
 * @sb_count:	entries that follow, 1 to BUNDLE_MAX_ADDRS. What the kernel
 *		gives back for a buffer that holds no whole entry has 0.
 * @sb_flags:	0 from user space; SB_MORE from the kernel.
 *
 * The header is followed by @sb_count entries, each a struct
 * sockaddr_bundle_entry, a struct sockaddr_in or sockaddr_in6, and padding to
 * the next multiple of 8. All ports in one bundle are equal. The numbers here
 * and in the entries' prefixes are in host byte order. The layout is the same
 * for 32-bit and 64-bit programs.
 */
struct sockaddr_bundle {
	__kernel_sa_family_t	sb_family;
	__u16			sb_len;
	__u16			sb_count;
	__u16			sb_flags;
};

/* sb_flags from the kernel: there are more addresses than the buffer holds. */
#define SB_MORE		0x0001

/**
 * struct sockaddr_bundle_entry - what stands before each address in a bundle
 * @be_len:	bytes of the address that follows: 16 for a struct sockaddr_in,
 *		28 for a struct sockaddr_in6. Padding not counted.
 * @be_host:	which host the address belongs to: 0 in the first entry, then
 *		the same as in the entry before or one more.
 */
struct sockaddr_bundle_entry {
	__u16	be_len;
	__u16	be_host;
};

/* Bytes of an entry, padding included, whose address has LEN bytes. */
#define BUNDLE_ENTRY_SIZE(len) \
	((sizeof(struct sockaddr_bundle_entry) + (len) + 7) & ~(__kernel_size_t)7)

/* Bytes of the longest bundle: 64 IPv6 addresses. */
#define BUNDLE_MAX_LEN \
	(sizeof(struct sockaddr_bundle) + BUNDLE_MAX_ADDRS * BUNDLE_ENTRY_SIZE(28))

/*
 * Options at level SOL_BUNDLE, on sockets of family AF_BUNDLE.
 *
 * BUNDLE_NAMES: int, get and set, 0 by default, inherited by accept(2) and
 * sctp_peeloff(3). 0: accept(2), getpeername(2), getsockname(2) and
 * recvfrom(2) give plain IPv4 and IPv6 addresses. 1: they give a struct
 * sockaddr_bundle with that address first, as many whole entries as the
 * caller's buffer and 128 bytes hold, and SB_MORE if there are more.
 *
 * BUNDLE_LOCAL_ADDRS, BUNDLE_PEER_ADDRS: get only. A struct sockaddr_bundle of
 * all local or peer addresses; SB_MORE if the buffer (BUNDLE_MAX_LEN bytes are
 * always enough) or BUNDLE_MAX_ADDRS was too small.
 *
 * BUNDLE_PATHS: get only. An array of struct bundle_path, one for each address
 * that the latest connect(2) or sendmsg(2) with a bundle asked for, in the
 * order asked; as many whole ones as the buffer holds.
 *
 * BUNDLE_STREAM: int, get and set, 1 by default, on SOCK_STREAM sockets only;
 * fixed by connect(2) and listen(2), and inherited by accept(2). 1: the socket
 * behaves as a byte stream as TCP's do: writes of any size, half-close between
 * two such sockets, MSG_WAITALL, and so on. 0: it has SCTP's own semantics.
 *
 * On a one-to-many socket those about addresses need an association: the caller puts
 * its sctp_assoc_t into the first four bytes of the buffer. There
 * BUNDLE_LOCAL_ADDRS takes 0 for the endpoint.
 */
#define BUNDLE_NAMES		1
#define BUNDLE_LOCAL_ADDRS	2
#define BUNDLE_PEER_ADDRS	3
#define BUNDLE_PATHS		4
#define BUNDLE_STREAM		5

/* What became of an address that a connect(2) asked for. */
enum bundle_path_state {
	BUNDLE_PATH_TRYING,	/* no answer yet, or not yet confirmed */
	BUNDLE_PATH_WON,	/* its INIT ACK set up the association */
	BUNDLE_PATH_CONFIRMED,	/* another path of the association */
	BUNDLE_PATH_REFUSED,	/* it answered, and didn't want us */
	BUNDLE_PATH_UNREACHABLE,	/* no route, or ICMP says so */
	BUNDLE_PATH_TIMED_OUT,	/* nothing came back */
	BUNDLE_PATH_DROPPED,	/* not an address of the peer that won */
};

/**
 * struct bundle_path - one address that was asked for, and what became of it
 * @bp_addr:	a struct sockaddr_in or sockaddr_in6, the rest zero.
 * @bp_state:	one of enum bundle_path_state.
 * @bp_error:	the errno value that ended it, or 0.
 */
struct bundle_path {
	__u8	bp_addr[28];
	__u16	bp_state;
	__u16	bp_error;
};

#endif /* _UAPI_LINUX_BUNDLE_H */
