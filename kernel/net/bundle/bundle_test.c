// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests for checking, packing and unpacking a struct sockaddr_bundle.
 */

#include <kunit/test.h>
#include <linux/inet.h>
#include <linux/module.h>
#include <net/bundle.h>

/* A bundle being built, byte by byte where it has to be wrong. */
struct draft {
	union {
		struct sockaddr_bundle sb;
		struct sockaddr_storage storage;
		u8 bytes[BUNDLE_MAX_LEN + 256];
	};
};

static struct draft *draft_new(struct kunit *test)
{
	struct draft *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, d);
	bundle_init(&d->sb);
	return d;
}

static union bundle_member member_v4(u32 addr, u16 port)
{
	union bundle_member m = {
		.v4 = {
			.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(addr),
		},
	};

	return m;
}

static union bundle_member member_v6(const char *text, u16 port, u32 scope)
{
	union bundle_member m = {
		.v6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(port),
			.sin6_scope_id = scope,
		},
	};

	in6_pton(text, -1, m.v6.sin6_addr.s6_addr, -1, NULL);
	return m;
}

static void draft_add(struct kunit *test, struct draft *d, union bundle_member m)
{
	KUNIT_ASSERT_TRUE(test, bundle_put(&d->sb, sizeof(d->bytes), &m));
}

static int draft_check(struct draft *d)
{
	return bundle_check(&d->sb, d->sb.sb_len);
}

static struct sockaddr_bundle_entry *draft_entry(struct draft *d, int i)
{
	const struct sockaddr_bundle_entry *entry = bundle_next(&d->sb, NULL);

	while (i--)
		entry = bundle_next(&d->sb, entry);
	return (struct sockaddr_bundle_entry *)entry;
}

static void sizes_are_those_of_the_abi(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(struct sockaddr_bundle), 8);
	KUNIT_EXPECT_EQ(test, sizeof(struct sockaddr_bundle_entry), 4);
	KUNIT_EXPECT_EQ(test, BUNDLE_ENTRY_SIZE(sizeof(struct sockaddr_in)), 24);
	KUNIT_EXPECT_EQ(test, BUNDLE_ENTRY_SIZE(sizeof(struct sockaddr_in6)), 32);
	KUNIT_EXPECT_EQ(test, BUNDLE_MAX_LEN, 2056);
	KUNIT_EXPECT_EQ(test, sizeof(struct bundle_path), 32);
}

static void what_is_packed_is_unpacked_in_order(struct kunit *test)
{
	union bundle_member want[3] = {
		member_v4(0x0a000102, 80),
		member_v6("fe80::1", 80, 7),
		member_v6("2001:db8::1", 80, 0),
	};
	union bundle_member *got;
	struct draft *d = draft_new(test);
	u64 hosts;
	int i;

	got = kunit_kcalloc(test, BUNDLE_MAX_ADDRS, sizeof(*got), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, got);
	for (i = 0; i < 3; i++)
		draft_add(test, d, want[i]);
	KUNIT_EXPECT_EQ(test, d->sb.sb_len, 8 + 24 + 32 + 32);
	KUNIT_ASSERT_EQ(test, bundle_unpack(d, d->sb.sb_len, got, &hosts), 3);
	KUNIT_EXPECT_MEMEQ(test, got, want, sizeof(want));

	/* A buffer longer than the bundle is as good. */
	KUNIT_EXPECT_EQ(test, bundle_unpack(d, sizeof(d->bytes), got, &hosts), 3);
}

static void mapped_addresses_become_ipv4_and_duplicates_one(struct kunit *test)
{
	union bundle_member *got, want = member_v4(0x0a000102, 80);
	struct draft *d = draft_new(test);
	u64 hosts;

	got = kunit_kcalloc(test, BUNDLE_MAX_ADDRS, sizeof(*got), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, got);
	draft_add(test, d, member_v6("::ffff:10.0.1.2", 80, 0));
	draft_add(test, d, member_v4(0x0a000102, 80));
	draft_add(test, d, member_v6("fe80::1", 80, 1));
	draft_add(test, d, member_v6("fe80::1", 80, 2));
	draft_add(test, d, member_v6("fe80::1", 80, 1));
	KUNIT_ASSERT_EQ(test, bundle_unpack(d, d->sb.sb_len, got, &hosts), 3);
	KUNIT_EXPECT_MEMEQ(test, &got[0], &want, sizeof(want));
	KUNIT_EXPECT_EQ(test, got[2].v6.sin6_scope_id, 2);
}

