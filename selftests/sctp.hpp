// SPDX-License-Identifier: GPL-2.0
// Sockets, bundles and what the kernel says about them, for the tests: socket calls on C++ values,
// the sets of addresses by every way in which they can be read, and inputs that must be refused.
#pragma once

#include "net.hpp"

#include <bundle/bundle.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <sys/socket.h>

namespace bundle {

inline void PrintTo(const address &a, std::ostream *out)
{
    *out << a.to_string() << " port " << a.port();
}

} // namespace bundle

namespace sctp {

using bundle::address;
using bundle::socket_address;
using net::fd;
using net::outcome;
using addresses = std::vector<address>;
using bytes = std::vector<std::byte>;

// A port that no other test of this process uses, below the ephemeral ones.
inline std::uint16_t next_port()
{
    static std::uint16_t port = 5000;
    return port++;
}

inline address addr(const std::string &text, std::uint16_t port)
{
    const auto result = address::parse(text, port);
    if (!result)
        throw std::runtime_error("not an address: " + text);
    return *result;
}

inline addresses addrs(std::initializer_list<const char *> texts, std::uint16_t port)
{
    addresses result;
    for (const char *text : texts)
        result.push_back(addr(text, port));
    return result;
}

// @n addresses that begin with @prefix and end in 1, 2, ...
inline addresses range(const std::string &prefix, int n, std::uint16_t port)
{
    addresses result;
    for (int i = 1; i <= n; i++) {
        std::ostringstream text;
        text << prefix;
        if (prefix.find(':') != prefix.npos)
            text << std::hex;
        text << i;
        result.push_back(addr(text.str(), port));
    }
    return result;
}

inline addresses operator+(addresses a, const addresses &b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

inline addresses sorted(addresses a)
{
    std::sort(a.begin(), a.end());
    return a;
}

inline bytes raw(const socket_address &b)
{
    const auto all = b.bytes();
    return {all.begin(), all.end()};
}

// A bundle socket, unless told otherwise. Throws if there is none.
inline fd open_socket(int type = SOCK_STREAM, int family = AF_BUNDLE, int protocol = IPPROTO_SCTP)
{
    fd result(::socket(family, type | SOCK_CLOEXEC, protocol));
    if (result < 0)
        net::fail("socket(" + std::to_string(family) + ")");
    return result;
}

inline const sockaddr *as_sockaddr(const std::byte *p)
{
    return reinterpret_cast<const sockaddr *>(p);
}
inline sockaddr *as_sockaddr(std::byte *p)
{
    return reinterpret_cast<sockaddr *>(p);
}

inline int bind_to(int fd, const socket_address &b)
{
    return ::bind(fd, b.data(), b.size());
}
inline int bind_to(int fd, const addresses &a)
{
    return bind_to(fd, socket_address(a));
}
inline int bind_to(int fd, const address &a)
{
    std::array<std::byte, 28> room;
    return ::bind(fd, as_sockaddr(room.data()), static_cast<socklen_t>(a.store(room)));
}
inline int bind_to(int fd, std::span<const std::byte> b, std::optional<socklen_t> length = {})
{
    return ::bind(fd, as_sockaddr(b.data()), length.value_or(static_cast<socklen_t>(b.size())));
}

inline int connect_to(int fd, const socket_address &b)
{
    return ::connect(fd, b.data(), b.size());
}
inline int connect_to(int fd, const addresses &a)
{
    return connect_to(fd, socket_address(a));
}
inline int connect_to(int fd, const address &a)
{
    std::array<std::byte, 28> room;
    return ::connect(fd, as_sockaddr(room.data()), static_cast<socklen_t>(a.store(room)));
}
inline int connect_to(int fd, std::span<const std::byte> b, std::optional<socklen_t> length = {})
{
    return ::connect(fd, as_sockaddr(b.data()), length.value_or(static_cast<socklen_t>(b.size())));
}

inline ssize_t sendto(int fd, const socket_address &to, std::string_view data = "x", int flags = 0)
{
    return ::sendto(fd, data.data(), data.size(), flags | MSG_NOSIGNAL, to.data(), to.size());
}
inline ssize_t sendto(int fd, const addresses &to, std::string_view data = "x", int flags = 0)
{
    return sendto(fd, socket_address(to), data, flags);
}

template <typename T>
int set_option(int fd, int level, int option, const T &value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

// An int option's value. Throws if it can't be read.
inline int get_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);
    if (getsockopt(fd, level, option, &value, &length) < 0 || length != sizeof(value))
        net::fail("getsockopt(" + std::to_string(level) + ", " + std::to_string(option) + ")");
    return value;
}

inline void nonblocking(int fd, bool on = true)
{
    const int flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
        net::fail("fcntl");
}

// The plain address that @call, of getpeername(2)'s kind, gives. Throws if it gives none.
template <typename Call>
address plain_name(Call call)
{
    alignas(8) std::array<std::byte, 256> room{};
    auto length = static_cast<socklen_t>(room.size());
    if (call(as_sockaddr(room.data()), &length) < 0)
        net::fail("no name");
    const auto name = address::from(std::span(room).first(length));
    if (!name || name->size() != length)
        throw std::runtime_error("not a plain address, of length " + std::to_string(length));
    return *name;
}

inline address sockname(int fd)
{
    return plain_name([fd](sockaddr *a, socklen_t *n) { return getsockname(fd, a, n); });
}

inline address peername(int fd)
{
    return plain_name([fd](sockaddr *a, socklen_t *n) { return getpeername(fd, a, n); });
}

// A message of one byte with a name, for sendmsg(2) and its relatives.
struct one_byte {
    one_byte(const sockaddr *name, socklen_t length)
    {
        header.msg_name = const_cast<sockaddr *>(name);
        header.msg_namelen = length;
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
    one_byte(const one_byte &) = delete;

    char byte = 'x';
    iovec part{&byte, 1};
    msghdr header{};
};

// Calls of getpeername(2)'s kind that give where the next message came from, without waiting for
// one; with MSG_PEEK it stays.
inline auto by_recvfrom(int fd, int flags = 0)
{
    return [=](sockaddr *a, socklen_t *n) {
        char byte;
        return recvfrom(fd, &byte, 1, flags | MSG_DONTWAIT, a, n);
    };
}
inline auto by_recvmsg(int fd, int flags = 0)
{
    return [=](sockaddr *a, socklen_t *n) {
        one_byte message(a, *n);
        const ssize_t got = recvmsg(fd, &message.header, flags | MSG_DONTWAIT);
        *n = message.header.msg_namelen;
        return got;
    };
}

// The address from which the next message came; the message is taken.
inline address message_from(int fd)
{
    if (!net::wait_for(fd, POLLIN))
        throw std::runtime_error("no message");
    return plain_name(by_recvfrom(fd));
}

// BUNDLE_LOCAL_ADDRS or BUNDLE_PEER_ADDRS, of association @id on a one-to-many socket. Throws if
// the option fails or what it gives isn't well-formed.
inline addresses whole_set(int fd, int option, sctp_assoc_t id = 0)
{
    alignas(8) std::array<std::byte, bundle::max_length> room{};
    std::memcpy(room.data(), &id, sizeof(id));
    auto length = static_cast<socklen_t>(room.size());
    if (getsockopt(fd, SOL_BUNDLE, option, room.data(), &length) < 0)
        net::fail("getsockopt(SOL_BUNDLE, " + std::to_string(option) + ")");
    const auto got = std::span(room).first(length);
    if (const auto f = bundle::validate(got, bundle::origin::kernel); f != bundle::fault::none)
        throw std::runtime_error("the kernel gave a bundle that is malformed: " +
                                 std::string(bundle::to_string(f)));
    if (bundle::view(got).length() != length || bundle::view(got).more())
        throw std::runtime_error("the kernel gave a bundle of another length, or a part of one");
    addresses result;
    for (const auto &m : bundle::view(got))
        result.push_back(m.addr);
    return sorted(result);
}

inline addresses local_set(int fd, sctp_assoc_t id = 0)
{
    return whole_set(fd, BUNDLE_LOCAL_ADDRS, id);
}
inline addresses peer_set(int fd, sctp_assoc_t id = 0)
{
    return whole_set(fd, BUNDLE_PEER_ADDRS, id);
}

// What sctp_getladdrs(3) or sctp_getpaddrs(3) gives, IPv4 unmapped. By the option itself, because
// there is no 32-bit libsctp.
inline addresses sctp_set(int fd, int option, sctp_assoc_t id = 0)
{
    alignas(8) std::array<std::byte, 8 + 70 * 28> room{};
    std::memcpy(room.data(), &id, sizeof(id));
    auto length = static_cast<socklen_t>(room.size());
    if (getsockopt(fd, IPPROTO_SCTP, option, room.data(), &length) < 0)
        net::fail("getsockopt(SCTP, " + std::to_string(option) + ")");
    std::uint32_t n;
    std::memcpy(&n, room.data() + 4, sizeof(n));
    addresses result;
    for (std::size_t at = 8; n > 0; n--) {
        const auto a = address::from(std::span(room).subspan(at));
        if (!a)
            throw std::runtime_error("a broken list of addresses");
        result.push_back(a->plain());
        at += a->size();
    }
    return sorted(result);
}

inline addresses sctp_local_set(int fd, sctp_assoc_t id = 0)
{
    return sctp_set(fd, SCTP_GET_LOCAL_ADDRS, id);
}
inline addresses sctp_peer_set(int fd, sctp_assoc_t id = 0)
{
    return sctp_set(fd, SCTP_GET_PEER_ADDRS, id);
}

// What /proc/net/bundle_stat of the current namespace counts.
inline std::map<std::string, long> counters()
{
    std::istringstream lines(net::slurp("/proc/thread-self/net/bundle_stat"));
    std::map<std::string, long> result;
    std::string name;
    for (long value; lines >> name >> value;)
        result[name] = value;
    return result;
}

// What became of an address that was asked for.
struct path {
    address addr;
    int state, error;
};

inline std::vector<path> paths(int s)
{
    std::array<bundle_path, 64> room{};
    socklen_t length = sizeof(room);
    if (getsockopt(s, SOL_BUNDLE, BUNDLE_PATHS, room.data(), &length) < 0)
        net::fail("BUNDLE_PATHS");
    if (length % sizeof(bundle_path) != 0)
        throw std::runtime_error("a part of an entry");
    std::vector<path> result;
    for (std::size_t i = 0; i < length / sizeof(bundle_path); i++) {
        const auto a = address::from(std::as_bytes(std::span(room[i].bp_addr)));
        if (!a)
            throw std::runtime_error("a path without an address");
        result.push_back({*a, room[i].bp_state, room[i].bp_error});
    }
    return result;
}

// Every association's identifier on a one-to-many socket.
inline std::vector<sctp_assoc_t> associations(int fd)
{
    struct {
        std::uint32_t count;
        sctp_assoc_t ids[64];
    } list{};
    socklen_t length = sizeof(list);
    if (getsockopt(fd, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length) < 0)
        net::fail("SCTP_GET_ASSOC_ID_LIST");
    return {list.ids, list.ids + list.count};
}

// The association with the given local port in /proc/net/sctp/assocs of the current namespace.
struct assoc_line {
    int count = 0; // how many lines there were
    addresses local, peer;
};

inline assoc_line proc_assoc(std::uint16_t local_port, std::uint16_t peer_port)
{
    assoc_line result;
    std::istringstream lines(net::slurp("/proc/thread-self/net/sctp/assocs"));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::vector<std::string> fields;
        for (std::string word; words >> word;)
            fields.push_back(word);
        if (fields.size() < 14 || fields[11] != std::to_string(local_port) ||
            fields[12] != std::to_string(peer_port))
            continue;
        result.count++;
        bool peer = false;
        for (std::size_t i = 13; i < fields.size(); i++) {
            if (fields[i] == "<->") {
                peer = true;
                continue;
            }
            // The primary one has a star in front; the counters end the list.
            const auto a = address::parse(fields[i].substr(fields[i][0] == '*'),
                                          peer ? peer_port : local_port);
            if (!a)
                break;
            (peer ? result.peer : result.local).push_back(*a);
        }
    }
    result.local = sorted(result.local);
    result.peer = sorted(result.peer);
    return result;
}

// The addresses as text files know them: without a scope.
inline addresses unscoped(addresses a)
{
    for (address &one : a)
        one = one.with_scope_id(0);
    return sorted(a);
}

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

} // namespace sctp
