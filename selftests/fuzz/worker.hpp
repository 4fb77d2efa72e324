// SPDX-License-Identifier: GPL-2.0
// fuzz_calls: one thread's calls, on a table of sockets that all threads share.
#pragma once

#include "../uring.hpp"
#include "addresses.hpp"
#include "choices.hpp"
#include "kinds.hpp"

#include <atomic>
#include <memory>

#include <linux/tcp.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

namespace fuzz {

// What a child and the fuzzer share.
struct shared {
    std::atomic<std::uint64_t> calls[kinds], good[kinds], received, established, refused;
    char wrong[256]; // the first broken promise, or nothing
    std::atomic<int> broken;
    std::byte scribbled[4096]; // an address that changes while the kernel reads it
};
inline shared *common;

// A promise of the kernel that didn't hold.
inline void broken(const std::string &what)
{
    if (common->broken.exchange(1) == 0)
        std::snprintf(common->wrong, sizeof(common->wrong), "%s", what.c_str());
}

inline constexpr std::size_t slots = 8, numbers_each = 96;
inline std::atomic<int> table[slots];
inline bool alone; // a program of one thread

class worker {
  public:
    void call(choices c)
    {
        // The likelier ones several times.
        static constexpr kind weighted[] = {
            make_socket,    do_connect,  do_accept,    send_plain,      do_bind,      receive_plain,
            do_listen,      make_socket, do_connect,   do_accept,       send_plain,   do_bind,
            receive_plain,  send_to,     send_message, receive_message, receive_from, write_vector,
            splice_in,      shut_down,   do_close,     duplicate,       do_fork,      do_poll,
            socket_name,    peer_name,   do_ioctl,     set_blocking,    set_sctp,     set_sctp,
            get_sctp,       get_sctp,    set_bundle,   get_bundle,      get_bundle,   set_tcp,
            get_tcp,        set_level,   get_level,    bindx,           bindx,        peel_off,
            ring,           ring,        do_sysctl,    move_address,    send_to,      send_message,
            receive_message};
        const kind k = c.element(weighted);
        const long result = one(k, c);
        common->calls[k]++;
        if (result >= 0)
            common->good[k]++;
    }

    static void keep(choices &c, long s)
    {
        if (s < 0)
            return;
        const int before = table[c.below(slots)].exchange(static_cast<int>(s));
        if (before >= 0)
            close(before);
    }

  private:
    static bool listens(int s)
    {
        int yes = 0;
        socklen_t length = sizeof(yes);
        return getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, &yes, &length) == 0 && yes != 0;
    }
    static bool has_peer(int s)
    {
        std::array<std::byte, bundle::max_length> room;
        auto length = static_cast<socklen_t>(room.size());
        return getpeername(s, sctp::as_sockaddr(room.data()), &length) == 0;
    }

    // A socket; the one drawn or, mostly, the next that there is and that is @fit, if one is.
    static int slot(choices &c, bool (*fit)(int) = nullptr)
    {
        const std::uint32_t first = c.below(slots), tries = c.chance(15, 16) ? slots : 1;
        int found = -1;
        for (std::uint32_t i = 0; i < tries; i++)
            if (const int s = table[(first + i) % slots]; s >= 0) {
                if (!fit || fit(s))
                    return s;
                found = found < 0 ? s : found;
            }
        return found;
    }
    // What a call mostly wants.
    static int slot(choices &c, kind k)
    {
        const bool usual = c.chance(3, 4);
        switch (usual ? k : kinds) {
        case do_accept:
            return slot(c, listens);
        case do_bind:
        case do_connect:
        case do_listen:
            return slot(c, [](int s) { return !has_peer(s) && !listens(s); });
        case send_plain:
        case send_message:
        case receive_plain:
        case receive_message:
        case receive_from:
        case write_vector:
        case splice_in:
        case shut_down:
        case peer_name:
            return slot(c, has_peer);
        default:
            return slot(c);
        }
    }

