// SPDX-License-Identifier: GPL-2.0
// connect(2) with a bundle on one-to-one sockets: what it sets up, how it waits, what it refuses.
#include "connect.hpp"

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include <signal.h>
#include <sys/time.h>

namespace {

using namespace sctp;

double seconds_since(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int socket_error(int s)
{
    return get_option(s, SOL_SOCKET, SO_ERROR);
}

int set_send_timeout(int s, int milliseconds)
{
    timeval limit{};
    limit.tv_sec = milliseconds / 1000;
    limit.tv_usec = milliseconds % 1000 * 1000;
    return set_option(s, SOL_SOCKET, SO_SNDTIMEO, limit);
}

std::atomic<int> signals_seen;

// SIGALRM once, after @milliseconds.
void signal_soon(int milliseconds, int flags)
{
    struct sigaction action {};
    action.sa_handler = [](int) { signals_seen++; };
    action.sa_flags = flags;
    sigaction(SIGALRM, &action, nullptr);
    signals_seen = 0;
    itimerval when{};
    when.it_value.tv_usec = milliseconds * 1000;
    setitimer(ITIMER_REAL, &when, nullptr);
}

// --- What is set up ------------------------------------------------------------------------------

TEST_F(Connect, OneCallSetsUpEveryPathOfTheBundle)
{
    const auto c = established();
    EXPECT_EQ(peer_set(c.client), sorted(servers));
    EXPECT_EQ(local_set(c.client), sorted(clients));
    EXPECT_EQ(peer_set(c.server), sorted(clients));
    EXPECT_EQ(local_set(c.server), sorted(servers));
    EXPECT_EQ(sctp_peer_set(c.client), sorted(servers));
    EXPECT_EQ(sctp_peer_set(c.server), sorted(clients));

    const auto here = proc_assoc(client_port, port);
    EXPECT_EQ(here.count, 1);
    EXPECT_EQ(here.local, sorted(clients));
    EXPECT_EQ(here.peer, sorted(servers));
    const auto there = hosts().on_server([&] { return proc_assoc(port, client_port); });
    EXPECT_EQ(there.count, 1);
    EXPECT_EQ(there.local, sorted(servers));
    EXPECT_EQ(there.peer, sorted(clients));
}

TEST_F(Connect, AnUnboundClientUsesItsAddressesOfTheSameScopes)
{
    const auto c = established(false);
    const std::uint16_t chosen = sockname(c.client).port();
    EXPECT_NE(chosen, 0);
    EXPECT_EQ(peer_set(c.client), sorted(servers));
    // Everything that this host has: no member is a link-local one or lo's.
    const addresses expected =
        two_hosts::client_addrs(chosen) +
        addrs({"10.0.3.100", "fd00:4::100", "10.0.9.1", "fd00:9::1"}, chosen);
    EXPECT_EQ(peer_set(c.server), sorted(expected));
}

TEST_F(Connect, CarriesDataBothWays)
{
    const auto c = established();
    std::array<char, 16> room{};
    ASSERT_EQ(send(c.client, "ping", 4, 0), 4);
    ASSERT_TRUE(net::wait_for(c.server, POLLIN));
    EXPECT_EQ(recv(c.server, room.data(), room.size(), 0), 4);
    ASSERT_EQ(send(c.server, "pong", 4, 0), 4);
    ASSERT_TRUE(net::wait_for(c.client, POLLIN));
    EXPECT_EQ(recv(c.client, room.data(), room.size(), 0), 4);
    EXPECT_EQ(std::string(room.data()), "pong");
}

TEST_F(Connect, TheLongestBundlesConnect)
{
    for (const addresses &all : {range("10.0.3.", many, port), range("fd00:4::", many, port),
                                 range("10.0.3.", 32, port) + range("fd00:4::", 32, port)}) {
        const fd listener = hosts().listener(all), client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, all)), "ok");
        EXPECT_EQ(peer_set(client), sorted(all));
        const fd server = accept(listener);
        EXPECT_EQ(local_set(server), sorted(all));
    }
}

