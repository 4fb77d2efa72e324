// SPDX-License-Identifier: GPL-2.0
// The names that both ends of a connection have, and BUNDLE_PATHS.
#include "connect.hpp"

#include <cctype>

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/syscall.h>

namespace {

using namespace sctp;

// Makes a socket give up on an address, at set-up, after a tenth of a second instead of three.
void hurry(int s, std::uint16_t attempts)
{
    sctp_rtoinfo timers{};
    timers.srto_initial = timers.srto_min = timers.srto_max = 100;
    sctp_initmsg init{};
    init.sinit_max_attempts = attempts;
    if (set_option(s, IPPROTO_SCTP, SCTP_RTOINFO, timers) < 0 ||
        set_option(s, IPPROTO_SCTP, SCTP_INITMSG, init) < 0)
        net::fail("SCTP's timers");
}

// Waits until the peer, having closed its end, is gone.
testing::AssertionResult association_ends(int s)
{
    const std::uint16_t local = sockname(s).port(), peer = peername(s).port();
    if (net::eventually([&] { return proc_assoc(local, peer).count == 0; }))
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << "the association is still there";
}

// Leaves @with wherever system calls of this thread have their variables, as far as calls can that
// copy what they are given.
void fill_kernel_stack(std::uint8_t with)
{
    std::array<std::uint8_t, 256> all;
    all.fill(with);
    const auto *name = reinterpret_cast<const sockaddr *>(all.data());
    const fd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    static_cast<void>(::bind(udp, name, 128));
    static_cast<void>(::connect(udp, name, 128));
    static_cast<void>(::sendto(udp, all.data(), 1, 0, name, 128));
    msghdr message{};
    message.msg_name = all.data();
    message.msg_namelen = 128;
    message.msg_iov = reinterpret_cast<iovec *>(all.data());
    message.msg_iovlen = 8;
    static_cast<void>(::sendmsg(udp, &message, MSG_DONTWAIT));
    static_cast<void>(::recvmsg(udp, &message, MSG_DONTWAIT));
    ::poll(reinterpret_cast<pollfd *>(all.data()), all.size() / sizeof(pollfd), 0);
    syscall(SYS_bpf, -1, all.data(), 144);
    syscall(SYS_select, 256, all.data(), all.data(), all.data(), nullptr);
}

// --- Names ---------------------------------------------------------------------------------------

// Where a kernel address begins, of code or data, or nothing. What a call has left itself on its
// way down is such.
std::optional<std::size_t> kernel_address(std::span<const std::uint8_t> given)
{
    for (std::size_t i = 0; i + sizeof(std::uint64_t) <= given.size(); i++) {
        std::uint64_t value = 0;
        std::memcpy(&value, &given[i], sizeof(value));
        if (value >= 0xffff800000000000 && value < 0xffffffffffff0000)
            return i;
    }
    return {};
}

// On a kernel that clears its stack itself, like the release one, this shows nothing.
TEST_F(Connect, NothingOfTheStackIsInWhatIsGiven)
{
    using room = std::array<std::uint8_t, 2100>;
    const auto c = established();
    const int s = c.client;
    const auto option = [s](int level, int number) {
        return [=](sockaddr *a, socklen_t *n) { return getsockopt(s, level, number, a, n); };
    };
    using call = std::function<long(sockaddr *, socklen_t *)>;
    const std::vector<std::pair<const char *, call>> calls{
        {"getsockname", [s](auto *a, auto *n) { return getsockname(s, a, n); }},
        {"getpeername", [s](auto *a, auto *n) { return getpeername(s, a, n); }},
        {"recvfrom", by_recvfrom(s, MSG_PEEK)},
        {"recvmsg", by_recvmsg(s, MSG_PEEK)},
        {"BUNDLE_LOCAL_ADDRS", option(SOL_BUNDLE, BUNDLE_LOCAL_ADDRS)},
        {"BUNDLE_PEER_ADDRS", option(SOL_BUNDLE, BUNDLE_PEER_ADDRS)},
        {"BUNDLE_PATHS", option(SOL_BUNDLE, BUNDLE_PATHS)},
        {"TCP_INFO", option(IPPROTO_TCP, TCP_INFO)},
        {"SCTP_STATUS", option(IPPROTO_SCTP, SCTP_STATUS)},
    };
    ASSERT_EQ(send(c.server, "x", 1, 0), 1);
    ASSERT_TRUE(net::wait_for(s, POLLIN));
    for (const bool whole : {false, true}) {
        ASSERT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, whole ? 1 : 0)), "ok");
        for (const auto &[name, give] : calls) {
            std::array<room, 2> got{};
            socklen_t length = 0;
            for (const std::size_t i : {0U, 1U}) {
                fill_kernel_stack(i == 0 ? 0x5a : 0xa5);
                length = std::isupper(name[0]) ? 2056 : 128;
                ASSERT_GE(give(reinterpret_cast<sockaddr *>(got[i].data()), &length), 0) << name;
            }
            for (std::size_t i = 0; i < length; i++)
                EXPECT_FALSE(got[0][i] == 0x5a && got[1][i] == 0xa5)
                    << name << ", byte " << i << " of " << length;
            const auto at = kernel_address(std::span(got[0]).first(length));
            EXPECT_FALSE(at) << name << ", byte " << *at << " of " << length;
        }
    }
}