    // Where to connect to or send: often to what one of the sockets has.
    target peer(choices &c)
    {
        if (c.chance(1, 2))
            return any_target(c);
        target t;
        t.data.resize(bundle::max_length);
        t.length = static_cast<socklen_t>(t.data.size());
        if (getsockname(slot(c, listens), sctp::as_sockaddr(t.data.data()), &t.length) < 0)
            t.length = 0;
        t.data.resize(std::min<std::size_t>(t.length, t.data.size()));
        return t;
    }

    static std::uint16_t port_of(int s)
    {
        std::array<std::byte, bundle::max_length> room{};
        auto length = static_cast<socklen_t>(room.size());
        if (getsockname(s, sctp::as_sockaddr(room.data()), &length) < 0)
            return 0;
        // The same place in each kind of address.
        std::uint16_t port = 0;
        std::memcpy(&port, &room[2], sizeof(port));
        return ntohs(port);
    }

    // The address in memory that ends where it does, or that somebody changes, or that isn't.
    const sockaddr *place(choices &c, target &t)
    {
        if (c.chance(1, 24)) {
            t.malformed = false; // nobody knows
            std::memcpy(common->scribbled, t.data.data(), t.data.size());
            return sctp::as_sockaddr(common->scribbled);
        }
        if (c.chance(1, 48))
            return nullptr;
        std::byte *p = guarded_.last(t.data.size());
        std::memcpy(p, t.data.data(), t.data.size());
        return sctp::as_sockaddr(p);
    }

    static int flags(choices &c, bool sending)
    {
        int result = c.chance(3, 4) ? MSG_DONTWAIT : 0;
        for (const int one : {MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_OOB, MSG_MORE, MSG_EOR,
                              MSG_ERRQUEUE, MSG_DONTROUTE, MSG_CONFIRM, MSG_FASTOPEN})
            if (c.chance(1, 24))
                result |= one;
        return sending ? result | MSG_NOSIGNAL : result;
    }

    static std::size_t size(choices &c) { return c.chance(1, 6) ? c.below(200000) : c.below(3000); }

    // Calls that give a name into a buffer of some length: no byte beyond it, and no broken bundle.
    template <typename Call>
    long name(choices &c, Call call)
    {
        std::memset(room_.data(), 0xa5, room_.size());
        const auto given = static_cast<socklen_t>(c.chance(1, 3) ? c.below(200) : 128);
        socklen_t length = given;
        const long result = call(sctp::as_sockaddr(room_.data()), &length);
        untouched(given, "a name");
        if (result >= 0 && length >= sizeof(sockaddr_bundle) && length <= given)
            well_formed(length, "a name");
        return result;
    }

    void untouched(std::size_t from, const char *what) const
    {
        for (std::size_t i = from; i < room_.size(); i++)
            if (room_[i] != std::byte{0xa5})
                return broken(std::string(what) + " is longer than its buffer of " +
                              std::to_string(from));
    }

    void well_formed(std::size_t length, const char *what) const
    {
        sa_family_t family = 0;
        std::memcpy(&family, room_.data(), sizeof(family));
        if (family != AF_BUNDLE)
            return;
        const auto fault = bundle::validate(std::span(room_).first(length), bundle::origin::kernel);
        if (fault != bundle::fault::none)
            broken(std::string(what) + ": " + std::string(bundle::to_string(fault)));
    }