TEST_F(Connect, LengthsAroundEveryLimitOfTheSocketLayer)
{
    for (const int n : {1, 4, 5, 6, 63, 64}) {
        const addresses all = range("10.0.3.", n, port);
        bytes b = raw(socket_address(all));
        const std::size_t exact = b.size();
        b.resize(4096, std::byte{0xff});
        const fd listener = hosts().listener(all);
        for (const std::size_t length : {exact - 1, exact, std::size_t{2056}, std::size_t{4096}}) {
            const fd client = open_socket();
            const std::string got = outcome(connect_to(client, std::span(b).first(length)));
            EXPECT_EQ(got, length < exact ? "EINVAL" : "ok") << exact << " in " << length;
            if (got == "ok") {
                EXPECT_EQ(peer_set(client), sorted(all));
                accept(listener);
            }
        }
    }
}

TEST_F(Connect, DuplicatesAndMappedAddressesCountOnce)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    ASSERT_EQ(outcome(connect_to(client, addrs({"::ffff:10.0.1.2", "10.0.2.2", "10.0.1.2",
                                                "fd00:3::2", "::ffff:10.0.2.2", "fd00:3::2"},
                                               port))),
              "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
    EXPECT_EQ(peername(client).family(), AF_INET);
}

TEST_F(Connect, PlainAddressesStillConnect)
{
    const fd listener = hosts().listener(servers);
    for (const address &a : servers) {
        const fd client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, a)), "ok") << testing::PrintToString(a);
        EXPECT_EQ(peername(client), a);
        EXPECT_EQ(peer_set(client), sorted(servers)) << "the server's INIT ACK lists them all";
        accept(listener);
    }
}

TEST_F(Connect, OrdinarySctpSocketsTakeBundles)
{
    const fd listener = hosts().listener(servers, SOCK_STREAM, AF_INET6);
    const fd v6 = open_socket(SOCK_STREAM, AF_INET6);
    ASSERT_EQ(outcome(connect_to(v6, servers)), "ok");
    EXPECT_EQ(sctp_peer_set(v6), sorted(servers));
    EXPECT_EQ(peername(v6).plain(), servers[0]);
    const fd server = accept(listener);
    EXPECT_EQ(sctp_local_set(server), sorted(servers));

    const addresses v4 = range("10.0.3.", many, next_port());
    const fd v4_listener = hosts().listener(v4, SOCK_STREAM, AF_INET);
    for (const int n : {1, 5, 6, 64}) {
        const fd client = open_socket(SOCK_STREAM, AF_INET);
        ASSERT_EQ(outcome(connect_to(client, addresses(v4.begin(), v4.begin() + n))), "ok") << n;
        accept(v4_listener);
    }
}

TEST_F(Connect, OrdinaryInetSocketsRefuseIpv6Members)
{
    const fd listener = hosts().listener(servers);
    const fd client = open_socket(SOCK_STREAM, AF_INET);
    EXPECT_EQ(outcome(connect_to(client, servers)), "EAFNOSUPPORT");
    EXPECT_EQ(outcome(connect_to(client, addrs({"fd00:3::2"}, port))), "EAFNOSUPPORT");
    EXPECT_EQ(outcome(connect_to(client, addrs({"10.0.1.2", "10.0.2.2"}, port))), "ok");
}

// --- Scopes --------------------------------------------------------------------------------------

// Connects to @members in every order; each time the peer's addresses must be the same.
void every_order(addresses members, const fd &listener, const addresses &expected_of_client)
{
    const addresses all = sorted(members);
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), 0U);
    do {
        addresses a;
        std::string text;
        for (const std::size_t i : order) {
            a.push_back(members[i]);
            text += " " + members[i].to_string();
        }
        const fd client = open_socket();
        ASSERT_EQ(outcome(set_send_timeout(client, 2000)), "ok");
        const std::string got = outcome(connect_to(client, a));
        EXPECT_EQ(got, "ok") << text;
        if (got != "ok")
            continue;
        EXPECT_EQ(peer_set(client), all) << text;
        const fd server = accept(listener);
        const std::uint16_t chosen = sockname(client).port();
        addresses expected;
        for (const address &e : expected_of_client)
            expected.push_back(e.with_port(chosen));
        EXPECT_EQ(unscoped(peer_set(server)), unscoped(expected)) << text;
    } while (!testing::Test::HasFailure() && std::next_permutation(order.begin(), order.end()));
}

