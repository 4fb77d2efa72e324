// SPDX-License-Identifier: GPL-2.0
// include/bundle/ itself: building, walking, judging, comparing and printing bundles. Needs no
// kernel of ours.
#include <bundle/bundle.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <ranges>
#include <vector>

#include <gtest/gtest.h>

namespace {

using bundle::address;
using bundle::fault;
using bundle::socket_address;
using bytes = std::vector<std::byte>;

static_assert(std::ranges::forward_range<bundle::view>);
static_assert(std::ranges::forward_range<socket_address>);
static_assert(std::is_trivially_copyable_v<address>);
static_assert(std::is_trivially_copyable_v<socket_address>);

address parse(const char *text, std::uint16_t port = 80)
{
    return address::parse(text, port).value();
}

const address v4a = parse("192.0.2.1"), v4b = parse("198.51.100.7");
const address v6a = parse("2001:db8::1"), v6b = parse("fe80::1%1");

bytes raw(const socket_address &b)
{
    const auto all = b.bytes();
    return {all.begin(), all.end()};
}

void put(bytes &b, std::size_t offset, std::uint16_t value)
{
    std::memcpy(b.data() + offset, &value, sizeof(value));
}

std::uint16_t get(const bytes &b, std::size_t offset)
{
    std::uint16_t value;
    std::memcpy(&value, b.data() + offset, sizeof(value));
    return value;
}

std::size_t walked(std::span<const std::byte> b)
{
    return static_cast<std::size_t>(std::ranges::distance(bundle::view(b)));
}

TEST(Address, ParsesAndPrintsNumericAddresses)
{
    for (const char *text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1",
                             "::ffff:192.0.2.1", "fe80::1%lo"}) {
        const auto a = address::parse(text, 7);
        ASSERT_TRUE(a) << text;
        EXPECT_EQ(a->to_string(), text);
        EXPECT_EQ(a->port(), 7);
    }
    EXPECT_EQ(parse("fe80::1%1").scope_id(), 1U);
    EXPECT_EQ(parse("fe80::1%4000000000").to_string(), "fe80::1%4000000000");
}

TEST(Address, RefusesOtherText)
{
    for (const char *text :
         {"", "192.0.2", "192.0.2.1 ", " ::1", "www.example.com", "192.0.2.1%lo", "fe80::1%",
          "fe80::1%0", "fe80::1%no-such-if0", "fe80::1%4294967296", "[::1]", "1", "::1%1%1"})
        EXPECT_FALSE(address::parse(text)) << text;
    EXPECT_FALSE(address::parse(std::string_view("::1\0x", 5)));
}

TEST(Address, SurvivesTheRoundTripThroughASockaddrAtAnyAlignment)
{
    for (const address &a : {v4a, v6a, v6b, address()}) {
        for (std::size_t shift = 0; shift < 8; shift++) {
            std::array<std::byte, 40> room{};
            EXPECT_EQ(a.store(std::span(room).subspan(shift)), a.size());
            EXPECT_EQ(address::from(std::span(room).subspan(shift)), a);
            EXPECT_EQ(address::from(std::span(room).subspan(shift, a.size() - 1)), std::nullopt);
        }
        std::array<std::byte, 40> room{};
        EXPECT_EQ(a.store(std::span(room).first(a.size() - 1)), 0U);
        EXPECT_EQ(room, (std::array<std::byte, 40>{}));
    }
    EXPECT_EQ(address::from({}), std::nullopt);
}

TEST(Address, TakesTheMappingOffMappedAddressesOnly)
{
    EXPECT_EQ(parse("::ffff:192.0.2.1").plain(), v4a);
    EXPECT_EQ(v4a.plain(), v4a);
    EXPECT_EQ(v6a.plain(), v6a);
    EXPECT_EQ(parse("::fffe:192.0.2.1").plain(), parse("::fffe:192.0.2.1"));
}