TEST_F(Connect, NamesArePlainAndNeverMapped)
{
    const fd listener = hosts().listener(servers);
    const fd client = open_socket();
    ASSERT_EQ(outcome(bind_to(client, clients)), "ok");
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    ASSERT_TRUE(net::wait_for(listener, POLLIN));
    fd server;
    const address accepted = plain_name([&](sockaddr *a, socklen_t *n) {
        server = fd(::accept4(listener, a, n, SOCK_CLOEXEC));
        return int{server};
    });
    EXPECT_EQ(std::count(clients.begin(), clients.end(), accepted), 1);
    EXPECT_EQ(peername(server), accepted);
    EXPECT_EQ(sockname(server), servers[0]) << "the first bound address";

    const address peer = peername(client);
    EXPECT_EQ(std::count(servers.begin(), servers.end(), peer), 1);
    EXPECT_EQ(sockname(client), clients[0]) << "the first bound address";

    ASSERT_EQ(send(client, "xy", 2, 0), 2);
    EXPECT_EQ(message_from(server), accepted);
    ASSERT_EQ(send(server, "xy", 2, 0), 2);
    EXPECT_EQ(message_from(client), peer);
    EXPECT_EQ(plain_name(by_recvmsg(client)), peer);
}

TEST_F(Connect, NamesOfIpv6ArePlainToo)
{
    servers = addrs({"fd00:3::2"}, port);
    clients = addrs({"fd00:3::1"}, client_port);
    const auto c = established();
    EXPECT_EQ(peername(c.client), servers[0]);
    EXPECT_EQ(sockname(c.client), clients[0]);
    EXPECT_EQ(peername(c.server), clients[0]);
    EXPECT_EQ(sockname(c.server), servers[0]);
    ASSERT_EQ(send(c.client, "x", 1, 0), 1);
    EXPECT_EQ(message_from(c.server), clients[0]);
}

TEST_F(Connect, TheNameOfAnUnboundClientIsWhereItsPathStarts)
{
    const fd listener = hosts().listener(servers);
    const std::map<std::string, std::string> path{
        {"10.0.1.2", "10.0.1.1"}, {"10.0.2.2", "10.0.2.1"}, {"fd00:3::2", "fd00:3::1"}};
    for (const address &first : servers) {
        addresses a = servers;
        std::swap(a[0], *std::find(a.begin(), a.end(), first));
        const fd client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, a)), "ok");
        EXPECT_EQ(sockname(client).to_string(), path.at(peername(client).to_string()));
        accept(listener);
    }
}

TEST_F(Connect, ThePeersNameStaysTheVerifiedOneWhereverDataComesFrom)
{
    const auto c = established();
    const address peer = peername(c.client);
    for (const address &to : clients) {
        ASSERT_EQ(outcome(set_primary(c.server, to)), "ok");
        ASSERT_EQ(send(c.server, "x", 1, 0), 1);
        EXPECT_EQ(message_from(c.client), peer) << "by way of " << testing::PrintToString(to);
        EXPECT_EQ(peername(c.client), peer);
    }
}

TEST_F(Connect, NamesStayWhenThePrimaryPathChanges)
{
    const auto c = established(false);
    const address peer = peername(c.client), local = sockname(c.client);
    for (const address &to : servers) {
        ASSERT_EQ(outcome(set_primary(c.client, to)), "ok");
        EXPECT_EQ(peername(c.client), peer) << testing::PrintToString(to);
        EXPECT_EQ(sockname(c.client), local) << testing::PrintToString(to);
    }
}

TEST_F(Connect, ThePeersNameOutlivesTheAssociation)
{
    for (const bool client_closes : {true, false}) {
        auto c = established(false);
        fd &closing = client_closes ? c.client : c.server;
        const int other = client_closes ? c.server : c.client;
        const address peer = peername(other);
        closing.reset();
        const auto ends = [&] { return association_ends(other); };
        EXPECT_TRUE(client_closes ? hosts().on_server(ends) : ends());
        EXPECT_EQ(peername(other), peer);
    }
}