// Link-local, private, unique-local and global addresses, over one link of two hosts of their own.
struct all_scopes {
    all_scopes()
    {
        net::ip("link add x0 type veth peer name x0 netns " + server.name() + "\n" +
                net::link_up("x0"));
        server.in(client, [] {
            net::ip(net::link_up("x0") +
                    "addr add fe80::2/64 dev x0 nodad\n"
                    "addr add 10.5.0.2/24 dev x0\naddr add fd00:5::2/64 dev x0 nodad\n"
                    "addr add 2001:db8:5::2/64 dev x0 nodad\n");
        });
        two_hosts::wait_running({"x0"});
        net::ip("addr add fe80::1/64 dev x0 nodad\naddr add 10.5.0.1/24 dev x0\n"
                "addr add fd00:5::1/64 dev x0 nodad\naddr add 2001:db8:5::1/64 dev x0 nodad\n");
    }

    fd listener(std::initializer_list<const char *> names, std::uint16_t port, int family) const
    {
        return server.in(client, [&] {
            fd s = open_socket(SOCK_STREAM, family);
            EXPECT_EQ(outcome(bind_to(s, addrs(names, port))), "ok");
            EXPECT_EQ(outcome(listen(s, 8)), "ok");
            return s;
        });
    }

    net::netns server, client;
};

TEST_F(Connect, MembersOfAllScopesConnectInEveryOrder)
{
    const all_scopes two;
    const auto names = {"fe80::2%x0", "10.5.0.2", "fd00:5::2", "2001:db8:5::2"};
    every_order(addrs(names, port), two.listener(names, port, AF_BUNDLE),
                addrs({"fe80::1", "10.5.0.1", "fd00:5::1", "2001:db8:5::1"}, 0));
}

TEST_F(Connect, WhoComesFromOutsideNamesNoAddressesInside)
{
    const all_scopes two;
    // The client lists all that it is bound to. Unique local addresses are global to SCTP.
    const net::sysctl all("net/sctp/addr_scope_policy", "0");
    using names = std::initializer_list<const char *>;
    const struct {
        names server;
        int family;
        names accepted;
    } cases[] = {
        {{"2001:db8:5::2"}, AF_BUNDLE, {"2001:db8:5::1", "fd00:5::1"}},
        {{"2001:db8:5::2", "::1"}, AF_BUNDLE, {"2001:db8:5::1", "fd00:5::1"}},
        {{"2001:db8:5::2", "10.5.0.2"}, AF_BUNDLE, {"2001:db8:5::1", "fd00:5::1", "10.5.0.1"}},
        // The source alone counts.
        {{"2001:db8:5::2", "10.5.0.2"}, AF_INET6, {"2001:db8:5::1", "fd00:5::1"}},
    };
    for (const auto &one : cases) {
        const fd listener = two.listener(one.server, port, one.family), client = open_socket();
        const auto own = {"2001:db8:5::1", "fd00:5::1", "10.5.0.1", "::1"};
        ASSERT_EQ(outcome(bind_to(client, addrs(own, client_port))), "ok");
        ASSERT_EQ(outcome(connect_to(client, addrs({"2001:db8:5::2"}, port))), "ok");
        EXPECT_EQ(unscoped(sctp_peer_set(accept(listener))),
                  sorted(addrs(one.accepted, client_port)));
        port = next_port();
        client_port = next_port();
    }
}

TEST_F(Connect, LoopbackMembersConnectInEveryOrder)
{
    const addresses own = addrs({"127.0.0.1", "::1", "10.0.1.1", "fd00:3::1"}, port);
    const fd listener = open_socket();
    ASSERT_EQ(outcome(bind_to(listener, own)), "ok");
    ASSERT_EQ(outcome(listen(listener, 32)), "ok");
    every_order(own, listener,
                addrs({"127.0.0.1", "::1", "10.0.1.1", "10.0.2.1", "fd00:3::1", "10.0.3.100",
                       "fd00:4::100", "10.0.9.1", "fd00:9::1"},
                      0));
}

// --- States of a connect -------------------------------------------------------------------------