static void the_first_of_each_host_is_marked(struct kunit *test)
{
	/* Host 1 begins with a duplicate, and host 2 has nothing else. */
	static const struct { u8 host; u32 addr; } members[] = {
		{ 0, 1 }, { 0, 2 }, { 1, 1 }, { 1, 3 }, { 2, 2 }, { 3, 4 },
	};
	struct draft *d = draft_new(test);
	union bundle_member *got;
	u64 hosts = ~0ULL;
	int i;

	got = kunit_kcalloc(test, BUNDLE_MAX_ADDRS, sizeof(*got), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, got);
	for (i = 0; i < ARRAY_SIZE(members); i++) {
		draft_add(test, d, member_v4(members[i].addr, 80));
		draft_entry(d, i)->be_host = members[i].host;
	}
	KUNIT_ASSERT_EQ(test, bundle_unpack(d, d->sb.sb_len, got, &hosts), 4);
	KUNIT_EXPECT_EQ(test, hosts, BIT(0) | BIT(2) | BIT(3));
}

static void padding_is_ignored(struct kunit *test)
{
	struct draft *d = draft_new(test);

	draft_add(test, d, member_v4(1, 80));
	draft_add(test, d, member_v4(2, 80));
	memset(d->bytes + 8 + 4 + 8, 0xff, 8 + 4);	/* sin_zero, and on */
	KUNIT_EXPECT_EQ(test, draft_check(d), 2);
}

static void counts_from_1_to_64_are_taken(struct kunit *test)
{
	struct draft *d = draft_new(test);
	union bundle_member m;
	int i;

	KUNIT_EXPECT_EQ(test, draft_check(d), -EINVAL);
	for (i = 1; i <= BUNDLE_MAX_ADDRS; i++) {
		m = member_v6("2001:db8::", 80, 0);
		m.v6.sin6_addr.s6_addr[15] = i;
		draft_add(test, d, m);
		KUNIT_EXPECT_EQ(test, draft_check(d), i);
	}
	KUNIT_EXPECT_EQ(test, d->sb.sb_len, BUNDLE_MAX_LEN);

	m.v6.sin6_addr.s6_addr[15] = i;
	KUNIT_EXPECT_FALSE(test, bundle_put(&d->sb, sizeof(d->bytes), &m));
	KUNIT_EXPECT_EQ(test, d->sb.sb_flags, SB_MORE);

	/* The 65th by hand. */
	d->sb.sb_flags = 0;
	memcpy(d->bytes + d->sb.sb_len, d->bytes + 8, 32);
	d->sb.sb_len += 32;
	d->sb.sb_count++;
	KUNIT_EXPECT_EQ(test, draft_check(d), -EINVAL);
}

static void malformed_headers_are_refused(struct kunit *test)
{
	struct draft *d = draft_new(test);
	int len;

	draft_add(test, d, member_v4(1, 80));
	draft_add(test, d, member_v6("::1", 80, 0));
	len = d->sb.sb_len;
	KUNIT_ASSERT_EQ(test, draft_check(d), 2);

	for (int short_len = -1; short_len < len; short_len++)
		KUNIT_EXPECT_EQ(test, bundle_check(d, short_len), -EINVAL);

	d->sb.sb_family = AF_INET;
	KUNIT_EXPECT_EQ(test, draft_check(d), -EINVAL);
	d->sb.sb_family = AF_BUNDLE;

	for (d->sb.sb_count = 0; d->sb.sb_count < 70; d->sb.sb_count++)
		KUNIT_EXPECT_EQ(test, bundle_check(d, sizeof(d->bytes)),
				d->sb.sb_count == 2 ? 2 : -EINVAL);
	d->sb.sb_count = 2;

	for (d->sb.sb_len = 0; d->sb.sb_len < 256; d->sb.sb_len++)
		KUNIT_EXPECT_EQ(test, bundle_check(d, sizeof(d->bytes)),
				d->sb.sb_len == len ? 2 : -EINVAL);
	d->sb.sb_len = len;

	d->sb.sb_flags = SB_MORE;
	KUNIT_EXPECT_EQ(test, draft_check(d), -EINVAL);
	d->sb.sb_flags = 0x8000;
	KUNIT_EXPECT_EQ(test, draft_check(d), -EINVAL);
}

