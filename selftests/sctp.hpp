// SPDX-License-Identifier: GPL-2.0
// What the tests check of sockets and bundles, and inputs that must be refused.
#pragma once

#include "sockets.hpp"

#include <memory>

#include <gtest/gtest.h>

namespace bundle {

inline void PrintTo(const address &a, std::ostream *out)
{
    *out << a.to_string() << " port " << a.port();
}

} // namespace bundle

namespace sctp {

// Whether the socket is as it was made: no address, no port.
inline testing::AssertionResult unbound(int fd)
{
    const address name = sockname(fd);
    const address nothing = addr(net::have_ipv6() ? "::" : "0.0.0.0", 0);
    if (name == nothing)
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << "it is bound to " << testing::PrintToString(name);
}

// Whether nobody holds the port at any address: an ordinary socket can bind all of it.
inline testing::AssertionResult port_free(std::uint16_t port)
{
    const bool v6 = net::have_ipv6();
    const fd other = open_socket(SOCK_STREAM, v6 ? AF_INET6 : AF_INET);
    if (bind_to(other, addr(v6 ? "::" : "0.0.0.0", port)) == 0)
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << "port " << port << ": " << outcome(-1);
}

// --- Names asked for as bundles -----------------------------------------------------------------

// Calls @call(sockaddr *, socklen_t *) with a buffer of @size bytes, and checks what holds for
// every one: the length is never above the buffer and nothing is written beyond it.
template <typename Call>
bytes name_in_buffer(Call call, std::size_t size)
{
    constexpr std::byte untouched{0xa5};
    alignas(8) std::array<std::byte, 512> room;
    room.fill(untouched);
    auto length = static_cast<socklen_t>(size);
    const long result = call(as_sockaddr(room.data()), &length);
    EXPECT_EQ(outcome(result), "ok") << "buffer of " << size;
    EXPECT_LE(length, size);
    const auto used = std::min<std::size_t>(length, size);
    for (std::size_t i = used; i < room.size(); i++)
        if (room[i] != untouched) {
            ADD_FAILURE() << "byte " << i << " was written; buffer of " << size << ", length "
                          << length;
            break;
        }
    return {room.begin(), room.begin() + static_cast<std::ptrdiff_t>(used)};
}

// Checks the rules of names with BUNDLE_NAMES: whole entries, @first first, the others of @all
// after it, at most 128 bytes; a header alone where no entry fits; nothing below 8 bytes.
template <typename Call>
void expect_bundle_names(Call call, const address &first, const addresses &all,
                         const std::vector<std::size_t> &sizes)
{
    std::size_t total = sizeof(sockaddr_bundle);
    for (const address &a : all)
        total += bundle::entry_size(a.size());

    const bytes full = name_in_buffer(call, 140);
    ASSERT_EQ(bundle::to_string(bundle::validate(full, bundle::origin::kernel)), "well-formed");
    const bundle::view view(full);
    ASSERT_EQ(view.length(), full.size());
    addresses members;
    for (const auto &m : view)
        members.push_back(m.addr);
    ASSERT_FALSE(members.empty());
    EXPECT_EQ(members.front(), first);
    EXPECT_LE(full.size(), 128U);
    EXPECT_EQ(view.more(), total > 128);
    if (total <= 128) {
        EXPECT_EQ(sorted(members), sorted(all));
    }
    for (const address &a : members)
        EXPECT_EQ(std::count(all.begin(), all.end(), a), 1) << testing::PrintToString(a);

    for (const std::size_t size : sizes) {
        const bytes name = name_in_buffer(call, size);
        if (size < sizeof(sockaddr_bundle)) {
            EXPECT_TRUE(name.empty()) << "buffer of " << size;
            continue;
        }
        std::size_t fit = sizeof(sockaddr_bundle), count = 0;
        for (const address &a : members) {
            if (fit + bundle::entry_size(a.size()) > std::min<std::size_t>(size, 128))
                break;
            fit += bundle::entry_size(a.size());
            count++;
        }
        const bundle::view part(name);
        EXPECT_EQ(bundle::to_string(bundle::validate(name, bundle::origin::kernel)), "well-formed")
            << "buffer of " << size;
        EXPECT_EQ(name.size(), fit) << "buffer of " << size;
        EXPECT_EQ(part.length(), fit) << "buffer of " << size;
        EXPECT_EQ(part.count(), count) << "buffer of " << size;
        EXPECT_EQ(part.more(), count < all.size()) << "buffer of " << size;
        if (name.size() == fit && fit > sizeof(sockaddr_bundle)) {
            EXPECT_TRUE(std::equal(name.begin() + 8, name.end(), full.begin() + 8))
                << "buffer of " << size;
        }
    }
}

inline std::vector<std::size_t> every_size()
{
    std::vector<std::size_t> sizes;
    for (std::size_t n = 0; n <= 140; n++)
        sizes.push_back(n);
    return sizes;
}

// --- What must be refused ------------------------------------------------------------------------

struct bad_input {
    std::string what;
    bytes data;
    std::string error = "EINVAL";
    std::optional<socklen_t> addrlen{}; // the data's own length if not given
};

inline void put(bytes &b, std::size_t offset, std::size_t value)
{
    const auto field = static_cast<std::uint16_t>(value);
    std::memcpy(b.data() + offset, &field, sizeof(field));
}

// Every way in which a bundle can break the layout's rules. @a and @b are good IPv4 addresses with
// the same port, which would be accepted otherwise.
inline std::vector<bad_input> malformed(const address &a, const address &b)
{
    std::vector<bad_input> result;
    const bytes good = raw({a, b});
    const auto add = [&](const std::string &what, auto change,
                         const std::string &error = "EINVAL") {
        bytes data = good;
        change(data);
        result.push_back({what, data, error});
    };
    for (const std::size_t n : {2, 4, 7, 8, 9, 12, 28, 31, 32, 33, 55})
        add("cut to " + std::to_string(n), [n](bytes &d) { d.resize(n); });
    result.push_back({"addrlen -1", good, "EINVAL", static_cast<socklen_t>(-1)});
    result.push_back({"addrlen INT_MIN", good, "EINVAL", 0x80000000U});
    for (const std::size_t n : {0, 4, 7, 8, 32, 48, 52, 55, 57, 60, 63, 64, 65535})
        add("sb_len " + std::to_string(n), [n](bytes &d) { put(d, 2, n), d.resize(2056); });
    add("sb_len above the longest", [](bytes &d) { put(d, 2, 2064), d.resize(4096); });
    for (const std::size_t n : {0, 1, 3, 64, 65, 65535})
        add("sb_count " + std::to_string(n), [n](bytes &d) { put(d, 4, n); });
    add("sb_count 0 alone", [](bytes &d) { put(d, 2, 8), put(d, 4, 0), d.resize(8); });
    add("65 addresses", [&](bytes &d) {
        d = raw(socket_address(addresses(64, a)));
        d.insert(d.end(), d.end() - 24, d.end());
        put(d, 2, d.size()), put(d, 4, 65);
    });
    add("65 IPv6 addresses", [&](bytes &d) {
        d = raw(socket_address(addresses(64, addr("fd00::1", a.port()))));
        d.insert(d.end(), d.end() - 32, d.end());
        put(d, 2, d.size()), put(d, 4, 65);
    });
    for (const std::size_t n : {1, 2, 3, 0x8000, 0xffff})
        add("sb_flags " + std::to_string(n), [n](bytes &d) { put(d, 6, n); });
    add("be_host not from 0", [](bytes &d) { put(d, 10, 1), put(d, 34, 1); });
    add("be_host only the second 2", [](bytes &d) { put(d, 34, 2); });
    add("be_host of the first 1", [](bytes &d) { put(d, 10, 1); });
    add("be_host going back", [&](bytes &d) {
        socket_address hosts{a};
        hosts.add_host(b);
        hosts.add(a);
        d = raw(hosts);
        put(d, 8 + 48 + 2, 0);
    });
    for (const std::size_t n : {0, 4, 8, 15, 17, 20, 24, 28, 65535})
        add("be_len " + std::to_string(n), [n](bytes &d) { put(d, 8, n); });
    for (const std::size_t n : {16, 20, 24, 27, 29, 32})
        add("be_len of IPv6 " + std::to_string(n), [n, &a](bytes &d) {
            d = raw({addr("fd00::1", a.port())});
            put(d, 8, n);
        });
    add("be_len beyond sb_len", [](bytes &d) { put(d, 32, 28), put(d, 36, AF_INET6); });
    add("ports differ", [](bytes &d) { put(d, 38, htons(9)); });
    for (const unsigned family : {AF_UNSPEC, AF_UNIX, AF_BUNDLE, 47, 65535})
        add(
            "family inside " + std::to_string(family), [family](bytes &d) { put(d, 36, family); },
            "EAFNOSUPPORT");
    add(
        "a bundle in a bundle",
        [&](bytes &d) {
            const bytes inner = raw({a});
            d.assign(8 + bundle::entry_size(inner.size()), std::byte{});
            std::memcpy(d.data(), good.data(), 8);
            put(d, 2, d.size()), put(d, 4, 1);
            put(d, 8, inner.size());
            std::copy(inner.begin(), inner.end(), d.begin() + 12);
        },
        "EAFNOSUPPORT");
    return result;
}

// A fixture that has its hosts for all tests of the suite, each of which begins in the client's
// namespace, and for each test a port of its own.
template <typename Hosts>
class HostsTest : public testing::Test {
  protected:
    static void SetUpTestSuite()
    {
        if (net::is_root() && net::have_ipv6())
            hosts_ = std::make_unique<Hosts>();
    }
    static void TearDownTestSuite() { hosts_.reset(); }

    void SetUp() override
    {
        if (!net::is_root())
            GTEST_SKIP() << "needs root, to make network namespaces";
        if (!net::have_ipv6())
            GTEST_SKIP() << "needs IPv6, which is off";
        ASSERT_TRUE(hosts_);
        hosts_->client.enter();
        port = next_port();
    }

    static const Hosts &hosts() { return *hosts_; }

    std::uint16_t port = 0;
    static inline std::unique_ptr<Hosts> hosts_;
};

} // namespace sctp