TEST_F(Connect, NonBlockingConnectsFinishInTheBackground)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    ASSERT_TRUE(net::wait_for(client, POLLOUT) & POLLOUT);
    EXPECT_EQ(socket_error(client), 0);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok") << "the first one since it succeeded";
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, TheOutcomeIsOwedAfterEalreadyAndAfterASignalToo)
{
    const fd listener = hosts().listener(servers);
    const netem slow("delay 150ms");
    const auto expect_outcome = [this](int client) {
        ASSERT_TRUE(net::wait_for(client, POLLOUT) & POLLOUT);
        EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
        EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    };
    const fd busy = open_socket();
    nonblocking(busy);
    EXPECT_EQ(outcome(connect_to(busy, servers)), "EINPROGRESS");
    EXPECT_EQ(outcome(connect_to(busy, servers)), "EALREADY");
    expect_outcome(busy);
    for (const int limit : {0, 5000}) {
        const fd client = open_socket();
        ASSERT_EQ(outcome(set_send_timeout(client, limit)), "ok");
        signal_soon(50, 0);
        EXPECT_EQ(outcome(connect_to(client, servers)), "EINTR") << limit;
        expect_outcome(client);
    }
}

TEST_F(Connect, AnAcceptedSocketOwesNoOutcomeOfItsListener)
{
    const fd listener = open_socket(), client = open_socket();
    nonblocking(listener);
    ASSERT_EQ(outcome(connect_to(listener, servers)), "EINPROGRESS");
    ASSERT_TRUE(net::wait_for(listener, POLLOUT));
    ASSERT_EQ(socket_error(listener), ECONNREFUSED);
    ASSERT_EQ(outcome(listen(listener, 8)), "ok");
    const address own = addr("10.0.1.1", sockname(listener).port());
    ASSERT_EQ(outcome(connect_to(client, addresses{own})), "ok");
    EXPECT_EQ(outcome(connect_to(accept(listener), servers)), "EISCONN");
}

TEST_F(Connect, AConnectedSocketSaysSo)
{
    const auto c = established();
    EXPECT_EQ(outcome(connect_to(c.client, servers)), "EISCONN");
    EXPECT_EQ(outcome(connect_to(c.client, servers[0])), "EISCONN");
    EXPECT_EQ(outcome(connect_to(c.server, clients)), "EISCONN");
    EXPECT_EQ(peer_set(c.client), sorted(servers));
    EXPECT_EQ(outcome(connect_to(c.listener, clients)), "EISCONN");
}

TEST_F(Connect, WhileOneIsUnderWayAnotherIsEalready)
{
    const fd client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, nowhere())), "EINPROGRESS");
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EALREADY");
    EXPECT_EQ(outcome(connect_to(client, servers)), "EALREADY");
    sockaddr_storage name;
    socklen_t length = sizeof(name);
    EXPECT_EQ(outcome(getpeername(client, reinterpret_cast<sockaddr *>(&name), &length)),
              "ENOTCONN");
    alignas(8) std::array<std::byte, bundle::max_length> room;
    length = room.size();
    EXPECT_EQ(outcome(getsockopt(client, SOL_BUNDLE, BUNDLE_PEER_ADDRS, room.data(), &length)),
              "ENOTCONN");
    EXPECT_EQ(socket_error(client), 0);
}

TEST_F(Connect, ASendTimeoutBoundsTheCall)
{
    const fd client = open_socket();
    ASSERT_EQ(outcome(set_send_timeout(client, 100)), "ok");
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EINPROGRESS");
    EXPECT_GE(seconds_since(start), 0.09);
    EXPECT_LT(seconds_since(start), 3);
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EALREADY") << "it is still under way";
}

TEST_F(Connect, AFlagOfTheFileMayChangeWhileOneIsUnderWay)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 50ms");
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    nonblocking(client, false);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok") << "a blocking one waits on";
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
}

TEST_F(Connect, ASignalInterruptsAndAnotherCallWaitsOn)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 150ms");
    signal_soon(50, 0);
    EXPECT_EQ(outcome(connect_to(client, servers)), "EINTR");
    EXPECT_EQ(signals_seen, 1);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, ASignalThatRestartsCallsIsNotNoticed)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 150ms");
    signal_soon(50, SA_RESTART);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(signals_seen, 1);
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, ASignalWithASendTimeoutInterruptsEvenIfItRestartsCalls)
{
    // As TCP does: a restarted call would wait the whole time again.
    const fd client = open_socket();
    ASSERT_EQ(outcome(set_send_timeout(client, 5000)), "ok");
    signal_soon(50, SA_RESTART);
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EINTR");
    EXPECT_EQ(signals_seen, 1);
}