    // A message with control data of SCTP's kinds, of right and wrong lengths.
    long message(choices &c, int s, bool sending)
    {
        target to = peer(c);
        const bool named = c.chance(1, 2);
        msghdr header{};
        iovec part{data_.data(), size(c)};
        header.msg_iov = &part;
        header.msg_iovlen = c.chance(1, 16) ? 0 : 1;
        alignas(cmsghdr) std::array<char, 512> control{};
        if (!sending) {
            std::memset(room_.data(), 0xa5, room_.size());
            header.msg_name = named ? room_.data() : nullptr;
            header.msg_namelen = named ? 128 : 0;
            header.msg_control = control.data();
            header.msg_controllen = c.below(control.size());
            const long result = recvmsg(s, &header, flags(c, false));
            if (named) {
                untouched(128, "a message's name");
                if (result >= 0 && header.msg_namelen <= 128)
                    well_formed(header.msg_namelen, "a message's name");
            }
            return result;
        }
        if (named) {
            header.msg_name = const_cast<sockaddr *>(place(c, to));
            header.msg_namelen = to.length;
        }
        header.msg_control = control.data();
        std::size_t used = 0;
        for (std::uint32_t n = c.below(3); n > 0; n--) {
            const std::size_t length =
                c.one_of<std::size_t>({32, 16, 8, 4, 20, 28, 2, c.below(64)});
            if (used + CMSG_SPACE(length) > control.size())
                break;
            auto *one = reinterpret_cast<cmsghdr *>(control.data() + used);
            one->cmsg_level = c.chance(1, 16) ? SOL_SOCKET : IPPROTO_SCTP;
            one->cmsg_type = static_cast<int>(c.below(12));
            one->cmsg_len = CMSG_LEN(length);
            for (std::size_t i = 0; i + 2 <= length && i < 12; i += 2) {
                const auto value = static_cast<std::uint16_t>(c.chance(1, 4) ? c.number() : 0);
                std::memcpy(CMSG_DATA(one) + i, &value, sizeof(value));
            }
            used += CMSG_SPACE(length);
        }
        header.msg_controllen = used;
        return sendmsg(s, &header, flags(c, true));
    }

    // An association of the socket's, if it has one.
    static sctp_assoc_t association(int s)
    {
        std::array<std::uint32_t, 33> list{};
        socklen_t length = sizeof(list);
        if (getsockopt(s, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, list.data(), &length) < 0)
            return 0;
        return static_cast<sctp_assoc_t>(list[1]);
    }

    // A value for an option: often an association's number first, then numbers or an address. Of
    // its proper @size, if it has one, most of the time.
    static sctp::bytes value(choices &c, int s, std::size_t size = 0, std::size_t id_at = 0)
    {
        const auto other = c.one_of<std::size_t>({4, 8, 1, 12, 16, 128 + 24, 144, c.below(200)});
        sctp::bytes result(size != 0 && !c.chance(1, 8) ? size : other);
        for (std::size_t i = 0; i + 4 <= result.size() && i < 24; i += 4) {
            const std::uint32_t n = c.chance(1, 3) ? c.number() : c.below(4);
            std::memcpy(&result[i], &n, sizeof(n));
        }
        if (c.chance(1, 3) && result.size() >= 4 + 28) {
            std::array<std::byte, 28> room{};
            any_address(c, any_port(c)).store(room);
            std::ranges::copy(room, result.begin() + (c.chance(1, 2) ? 4 : 0));
        }
        const sctp_assoc_t id = association(s), named = id != 0 && c.chance(3, 4) ? id : 0;
        if (id_at + sizeof(named) <= result.size() && c.chance(3, 4))
            std::memcpy(&result[id_at], &named, sizeof(named));
        return result;
    }

    long set(choices &c, int s, int level, int option, std::size_t size = 0, std::size_t id_at = 0)
    {
        const sctp::bytes v = value(c, s, size, id_at);
        std::byte *p = guarded_.last(v.size());
        std::ranges::copy(v, p);
        const auto length = static_cast<socklen_t>(c.chance(1, 12) ? c.number() : v.size());
        return setsockopt(s, level, option, p, length);
    }

    long get(choices &c, int s, int level, int option, std::size_t size = 0, std::size_t id_at = 0)
    {
        std::memset(room_.data(), 0xa5, room_.size());
        const sctp::bytes v = value(c, s, size, id_at);
        const auto given = static_cast<socklen_t>(
            c.one_of<std::size_t>({v.size(), v.size(), v.size(), 4, 8, 2056, 64, c.below(2100)}));
        std::copy_n(v.begin(), std::min<std::size_t>(v.size(), given), room_.begin());
        socklen_t length = given;
        const long result = getsockopt(s, level, option, room_.data(), &length);
        untouched(given, "an option");
        if (result >= 0 && level == SOL_BUNDLE &&
            (option == BUNDLE_LOCAL_ADDRS || option == BUNDLE_PEER_ADDRS)) {
            if (length > given)
                broken("an option says that it is longer than its buffer");
            else if (length >= sizeof(sockaddr_bundle))
                well_formed(length, "an option");
        }
        return result;
    }