TEST(Address, DiffersByFamilyBytesPortAndScope)
{
    EXPECT_NE(parse("0.0.0.0"), parse("::"));
    EXPECT_NE(v4a, v4b);
    EXPECT_NE(v4a, v4a.with_port(81));
    EXPECT_NE(v6b, v6b.with_scope_id(2));
    EXPECT_EQ(v4a.with_scope_id(2), v4a);
}

TEST(Builder, LaysOutTheBytesOfTheAbi)
{
    const bytes b = raw({v4a, v6a});
    ASSERT_EQ(b.size(), 8U + 24 + 32);
    EXPECT_EQ(get(b, 0), AF_BUNDLE);
    EXPECT_EQ(get(b, 2), b.size());
    EXPECT_EQ(get(b, 4), 2);
    EXPECT_EQ(get(b, 6), 0);
    EXPECT_EQ(get(b, 8), 16);
    EXPECT_EQ(get(b, 10), 0);
    EXPECT_EQ(get(b, 12), AF_INET);
    EXPECT_EQ(get(b, 14), htons(80));
    EXPECT_EQ(get(b, 32), 28);
    EXPECT_EQ(get(b, 34), 0);
    EXPECT_EQ(get(b, 36), AF_INET6);
    EXPECT_EQ(get(b, 38), htons(80));
    for (std::size_t i = 28; i < 32; i++)
        EXPECT_EQ(b[i], std::byte{}) << "padding at " << i;
}

TEST(Builder, FitsAsManyIntoASockaddrStorageAsTheAbiSays)
{
    socket_address v4, v6, mixed;
    for (int i = 0; i < 5; i++)
        v4.add(v4a);
    for (int i = 0; i < 3; i++)
        v6.add(v6a);
    EXPECT_EQ(v4.size(), 128U);
    EXPECT_EQ(v6.size(), 104U);
    for (const address &a : {v4a, v4a, v4a, v6a})
        mixed.add(a);
    EXPECT_EQ(mixed.size(), 112U);
}

TEST(Builder, HoldsSixtyFourAndNoMore)
{
    socket_address b;
    for (int i = 0; i < 64; i++)
        EXPECT_TRUE(b.add(v6a));
    EXPECT_EQ(b.size(), 2056U);
    const socket_address before = b;
    EXPECT_FALSE(b.add(v4a));
    EXPECT_FALSE(b.add_host(v4a));
    EXPECT_EQ(b, before);
    EXPECT_EQ(bundle::validate(b.bytes()), fault::none);
}

TEST(Builder, KeepsThePortsEqual)
{
    const socket_address b{v4a.with_port(8080), v4b, v6a.with_port(1)};
    EXPECT_EQ(b.port(), 8080);
    for (const auto &m : b)
        EXPECT_EQ(m.addr.port(), 8080);
    EXPECT_EQ(bundle::validate(b.bytes()), fault::none);
}

TEST(Builder, CountsHostsFromZero)
{
    socket_address b;
    b.add_host(v4a);
    b.add(v4b);
    b.add_host(v6a);
    b.add_host(v6b);
    std::vector<int> hosts;
    for (const auto &m : b)
        hosts.push_back(m.host);
    EXPECT_EQ(hosts, (std::vector<int>{0, 0, 1, 2}));
    EXPECT_EQ(bundle::validate(b.bytes()), fault::none);
}

TEST(View, YieldsTheMembersInOrder)
{
    const socket_address b{v6b, v4a, v6a, v4b};
    const bytes kept = raw(b);
    std::vector<address> seen;
    for (const bundle::member &m : bundle::view(kept))
        seen.push_back(m.addr);
    EXPECT_EQ(seen, (std::vector{v6b, v4a, v6a, v4b}));
    EXPECT_EQ(bundle::view(kept).count(), 4U);
    EXPECT_EQ(bundle::view(kept).length(), kept.size());
    EXPECT_FALSE(bundle::view(kept).more());
}