static void malformed_entries_are_refused(struct kunit *test)
{
	struct draft *d = draft_new(test);
	struct sockaddr_bundle_entry *second;
	u16 *family;
	int i;

	draft_add(test, d, member_v4(1, 80));
	draft_add(test, d, member_v6("::1", 80, 0));
	second = draft_entry(d, 1);
	for (i = 0; i <= U16_MAX; i++) {
		second->be_len = i;
		if (draft_check(d) != (i == 28 ? 2 : -EINVAL))
			KUNIT_FAIL(test, "be_len %d: %d", i, draft_check(d));
	}
	second->be_len = 28;

	family = (u16 *)(second + 1);
	for (i = 0; i <= AF_MAX; i++) {
		int want = i == AF_INET6 ? 2 :
			   i == AF_INET ? -EINVAL : -EAFNOSUPPORT;

		*family = i;
		KUNIT_EXPECT_EQ(test, draft_check(d), want);
	}
	*family = AF_INET6;

	((struct sockaddr_in6 *)family)->sin6_port = htons(81);
	KUNIT_EXPECT_EQ(test, draft_check(d), -EINVAL);
}

static void hosts_count_up_from_0(struct kunit *test)
{
	static const struct {
		u16 host[3];
		int want;
	} cases[] = {
		{ { 0, 0, 0 }, 3 },
		{ { 0, 0, 1 }, 3 },
		{ { 0, 1, 2 }, 3 },
		{ { 0, 1, 1 }, 3 },
		{ { 1, 1, 1 }, -EINVAL },
		{ { 0, 2, 2 }, -EINVAL },
		{ { 0, 1, 0 }, -EINVAL },
		{ { 0, 0, 2 }, -EINVAL },
		{ { 0, U16_MAX, 0 }, -EINVAL },
	};
	struct draft *d = draft_new(test);
	int i, j;

	for (i = 0; i < 3; i++)
		draft_add(test, d, member_v4(i + 1, 80));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (j = 0; j < 3; j++)
			draft_entry(d, j)->be_host = cases[i].host[j];
		KUNIT_EXPECT_EQ_MSG(test, draft_check(d), cases[i].want,
				    "case %d", i);
	}
}

static void names_are_trimmed_to_whole_entries(struct kunit *test)
{
	struct draft *d = draft_new(test);
	int room, len, want;

	for (room = -1; room <= 140; room++) {
		memset(d, 0, sizeof(*d));
		bundle_init(&d->sb);
		draft_add(test, d, member_v4(1, 80));
		draft_add(test, d, member_v6("::1", 80, 0));
		draft_add(test, d, member_v6("::2", 80, 0));
		draft_add(test, d, member_v4(2, 80));

		len = bundle_trim(&d->storage, d->sb.sb_len, room);
		want = room < 0 ? 120 : room < 8 ? 0 : room < 32 ? 8 :
		       room < 64 ? 32 : room < 96 ? 64 : room < 120 ? 96 : 120;
		KUNIT_EXPECT_EQ_MSG(test, len, want, "room %d", room);
		if (len >= 8) {
			KUNIT_EXPECT_EQ(test, d->sb.sb_len, want);
			KUNIT_EXPECT_EQ(test, d->sb.sb_flags,
					want < 120 ? SB_MORE : 0);
		}
	}

	/* Addresses of other families stay as they are, and so does what only
	 * looks like a bundle, as a packet socket's name may.
	 */
	d->storage.ss_family = AF_INET6;
	KUNIT_EXPECT_EQ(test, bundle_trim(&d->storage, 28, 4), 28);
	memset(d, 0xff, sizeof(*d));
	d->storage.ss_family = AF_BUNDLE;
	KUNIT_EXPECT_EQ(test, bundle_trim(&d->storage, 18, 272), 18);
	KUNIT_EXPECT_EQ(test, bundle_trim(&d->storage, 18, 10), 18);
}

static struct kunit_case bundle_cases[] = {
	KUNIT_CASE(sizes_are_those_of_the_abi),
	KUNIT_CASE(what_is_packed_is_unpacked_in_order),
	KUNIT_CASE(mapped_addresses_become_ipv4_and_duplicates_one),
	KUNIT_CASE(the_first_of_each_host_is_marked),
	KUNIT_CASE(padding_is_ignored),
	KUNIT_CASE(counts_from_1_to_64_are_taken),
	KUNIT_CASE(malformed_headers_are_refused),
	KUNIT_CASE(malformed_entries_are_refused),
	KUNIT_CASE(hosts_count_up_from_0),
	KUNIT_CASE(names_are_trimmed_to_whole_entries),
	{}
};

static struct kunit_suite bundle_suite = {
	.name = "bundle",
	.test_cases = bundle_cases,
};

kunit_test_suite(bundle_suite);

MODULE_DESCRIPTION("KUnit tests for AF_BUNDLE addresses");
MODULE_LICENSE("GPL");