    // sctp_bindx(3) and sctp_connectx(3), by the options that they use. What binds wants the
    // socket's own port.
    long packed(choices &c, int s)
    {
        sctp::bytes all;
        const int option = c.one_of({SCTP_SOCKOPT_BINDX_ADD, SCTP_SOCKOPT_BINDX_REM,
                                     SCTP_SOCKOPT_CONNECTX, SCTP_SOCKOPT_CONNECTX_OLD});
        const bool binds = option == SCTP_SOCKOPT_BINDX_ADD || option == SCTP_SOCKOPT_BINDX_REM;
        const std::uint16_t port = binds && c.chance(3, 4) ? port_of(s) : any_port(c);
        const bool usual = c.chance(3, 4);
        for (std::uint32_t n = 1 + c.below(4); n > 0; n--) {
            std::array<std::byte, 28> room{};
            const std::size_t length = any_address(c, port, usual).store(room);
            all.insert(all.end(), room.begin(), room.begin() + static_cast<long>(length));
        }
        std::byte *p = guarded_.last(all.size());
        std::ranges::copy(all, p);
        const auto length = static_cast<socklen_t>(
            c.chance(1, 8) ? c.below(100) : static_cast<std::uint32_t>(all.size()));
        return setsockopt(s, IPPROTO_SCTP, option, p, length);
    }

    long by_ring(choices &c, int s)
    {
        if (!ring_)
            ring_ = std::make_unique<net::uring>();
        target to = peer(c);
        msghdr header{};
        iovec part{data_.data(), size(c)};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        const sockaddr *name = place(c, to);
        if (c.chance(1, 2)) {
            header.msg_name = const_cast<sockaddr *>(name);
            header.msg_namelen = to.length;
        }
        io_uring_sqe sqe{};
        ring_length_ = 128; // what a late completion writes to isn't looked at
        switch (c.below(5)) {
        case 0:
            sqe = net::uring::request(IORING_OP_CONNECT, s, name, to.length);
            break;
        case 1:
            sqe = net::uring::request(IORING_OP_ACCEPT, s, ring_name_.data(),
                                      reinterpret_cast<std::uintptr_t>(&ring_length_));
            break;
        case 2:
            sqe = net::uring::request(IORING_OP_SENDMSG, s, &header, 0);
            sqe.len = 1;
            sqe.msg_flags = static_cast<std::uint32_t>(flags(c, true));
            break;
        case 3:
            header.msg_name = ring_name_.data();
            header.msg_namelen = static_cast<socklen_t>(ring_name_.size());
            sqe = net::uring::request(IORING_OP_RECVMSG, s, &header, 0);
            sqe.len = 1;
            sqe.msg_flags = static_cast<std::uint32_t>(flags(c, false));
            break;
        default:
            sqe = net::uring::request(IORING_OP_SHUTDOWN, s, nullptr, 0);
            sqe.len = c.below(4);
            break;
        }
        ring_->submit(sqe);
        const auto result = ring_->completed(200);
        if (!result)
            ring_.reset(); // what it waits for ends with it
        else if (sqe.opcode == IORING_OP_ACCEPT)
            keep(c, *result);
        return result.value_or(-1);
    }

    long one(kind k, choices &c);

    net::guarded_memory guarded_;
    std::array<std::byte, 4096> room_{};
    std::vector<char> data_ = std::vector<char>(200000, 'x');
    std::unique_ptr<net::uring> ring_;
    std::array<std::byte, 128> ring_name_{};
    socklen_t ring_length_ = 0;
};

inline int unblocked(int s)
{
    if (s >= 0)
        fcntl(s, F_SETFL, fcntl(s, F_GETFL) | O_NONBLOCK);
    return s;
}