TEST_F(Connect, NamesAskedForAreTrimmedToTheBuffer)
{
    const auto c = established();
    for (const int s : {int{c.client}, int{c.server}})
        ASSERT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 0)), "ok");
    const address peer = peername(c.client), local = sockname(c.client);
    ASSERT_EQ(outcome(set_option(c.client, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    ASSERT_EQ(send(c.server, "x", 1, 0), 1);
    ASSERT_TRUE(net::wait_for(c.client, POLLIN));
    const int s = c.client;
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getpeername(s, a, n); }, peer,
                        servers, every_size());
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getsockname(s, a, n); }, local,
                        clients, every_size());
    expect_bundle_names(
        [s](sockaddr *a, socklen_t *n) { return getsockopt(s, SOL_SOCKET, SO_PEERNAME, a, n); },
        peer, servers, every_size());
    expect_bundle_names(by_recvfrom(s, MSG_PEEK), peer, servers, every_size());
    expect_bundle_names(by_recvmsg(s, MSG_PEEK), peer, servers, every_size());
    expect_bundle_names(
        [s](sockaddr *a, socklen_t *n) {
            const one_byte message(a, *n);
            mmsghdr m{message.header, 0};
            const int got = recvmmsg(s, &m, 1, MSG_PEEK | MSG_DONTWAIT, nullptr);
            *n = m.msg_hdr.msg_namelen;
            return got;
        },
        peer, servers, {0, 7, 8, 32, 56, 87, 88, 128});
}