TEST(View, EndsBeforeAnEntryThatIsCutOff)
{
    const bytes b = raw({v4a, v6a, v4b});
    for (std::size_t n = 0; n <= b.size(); n++) {
        const bytes cut(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(n));
        // An entry counts once its address is there; the padding behind it may be missing.
        const std::size_t whole = n >= 84 ? 3 : n >= 64 ? 2 : n >= 28 ? 1 : 0;
        EXPECT_EQ(walked(cut), whole) << n << " bytes";
    }
}

TEST(View, NeverLeavesTheBytesWhateverTheySay)
{
    // Heap blocks of the exact size: a sanitizer or valgrind would see a read beyond them.
    std::mt19937 random(46);
    for (int round = 0; round < 20000; round++) {
        bytes b = raw({v4a, v6a, v4b, v6b});
        b.resize(random() % (b.size() + 1));
        b.shrink_to_fit();
        for (unsigned flips = random() % 4; flips > 0 && !b.empty(); flips--)
            b[random() % b.size()] = static_cast<std::byte>(random());
        const std::size_t n = walked(b);
        EXPECT_LE(n, 4U + 65536U);
        if (bundle::validate(b) == fault::none) {
            EXPECT_EQ(n, bundle::view(b).count());
        }
    }
}

TEST(View, ReadsAtAnyAlignment)
{
    const bytes b = raw({v4a, v6a});
    for (std::size_t shift = 0; shift < 8; shift++) {
        bytes room(b.size() + shift);
        std::ranges::copy(b, room.begin() + static_cast<std::ptrdiff_t>(shift));
        EXPECT_EQ(walked(std::span(room).subspan(shift)), 2U);
        EXPECT_EQ(bundle::validate(std::span(room).subspan(shift)), fault::none);
    }
}

TEST(Validate, AcceptsEveryCountAndAnyExcessOfAddrlen)
{
    socket_address b;
    for (std::size_t i = 1; i <= bundle::max_addresses; i++) {
        b.add(i % 2 ? v4a : v6a);
        EXPECT_EQ(bundle::validate(b.bytes()), fault::none);
    }
    bytes longer = raw({v4a});
    longer.resize(4096, std::byte{0xaa});
    EXPECT_EQ(bundle::validate(longer), fault::none);
}

TEST(Validate, IgnoresPadding)
{
    bytes b = raw({v4a, v4b});
    for (std::size_t i : {28, 29, 30, 31, 52, 55})
        b[i] = std::byte{0xff};
    EXPECT_EQ(bundle::validate(b), fault::none);
}

TEST(Validate, NamesTheRuleThatIsBroken)
{
    const auto judge = [](auto change, socket_address from = {v4a, v6a}) {
        bytes b = raw(from);
        change(b);
        return bundle::validate(b);
    };
    for (std::size_t n = 0; n < 64; n++)
        EXPECT_EQ(judge([n](bytes &b) { b.resize(n); }), fault::too_short) << n;
    EXPECT_EQ(judge([](bytes &b) { put(b, 0, AF_INET); }), fault::not_a_bundle);
    EXPECT_EQ(judge([](bytes &b) { put(b, 2, 60); }), fault::bad_length);
    EXPECT_EQ(judge([](bytes &b) { put(b, 2, 0); }), fault::bad_length);
    EXPECT_EQ(judge([](bytes &b) { put(b, 2, 2064), b.resize(2064); }), fault::bad_length);
    EXPECT_EQ(judge([](bytes &b) { put(b, 6, 2); }), fault::bad_flags);
    EXPECT_EQ(judge([](bytes &b) { put(b, 6, SB_MORE); }), fault::bad_flags);
    EXPECT_EQ(judge([](bytes &b) { put(b, 4, 0); }), fault::bad_count);
    EXPECT_EQ(judge([](bytes &b) { put(b, 4, 65); }), fault::bad_count);
    EXPECT_EQ(judge([](bytes &b) { put(b, 4, 3); }), fault::entry_overrun);
    EXPECT_EQ(judge([](bytes &b) { put(b, 32, 36); }), fault::entry_overrun);
    EXPECT_EQ(judge([](bytes &b) { put(b, 32, 65535); }), fault::entry_overrun);
    EXPECT_EQ(judge([](bytes &b) { put(b, 12, AF_UNIX); }), fault::entry_family);
    EXPECT_EQ(judge([](bytes &b) { put(b, 36, AF_BUNDLE); }), fault::entry_family);
    EXPECT_EQ(judge([](bytes &b) { put(b, 8, 15); }), fault::entry_length);
    EXPECT_EQ(judge([](bytes &b) { put(b, 8, 28); }), fault::entry_length);
    EXPECT_EQ(judge([](bytes &b) { put(b, 10, 1); }), fault::entry_host);
    EXPECT_EQ(judge([](bytes &b) { put(b, 34, 2); }), fault::entry_host);
    EXPECT_EQ(judge([](bytes &b) { put(b, 38, htons(81)); }), fault::port_mismatch);
    EXPECT_EQ(judge([](bytes &b) { put(b, 2, 72), b.resize(72); }), fault::excess);
    EXPECT_EQ(judge([](bytes &b) { put(b, 4, 1); }), fault::excess);
    EXPECT_EQ(bundle::validate(socket_address().bytes()), fault::bad_count);
}

