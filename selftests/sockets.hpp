// SPDX-License-Identifier: GPL-2.0
// Sockets, bundles and what the kernel says about them, for tests and benchmarks: socket calls on
// C++ values, and the sets of addresses by every way in which they can be read.
#pragma once

#include "net.hpp"

#include <bundle/bundle.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <netinet/sctp.h>
#include <sys/socket.h>

namespace sctp {

using bundle::address;
using bundle::socket_address;
using net::fd;
using net::outcome;
using addresses = std::vector<address>;
using bytes = std::vector<std::byte>;

// The time in seconds, of the clock that nobody sets.
inline double now()
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

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

// A message with one of SCTP's control messages.
template <typename T>
ssize_t send_with(int s, const socket_address &to, int type, const T &info,
                  std::string_view data = "x")
{
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(T))> control{};
    iovec part{const_cast<char *>(data.data()), data.size()};
    msghdr m{};
    m.msg_name = const_cast<sockaddr *>(to.data());
    m.msg_namelen = to.size();
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control.data();
    m.msg_controllen = control.size();
    cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = IPPROTO_SCTP;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(sizeof(T));
    std::memcpy(CMSG_DATA(c), &info, sizeof(T));
    return sendmsg(s, &m, MSG_NOSIGNAL);
}

// A socket of the current namespace, bound to @where and listening.
inline fd listen_at(const addresses &where, int type = SOCK_STREAM, int family = AF_BUNDLE)
{
    fd result = open_socket(type, family);
    if (bind_to(result, where) < 0)
        net::fail("the server's bind");
    if (::listen(result, 128) < 0)
        net::fail("listen");
    return result;
}

// The next connection of a listening socket, with a limit. Throws if there is none.
inline fd accept(int listener)
{
    if (!net::wait_for(listener, POLLIN))
        throw std::runtime_error("nobody connected");
    fd result(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (result < 0)
        net::fail("accept");
    return result;
}

template <typename T>
int set_option(int fd, int level, int option, const T &value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

// An int option's value. Throws if it can't be read.
template <typename T = int>
T get_option(int fd, int level, int option)
{
    T value{};
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

// Of a connected socket's association.
inline sctp_status status_of(int fd)
{
    return get_option<sctp_status>(fd, IPPROTO_SCTP, SCTP_STATUS);
}

inline fd peeled_off(int s, sctp_assoc_t id)
{
    sctp_peeloff_arg_t argument{id, -1};
    socklen_t length = sizeof(argument);
    if (getsockopt(s, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &argument, &length) < 0)
        net::fail("SCTP_SOCKOPT_PEELOFF");
    return fd(argument.sd);
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

} // namespace sctp