TEST_F(Connect, NamesOfManyAddressesStayBelowASockaddrStorage)
{
    servers = range("fd00:4::", many, port);
    clients = addrs({"fd00:4::100"}, client_port);
    const auto c = established();
    const address peer = peername(c.client);
    ASSERT_EQ(outcome(set_option(c.client, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    ASSERT_EQ(send(c.server, "x", 1, 0), 1);
    ASSERT_TRUE(net::wait_for(c.client, POLLIN));
    const int s = c.client;
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getpeername(s, a, n); }, peer,
                        servers, every_size());
    expect_bundle_names(by_recvfrom(s, MSG_PEEK), peer, servers, every_size());
}

TEST_F(Connect, AcceptGivesNamesAskedForAndHandsTheSettingDown)
{
    const fd listener = hosts().listener(servers);
    ASSERT_EQ(outcome(set_option(listener, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    std::vector<fd> kept;
    const auto connect_and_accept = [&](sockaddr *a, socklen_t *n) {
        kept.push_back(open_socket());
        if (bind_to(kept.back(), clients) < 0 || connect_to(kept.back(), servers) < 0 ||
            !net::wait_for(listener, POLLIN))
            return -1;
        kept.push_back(fd(::accept4(listener, a, n, SOCK_CLOEXEC)));
        const int server = kept.back();
        if (server >= 0) {
            EXPECT_EQ(get_option(server, SOL_BUNDLE, BUNDLE_NAMES), 1);
            EXPECT_EQ(get_option(server, SOL_SOCKET, SO_PROTOCOL), IPPROTO_SCTP);
        }
        // Another client takes the same addresses at another port.
        clients = two_hosts::client_addrs(next_port());
        return server;
    };
    // Each size is a connection; the client's port differs every time, so that names are checked
    // without it.
    for (const std::size_t size : {0, 1, 7, 8, 9, 31, 32, 33, 55, 56, 57, 87, 88, 89, 128, 140}) {
        const addresses asked = clients;
        const bytes name = name_in_buffer(connect_and_accept, size);
        if (size < 8) {
            EXPECT_TRUE(name.empty()) << size;
            continue;
        }
        EXPECT_EQ(bundle::to_string(bundle::validate(name, bundle::origin::kernel)), "well-formed");
        const bundle::view part(name);
        EXPECT_EQ(part.length(), name.size());
        EXPECT_EQ(part.more(), part.count() < asked.size()) << size;
        if (size >= 88) {
            EXPECT_TRUE(bundle::same_addresses(part, socket_address(asked))) << size;
        } else if (size < 32) {
            EXPECT_EQ(part.count(), 0U) << size;
        }
        for (const auto &m : part)
            EXPECT_EQ(std::count(asked.begin(), asked.end(), m.addr), 1);
    }
}

TEST_F(Connect, AcceptWithoutAskingGivesTheDefault)
{
    const auto c = established();
    EXPECT_EQ(get_option(c.server, SOL_BUNDLE, BUNDLE_NAMES), 0);
}

TEST_F(Connect, ThePeersWholeSetIsTrimmedToTheBuffer)
{
    const auto c = established();
    for (const std::size_t size : {0, 7, 8, 31, 32, 56, 87, 88, 2056}) {
        bytes room(size + 8, std::byte{0xa5});
        auto length = static_cast<socklen_t>(size);
        const std::string got =
            outcome(getsockopt(c.client, SOL_BUNDLE, BUNDLE_PEER_ADDRS, room.data(), &length));
        EXPECT_EQ(got, size < 8 ? "EINVAL" : "ok") << size;
        if (got != "ok")
            continue;
        ASSERT_LE(length, size);
        const auto part = std::span(room).first(length);
        EXPECT_EQ(bundle::to_string(bundle::validate(part, bundle::origin::kernel)), "well-formed");
        EXPECT_EQ(bundle::view(part).more(), bundle::view(part).count() < 3) << size;
    }
}

// --- BUNDLE_PATHS --------------------------------------------------------------------------------

TEST_F(Connect, PathsTellWhichAddressWon)
{
    const auto c = established();
    const auto got = paths(c.client);
    ASSERT_EQ(got.size(), servers.size());
    int won = 0;
    for (std::size_t i = 0; i < got.size(); i++) {
        EXPECT_EQ(got[i].addr, servers[i]) << "in the order asked";
        EXPECT_EQ(got[i].error, 0);
        if (got[i].state == BUNDLE_PATH_WON) {
            won++;
            EXPECT_EQ(got[i].addr, peername(c.client));
        } else {
            EXPECT_EQ(got[i].state, BUNDLE_PATH_CONFIRMED);
        }
    }
    EXPECT_EQ(won, 1);
}

TEST_F(Connect, PathsTellWhatBecameOfEachWhenTheFirstIsDead)
{
    const fd listener = hosts().listener(servers);
    const netem dead("loss 100%", {"v1"});
    for (const std::size_t i : {1, 2}) {
        const address alive = servers[i];
        const fd client = open_socket();
        hurry(client, 8);
        ASSERT_EQ(outcome(connect_to(client, addresses{servers[0], nowhere()[0], alive})), "ok");
        EXPECT_EQ(peername(client), alive);
        EXPECT_EQ(sockname(client).to_string(), clients[i].to_string());
        auto got = paths(client);
        ASSERT_EQ(got.size(), 3U);
        // RFC 9260, section 5.4: what the program gave needs no confirmation.
        EXPECT_EQ(got[0].state, BUNDLE_PATH_CONFIRMED) << "the winner has it, too";
        EXPECT_EQ(got[1].state, BUNDLE_PATH_DROPPED) << "the winner has no such address";
        EXPECT_EQ(got[2].state, BUNDLE_PATH_WON);
        accept(listener).reset();
        EXPECT_TRUE(association_ends(client));
        EXPECT_EQ(peername(client), alive);
        got = paths(client);
        ASSERT_EQ(got.size(), 3U);
        EXPECT_EQ(got[2].state, BUNDLE_PATH_WON) << "it is remembered";
    }
}

TEST_F(Connect, PathsTellWhoDidNotAnswer)
{
    const fd client = open_socket();
    hurry(client, 1);
    ASSERT_EQ(outcome(connect_to(client, nowhere())), "ETIMEDOUT");
    const auto got = paths(client);
    ASSERT_EQ(got.size(), nowhere().size());
    for (const path &p : got) {
        EXPECT_EQ(p.state, BUNDLE_PATH_TIMED_OUT);
        EXPECT_EQ(p.error, ETIMEDOUT);
    }
}

TEST_F(Connect, PathsTellWhoRefused)
{
    const fd client = open_socket();
    ASSERT_EQ(outcome(connect_to(client, servers)), "ECONNREFUSED");
    const auto got = paths(client);
    ASSERT_EQ(got.size(), servers.size());
    int refused = 0;
    for (std::size_t i = 0; i < got.size(); i++) {
        EXPECT_EQ(got[i].addr, servers[i]);
        EXPECT_NE(got[i].state, BUNDLE_PATH_WON);
        EXPECT_NE(got[i].state, BUNDLE_PATH_CONFIRMED);
        if (got[i].state == BUNDLE_PATH_REFUSED) {
            refused++;
            EXPECT_EQ(got[i].error, ECONNREFUSED);
        }
    }
    EXPECT_GE(refused, 1);
}

TEST_F(Connect, PathsAreTrimmedToWholeEntries)
{
    const auto c = established();
    for (const std::size_t size : {0, 31, 32, 63, 64, 95, 96, 128}) {
        std::array<std::byte, 256> room;
        room.fill(std::byte{0xa5});
        auto length = static_cast<socklen_t>(size);
        const std::string got =
            outcome(getsockopt(c.client, SOL_BUNDLE, BUNDLE_PATHS, room.data(), &length));
        if (size < sizeof(bundle_path)) {
            EXPECT_EQ(got, "EINVAL") << size;
            continue;
        }
        EXPECT_EQ(got, "ok") << size;
        EXPECT_EQ(length, std::min<std::size_t>(size / 32, 3) * 32) << size;
        EXPECT_EQ(room[length], std::byte{0xa5}) << size;
    }
}

} // namespace