TEST_F(Connect, NobodyListeningIsEconnrefused)
{
    const fd client = open_socket();
    EXPECT_EQ(outcome(connect_to(client, servers)), "ECONNREFUSED");
    EXPECT_EQ(socket_error(client), 0) << "the call has told";
    EXPECT_EQ(proc_assoc(sockname(client).port(), port).count, 0);
    // The socket is good for another attempt.
    const fd listener = hosts().listener(servers);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, ARefusalReachesSocketErrorOfANonBlockingConnect)
{
    const fd client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    EXPECT_TRUE(net::wait_for(client, POLLOUT) & (POLLERR | POLLHUP));
    EXPECT_EQ(socket_error(client), ECONNREFUSED);
}

TEST_F(Connect, ARefusalReachesTheNextConnectIfNobodyReadSocketError)
{
    const fd client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    EXPECT_TRUE(net::wait_for(client, POLLOUT) & (POLLERR | POLLHUP));
    EXPECT_EQ(outcome(connect_to(client, servers)), "ECONNREFUSED");
}

TEST_F(Connect, OverlappingConnectsOfTwoSocketsBothSucceed)
{
    const fd listener = hosts().listener(servers), a = open_socket(), b = open_socket();
    nonblocking(a);
    nonblocking(b);
    const addresses reversed(servers.rbegin(), servers.rend());
    ASSERT_EQ(outcome(connect_to(a, servers)), "EINPROGRESS");
    ASSERT_EQ(outcome(connect_to(b, reversed)), "EINPROGRESS");
    for (const int s : {int{a}, int{b}}) {
        ASSERT_TRUE(net::wait_for(s, POLLOUT));
        EXPECT_EQ(socket_error(s), 0);
        EXPECT_EQ(peer_set(s), sorted(servers));
    }
}

TEST_F(Connect, OverlappingConnectsOfTwoThreadsBothSucceed)
{
    const fd listener = hosts().listener(servers);
    constexpr int rounds = 5;
    std::atomic<int> connected = 0;
    const auto connect_all = [&] {
        for (int i = 0; i < rounds; i++) {
            const fd s = open_socket();
            set_send_timeout(s, 5000);
            connected += connect_to(s, servers) == 0;
        }
    };
    std::thread other(connect_all);
    connect_all();
    other.join();
    EXPECT_EQ(connected, 2 * rounds);
}

TEST_F(Connect, TwoThreadsOnOneSocketMakeOneAssociation)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 50ms");
    ASSERT_EQ(outcome(set_send_timeout(client, 5000)), "ok");
    std::string first, second;
    std::thread other([&] { first = outcome(connect_to(client, servers)); });
    second = outcome(connect_to(client, servers));
    other.join();
    for (const std::string &got : {first, second})
        EXPECT_TRUE(got == "ok" || got == "EISCONN" || got == "EALREADY") << got;
    EXPECT_TRUE(first == "ok" || second == "ok");
    EXPECT_EQ(proc_assoc(sockname(client).port(), port).count, 1);
    accept(listener);
    EXPECT_FALSE(net::wait_for(listener, POLLIN, 100)) << "a second association";
}

TEST_F(Connect, ClosingWhileOneIsUnderWayLeavesNothing)
{
    for (int i = 0; i < 5; i++) {
        const fd client = open_socket();
        ASSERT_EQ(outcome(bind_to(client, addrs({"10.0.9.1", "fd00:9::1"}, client_port))), "ok");
        nonblocking(client);
        ASSERT_EQ(outcome(connect_to(client, nowhere())), "EINPROGRESS");
    }
    EXPECT_TRUE(net::eventually([&] { return proc_assoc(client_port, port).count == 0; }));
    EXPECT_TRUE(net::eventually([&] { return bool{port_free(client_port)}; }));
}

// --- Errors --------------------------------------------------------------------------------------