inline long worker::one(kind k, choices &c)
{
    const int s = slot(c, k);
    switch (k) {
    case make_socket: {
        const int made = socket(c.one_of({AF_BUNDLE, AF_BUNDLE, AF_BUNDLE, AF_INET, AF_INET6}),
                                c.one_of({SOCK_STREAM, SOCK_SEQPACKET}),
                                c.chance(1, 24) ? static_cast<int>(c.below(300)) : IPPROTO_SCTP);
        keep(c, c.chance(7, 8) ? unblocked(made) : made);
        return made;
    }
    case do_bind: {
        target to = any_target(c);
        const sockaddr *name = place(c, to);
        const std::uint16_t before = port_of(s);
        const int result = bind(s, name, to.length);
        if (result == 0 && to.malformed)
            broken("bind(2) took a malformed bundle");
        if (result < 0 && alone && port_of(s) != before)
            broken("bind(2) failed and the socket has a port");
        return result;
    }
    case do_listen:
        return listen(s, static_cast<int>(c.below(8)));
    case do_connect: {
        target to = peer(c);
        const sockaddr *name = place(c, to);
        const int result = connect(s, name, to.length);
        if (to.malformed && (result == 0 || errno == EINPROGRESS))
            broken("connect(2) took a malformed bundle");
        if (result < 0 && errno == EINPROGRESS)
            return net::wait_for(s, POLLOUT, static_cast<int>(c.below(30))) & POLLERR ? -1 : 0;
        return result;
    }
    case do_accept: {
        if (c.chance(3, 4))
            net::wait_for(s, POLLIN, static_cast<int>(c.below(30)));
        const long made = name(c, [&](sockaddr *a, socklen_t *n) {
            return accept4(s, a, n, c.chance(7, 8) ? SOCK_NONBLOCK : 0);
        });
        if (made >= 0)
            common->established++;
        keep(c, made);
        return made;
    }
    case send_to: {
        target to = peer(c);
        const std::size_t length = size(c);
        const sockaddr *name = place(c, to);
        return sendto(s, data_.data(), length, flags(c, true), name, to.length);
    }
    case send_message:
        return message(c, s, true);
    case send_plain:
        return send(s, data_.data(), size(c), flags(c, true));
    case receive_message:
        return message(c, s, false);
    case receive_from: {
        const std::size_t length = size(c);
        const int how = flags(c, false);
        return name(c, [&](sockaddr *a, socklen_t *n) {
            return recvfrom(s, data_.data(), length, how, a, n);
        });
    }
    case receive_plain: {
        const long got = recv(s, data_.data(), size(c), flags(c, false));
        if (got > 0)
            common->received += static_cast<std::uint64_t>(got);
        return got;
    }
    case write_vector: {
        std::array<iovec, 4> parts;
        for (iovec &one : parts)
            one = {data_.data(), size(c)};
        if (c.chance(1, 12))
            parts[2].iov_base = nullptr;
        return c.chance(1, 2) ? readv(s, parts.data(), 4) : writev(s, parts.data(), 4);
    }
    case splice_in: {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK) < 0)
            return -1;
        const net::fd in(ends[0]), out(ends[1]);
        if (c.chance(1, 2))
            return splice(s, nullptr, out, nullptr, size(c), SPLICE_F_NONBLOCK);
        if (::write(out, data_.data(), 4096) < 0)
            return -1;
        return splice(in, nullptr, s, nullptr, c.below(5000), c.below(16));
    }
    case shut_down:
        return shutdown(s, static_cast<int>(c.below(4)));
    case do_close: {
        const int before = table[c.below(slots)].exchange(-1);
        return before < 0 ? -1 : close(before);
    }
    case duplicate: {
        const int made = dup(s);
        keep(c, made);
        return made;
    }
    case do_fork: {
        // A child that has the sockets, uses one of them and ends.
        const pid_t child = fork();
        if (child == 0) {
            if (send(s, data_.data(), 100, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                shutdown(s, SHUT_RDWR);
            _exit(0);
        }
        return child < 0 ? -1 : waitpid(child, nullptr, 0);
    }
    case do_poll: {
        std::array<pollfd, slots> all;
        for (std::size_t i = 0; i < slots; i++)
            all[i] = {table[i], static_cast<short>(c.below(1U << 14)), 0};
        return poll(all.data(), slots, static_cast<int>(c.below(20)));
    }
    case socket_name:
        return name(c, [&](sockaddr *a, socklen_t *n) { return getsockname(s, a, n); });
    case peer_name:
        return name(c, [&](sockaddr *a, socklen_t *n) { return getpeername(s, a, n); });
    case do_ioctl: {
        std::array<std::byte, 64> room{};
        return ioctl(s,
                     c.one_of<unsigned long>(
                         {FIONREAD, TIOCOUTQ, SIOCATMARK, FIONBIO, 0x894B, 0x8906, SIOCGIFCONF}),
                     room.data());
    }
    case set_blocking:
        return fcntl(s, F_SETFL, c.chance(1, 4) ? 0 : O_NONBLOCK);
    case set_sctp: {
        if (c.chance(7, 8)) {
            const sctp_option &o = c.element(sctp_options);
            return set(c, s, IPPROTO_SCTP, o.number, o.size, o.id);
        }
        if (const auto option = static_cast<int>(c.below(140)); option != SCTP_AUTO_ASCONF)
            return set(c, s, IPPROTO_SCTP, option);
        return -1; // its timer allocates memory as if it could sleep, in stock SCTP
    }
    case get_sctp: {
        if (!c.chance(7, 8))
            return get(c, s, IPPROTO_SCTP, static_cast<int>(c.below(140)));
        const sctp_option &o = c.element(sctp_options);
        return get(c, s, IPPROTO_SCTP, o.number, o.size, o.id);
    }
    case set_bundle:
        return set(c, s, SOL_BUNDLE, static_cast<int>(c.below(8)));
    case get_bundle:
        return get(c, s, SOL_BUNDLE, static_cast<int>(c.below(8)));
    case set_tcp:
        return set(c, s, IPPROTO_TCP, static_cast<int>(c.below(44)), sizeof(int), nowhere);
    case get_tcp:
        return get(c, s, IPPROTO_TCP, static_cast<int>(c.below(44)), sizeof(int), nowhere);
    case set_level:
        return set(c, s, c.one_of({SOL_SOCKET, SOL_IP, SOL_IPV6, 132 + 7}),
                   static_cast<int>(c.below(90)), sizeof(int), nowhere);
    case get_level:
        return get(c, s, c.one_of({SOL_SOCKET, SOL_IP, SOL_IPV6, 132 + 7}),
                   static_cast<int>(c.below(90)), sizeof(int), nowhere);
    case bindx:
        return packed(c, s);
    case peel_off: {
        sctp_peeloff_arg_t what{association(s), -1};
        socklen_t length = sizeof(what);
        const int result = getsockopt(s, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &what, &length);
        if (result >= 0)
            keep(c, what.sd);
        return result;
    }
    case ring:
        return by_ring(c, s);
    case do_sysctl: {
        static constexpr const char *all[] = {
            "bundle_init_burst", "bundle_init_rate", "bundle_connect_timeout",
            "bundle_host_delay", "addip_enable",     "addip_noauth_enable",
            "auth_enable",       "prsctp_enable",    "reconf_enable",
            "intl_enable",       "ecn_enable",       "cookie_preserve_enable",
            "addr_scope_policy", "max_burst"};
        const std::string path = std::string("/proc/sys/net/sctp/") + c.element(all);
        const net::fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
        const std::string text = std::to_string(c.chance(1, 4) ? c.number() : c.below(2));
        return ::write(file, text.data(), text.size());
    }
    case move_address: {
        // An alias goes with address 0.0.0.0; another one changes.
        ifreq request{};
        std::snprintf(request.ifr_name, IFNAMSIZ, "d0:%u", c.below(3));
        const auto to = sctp::addr(c.chance(1, 2) ? "10.9.0." + std::to_string(1 + c.below(8))
                                                  : std::string("0.0.0.0"),
                                   0);
        std::array<std::byte, 28> room{};
        to.store(room);
        std::memcpy(&request.ifr_addr, room.data(), sizeof(request.ifr_addr));
        return ioctl(s, SIOCSIFADDR, &request);
    }
    case kinds:
        break;
    }
    return -1;
}

} // namespace fuzz