TEST(Validate, LetsOnlyTheKernelLeaveEntriesOut)
{
    bytes b = raw({v4a, v6a});
    put(b, 6, SB_MORE);
    EXPECT_EQ(bundle::validate(b, bundle::origin::kernel), fault::none);
    EXPECT_TRUE(bundle::view(b).more());
    b.resize(8);
    put(b, 2, 8);
    put(b, 4, 0);
    EXPECT_EQ(bundle::validate(b, bundle::origin::kernel), fault::none);
    EXPECT_EQ(walked(b), 0U);
    put(b, 6, 0);
    EXPECT_EQ(bundle::validate(b, bundle::origin::kernel), fault::bad_count);
    put(b, 6, 3);
    EXPECT_EQ(bundle::validate(b, bundle::origin::kernel), fault::bad_flags);
}

TEST(Validate, KnowsTheErrorOfEveryFault)
{
    EXPECT_EQ(bundle::to_errno(fault::none), 0);
    EXPECT_EQ(bundle::to_errno(fault::entry_family), EAFNOSUPPORT);
    for (int f = 1; f <= static_cast<int>(fault::excess); f++) {
        EXPECT_NE(bundle::to_errno(static_cast<fault>(f)), 0);
        EXPECT_FALSE(bundle::to_string(static_cast<fault>(f)).empty());
    }
    EXPECT_EQ(bundle::to_errno(fault::excess), EINVAL);
}

TEST(Compare, IgnoresOrderHostsAndRepetition)
{
    socket_address hosts;
    hosts.add_host(v6a);
    hosts.add_host(v4a);
    EXPECT_TRUE(bundle::same_addresses(socket_address{v4a, v6a}, hosts));
    EXPECT_TRUE(bundle::same_addresses(socket_address{v4a, v6a, v4a}, hosts));
    EXPECT_FALSE(bundle::same_addresses(socket_address{v4a}, hosts));
    EXPECT_FALSE(bundle::same_addresses(socket_address{v4a, v4b}, hosts));
    EXPECT_FALSE(socket_address({v4a, v6a}) == hosts);
    EXPECT_TRUE(socket_address({v4a, v6a}) == socket_address({v4a, v6a}));
}

TEST(Print, WritesThePapersNotation)
{
    EXPECT_EQ(bundle::to_string(socket_address{v4a, v6a, v6b}),
              "{192.0.2.1,2001:db8::1,fe80::1%lo}");
    EXPECT_EQ(bundle::to_string(socket_address{v4a}), "{192.0.2.1}");
    EXPECT_EQ(bundle::to_string(socket_address()), "{}");
    socket_address hosts{v4a, v4b};
    hosts.add_host(v6a);
    EXPECT_EQ(bundle::to_string(hosts.bytes()), "{{192.0.2.1,198.51.100.7},{2001:db8::1}}");
}

} // namespace