TEST_F(Connect, RefusesWhatIsMalformedAndChangesNothing)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    auto inputs = malformed(servers[0], servers[1]);
    inputs.push_back({"no bytes", raw(socket_address(servers)), "EINVAL", 0});
    inputs.push_back({"one byte", raw(socket_address(servers)), "EINVAL", 1});
    for (const auto &input : inputs) {
        EXPECT_EQ(outcome(connect_to(client, input.data, input.addrlen)), input.error)
            << input.what;
        EXPECT_TRUE(unbound(client)) << input.what;
    }
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, RefusesWhatIsMalformedOnOrdinarySctpSockets)
{
    const fd listener = hosts().listener(servers);
    for (const int family : {AF_INET, AF_INET6}) {
        const fd client = open_socket(SOCK_STREAM, family);
        for (const auto &input : malformed(servers[0], servers[1]))
            EXPECT_EQ(outcome(connect_to(client, input.data, input.addrlen)), input.error)
                << input.what;
        EXPECT_EQ(outcome(connect_to(client, addrs({"10.0.1.2", "10.0.2.2"}, port))), "ok");
    }
}

TEST_F(Connect, UnusableMembersAreEinval)
{
    const fd client = open_socket();
    for (const char *bad : {"224.0.0.1", "255.255.255.255", "ff02::1%v1", "fe80::2"})
        for (const addresses &a :
             {servers + addrs({bad}, port), addrs({bad}, port) + servers, addrs({bad}, port)}) {
            EXPECT_EQ(outcome(connect_to(client, a)), "EINVAL") << bad;
            EXPECT_TRUE(unbound(client)) << bad;
        }
}

TEST_F(Connect, UnreadableMemoryIsEfaultAndChangesNothing)
{
    const net::guarded_memory memory;
    const addresses all = range("10.0.3.", many, port);
    const fd listener = hosts().listener(all), client = open_socket();
    const bytes b = raw(socket_address(all));
    const auto length = static_cast<socklen_t>(b.size());
    for (const std::size_t readable : {std::size_t{0}, std::size_t{2}, std::size_t{8},
                                       std::size_t{128}, std::size_t{129}, b.size() - 1}) {
        std::byte *at = memory.last(readable);
        std::copy_n(b.begin(), readable, at);
        EXPECT_EQ(outcome(connect_to(client, std::span(at, readable), length)), "EFAULT")
            << readable;
        EXPECT_TRUE(unbound(client));
    }
    std::byte *at = memory.last(bundle::max_length);
    std::copy(b.begin(), b.end(), at);
    EXPECT_EQ(outcome(connect_to(client, std::span(at, b.size()), 0x7fffffff)), "ok");
    EXPECT_EQ(peer_set(client), sorted(all));
}

TEST_F(Connect, UnspecIsNotSupported)
{
    const fd client = open_socket();
    sockaddr nothing{};
    nothing.sa_family = AF_UNSPEC;
    EXPECT_EQ(outcome(::connect(client, &nothing, sizeof(nothing))), "EOPNOTSUPP");
}

TEST_F(Connect, OtherFamiliesKeepTheirLimit)
{
    bytes b(4096);
    for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
        put(b, 0, static_cast<std::size_t>(family));
        EXPECT_EQ(outcome(connect_to(open_socket(), std::span(b).first(129))), "EINVAL") << family;
        EXPECT_EQ(outcome(connect_to(open_socket(SOCK_STREAM, AF_INET6), b)), "EINVAL") << family;
    }
    const addresses six = range("10.0.3.", 6, port);
    for (const int family : {AF_INET, AF_INET6}) {
        const fd tcp = open_socket(SOCK_STREAM, family, 0),
                 udp = open_socket(SOCK_DGRAM, family, 0);
        EXPECT_EQ(outcome(connect_to(tcp, servers)), "EAFNOSUPPORT");
        EXPECT_EQ(outcome(connect_to(udp, servers)), "EAFNOSUPPORT");
        EXPECT_EQ(outcome(connect_to(tcp, six)), "EINVAL");
        EXPECT_EQ(outcome(connect_to(udp, six)), "EINVAL");
        EXPECT_EQ(outcome(sendto(udp, six)), "EINVAL");
    }
}

} // namespace
