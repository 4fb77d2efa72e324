// SPDX-License-Identifier: GPL-2.0
// How an association with a bundle is set up: at once, however many of its addresses are dead, and
// whatever kills them. Times are measured: run it in a guest in virtual time.
#include "routed.hpp"

#include <sys/time.h>

namespace {

using namespace sctp;

addresses first(const addresses &a, int n)
{
    return {a.begin(), a.begin() + n};
}

// --- Silence -------------------------------------------------------------------------------------

TEST_F(Setup, HoweverManyAddressesAreSilentItTakesAsLongAsWithNone)
{
    for (const int n : {2, 3, 8, many}) {
        port = next_port();
        const addresses all = server(n);
        const fd listening = listener(all);
        const auto alive = timed_connect(all);
        ASSERT_EQ(alive.result, "ok") << n;
        EXPECT_LT(alive.seconds, 3 * round_trip) << n;
        for (int k = 1; k < n; k += n == many ? 9 : 1) {
            const dead silent(hosts(), first(all, k));
            const auto got = timed_connect(all);
            EXPECT_EQ(got.result, "ok") << k << " of " << n;
            EXPECT_LE(got.seconds, alive.seconds * 1.05) << k << " of " << n;
        }
    }
}

TEST_F(Setup, WhicheverAddressLivesIsThePeer)
{
    const addresses all = server(8);
    const fd listening = listener(all);
    for (const address &alive : all) {
        addresses silent = all;
        std::erase(silent, alive);
        const dead others(hosts(), silent);
        const auto got = timed_connect(all);
        ASSERT_EQ(got.result, "ok") << alive.to_string();
        EXPECT_LT(got.seconds, 3 * round_trip) << alive.to_string();
        EXPECT_EQ(peername(got.socket), alive);
        sctp_status status = status_of(got.socket);
        EXPECT_NEAR(status.sstat_primary.spinfo_srtt, round_trip * 1000, 2)
            << "the INIT's round trip is the first sample";
        EXPECT_EQ(
            reinterpret_cast<sockaddr_in &>(status.sstat_primary.spinfo_address).sin_addr.s_addr,
            inet_addr(alive.to_string().c_str()))
            << "the winner is the primary path";
    }
}

TEST_F(Setup, BothFamiliesAreTriedAtOnce)
{
    const addresses v4 = server(2), v6 = range("fd01::", 2, port);
    const fd listening = listener(v4 + v6);
    const dead silent(hosts(), v4);
    const auto got = timed_connect(v4 + v6);
    EXPECT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 3 * round_trip);
    EXPECT_EQ(sctp_peer_set(got.socket), sorted(v4 + v6)) << "whatever the winner's scope";
}

TEST_F(Setup, AllSilentIsEtimedoutAfterTheBound)
{
    const addresses all = server(3);
    const dead silent(hosts(), all);
    const long before = counted("BundleParallelInits");
    const auto got = timed_connect(all);
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 4.0, 0.1);
    EXPECT_EQ(counted("BundleParallelInits") - before, 3 * 3 - 1) << "rounds at 0, 1 and 3 s";
    for (const path &p : paths(got.socket)) {
        EXPECT_EQ(p.state, BUNDLE_PATH_TIMED_OUT);
        EXPECT_EQ(p.error, ETIMEDOUT);
    }
    EXPECT_TRUE(associations_become(0, hosts().client));
}

TEST_F(Setup, OneAddressHasTheBoundToo)
{
    const dead silent(hosts(), server(1));
    const auto got = timed_connect(server(1));
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 4.0, 0.1);
    fd plain = open_socket();
    const double start = now();
    EXPECT_EQ(outcome(connect_to(plain, server(1).front())), "ETIMEDOUT");
    EXPECT_NEAR(now() - start, 4.0, 0.1);
}

TEST_F(Setup, TheBoundIsASysctl)
{
    const net::sysctl bound("net/sctp/bundle_connect_timeout", "500");
    const dead silent(hosts(), server(2));
    const auto got = timed_connect(server(2));
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 0.5, 0.05);
}

fd socket_with_attempts(std::uint16_t attempts, std::uint16_t longest = 0)
{
    fd result = open_socket();
    sctp_initmsg init{};
    init.sinit_max_attempts = attempts;
    init.sinit_max_init_timeo = longest;
    if (set_option(result, IPPROTO_SCTP, SCTP_INITMSG, init) < 0)
        net::fail("SCTP_INITMSG");
    return result;
}

TEST_F(Setup, WhatTheProgramSaysAboutAttemptsReplacesTheBound)
{
    const addresses all = server(2);
    const dead silent(hosts(), all);
    const long before = counted("BundleParallelInits");
    const auto got = timed_connect(all, socket_with_attempts(3));
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 1 + 2 + 4 + 8, 1); // timers are coarse
    EXPECT_EQ(counted("BundleParallelInits") - before, 2 * (1 + 3) - 1)
        << "n * (1 + Max.Init.Retransmits) INITs, of which the first isn't counted";
    const auto limited = timed_connect(all, socket_with_attempts(3, 1500));
    EXPECT_EQ(limited.result, "ETIMEDOUT");
    EXPECT_NEAR(limited.seconds, 1 + 1.5 + 1.5 + 1.5, 0.5);
}

TEST_F(Setup, OrdinarySocketsHaveNoBoundButAllAddressesAtOnce)
{
    const addresses all = server(3);
    const fd listening = listener(all);
    {
        const dead silent(hosts(), first(all, 2));
        const auto got = timed_connect(all, open_socket(SOCK_STREAM, AF_INET));
        EXPECT_EQ(got.result, "ok");
        EXPECT_LT(got.seconds, 3 * round_trip);
    }
    const dead silent(hosts(), all);
    const auto late = timed_connect(all, [] {
        fd socket = open_socket(SOCK_STREAM, AF_INET);
        const timeval limit{10, 0};
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        return socket;
    }());
    EXPECT_EQ(late.result, "EINPROGRESS");
    EXPECT_NEAR(late.seconds, 10, 0.5);
}

TEST_F(Setup, LossOfThirtyPercentIsMadeUpFor)
{
    const addresses all = server(8);
    const fd listening = listener(all);
    const filter lossy(hosts().router, hosts().client,
                       "meta l4proto sctp numgen random mod 100 < 30 drop");
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(timed_connect(all).result, "ok");
}

// --- Refusals ------------------------------------------------------------------------------------

TEST_F(Setup, OneThatRefusesTakesNobodyWithIt)
{
    const addresses all = server(4);
    const fd listening = listener({all[2], all[3]});
    const auto got = timed_connect(all);
    EXPECT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 3 * round_trip);
}

TEST_F(Setup, AllRefusedIsEconnrefusedAtOnce)
{
    for (const int n : {2, 8, many}) {
        const auto got = timed_connect(server(n));
        EXPECT_EQ(got.result, "ECONNREFUSED") << n;
        EXPECT_LT(got.seconds, 1.5 * round_trip) << n;
        for (const path &p : paths(got.socket)) {
            EXPECT_EQ(p.state, BUNDLE_PATH_REFUSED);
            EXPECT_EQ(p.error, ECONNREFUSED);
        }
    }
}

TEST_F(Setup, TheRefusalsOfSomeWaitForTheOthersToAnswer)
{
    // The live one answers after the refusals.
    const addresses near = other(2), far = server(1);
    const fd listening = listener(far);
    const filter slow(hosts().router, hosts().client,
                      "ip saddr 10.1.0.1 meta l4proto sctp "
                      "sctp chunk init-ack exists numgen inc mod "
                      "2 0 drop");
    const long before = counted("BundleParallelInits");
    const auto got = timed_connect(near + far);
    EXPECT_EQ(got.result, "ok");
    EXPECT_NEAR(got.seconds, 1 + 2 * round_trip, 0.1) << "the second INIT, after T1-init";
    EXPECT_EQ(counted("BundleParallelInits") - before, 3 - 1 + 1) << "to the live one alone";
}

struct icmp_kind {
    const char *name;
    int error;
};
constexpr icmp_kind icmp_kinds[] = {
    {"net-unreachable", ENETUNREACH},   {"host-unreachable", EHOSTUNREACH},
    {"prot-unreachable", ENOPROTOOPT},  {"port-unreachable", ECONNREFUSED},
    {"net-prohibited", ENETUNREACH},    {"host-prohibited", EHOSTUNREACH},
    {"admin-prohibited", EHOSTUNREACH},
};
constexpr icmp_kind icmpv6_kinds[] = {
    {"no-route", ENETUNREACH},
    {"admin-prohibited", EACCES},
    {"addr-unreachable", EHOSTUNREACH},
    {"port-unreachable", ECONNREFUSED},
};

std::string rejected(const address &to, const char *kind)
{
    const bool v6 = to.family() == AF_INET6;
    return std::string(v6 ? "ip6" : "ip") + " daddr " + to.to_string() +
           " meta l4proto sctp reject with icmp" + (v6 ? "v6" : "") + " type " + kind + "\n";
}

TEST_F(Setup, IcmpOfEveryKindFailsItsAddressAlone)
{
    const auto fails_alone = [&](const addresses &all, const icmp_kind &kind) {
        const fd listening = listener({all[1]});
        const filter rejecting(hosts().router, hosts().client, rejected(all[0], kind.name));
        const auto got = timed_connect(all);
        EXPECT_EQ(got.result, "ok") << kind.name;
        EXPECT_LT(got.seconds, 3 * round_trip) << kind.name;
        EXPECT_EQ(paths(got.socket)[0].state,
                  kind.error == ECONNREFUSED ? BUNDLE_PATH_REFUSED : BUNDLE_PATH_UNREACHABLE)
            << kind.name;
        EXPECT_EQ(paths(got.socket)[0].error, kind.error) << kind.name;
        port = next_port();
    };
    for (const icmp_kind &kind : icmp_kinds)
        fails_alone(server(2), kind);
    for (const icmp_kind &kind : icmpv6_kinds)
        fails_alone(range("fd01::", 2, port), kind);
}

TEST_F(Setup, IcmpFromAllIsTheErrorAtOnce)
{
    const auto fails = [&](const addresses &all, const icmp_kind &kind) {
        std::string rules;
        for (const address &a : all)
            rules += rejected(a, kind.name);
        const filter rejecting(hosts().router, hosts().client, rules);
        const auto got = timed_connect(all);
        EXPECT_EQ(got.result, strerrorname_np(kind.error)) << kind.name;
        EXPECT_LT(got.seconds, 1.5 * round_trip) << kind.name;
        for (const path &p : paths(got.socket))
            EXPECT_EQ(p.error, kind.error) << kind.name;
    };
    for (const icmp_kind &kind : icmp_kinds)
        fails(server(3), kind);
    for (const icmp_kind &kind : icmpv6_kinds)
        fails(range("fd01::", 3, port), kind);
}

TEST_F(Setup, OfSeveralErrorsTheOneThatTellsMostCounts)
{
    const addresses all = server(3);
    const filter rejecting(hosts().router, hosts().client,
                           rejected(all[0], "net-unreachable") +
                               rejected(all[1], "host-unreachable"));
    EXPECT_EQ(timed_connect(all).result, "ECONNREFUSED");
    EXPECT_EQ(timed_connect(first(all, 2)).result, "EHOSTUNREACH");
}

TEST_F(Setup, AnAddressWithoutARouteFailsAlone)
{
    const addresses all = addrs({"10.9.0.1", "10.1.0.2", "10.1.0.1"}, port);
    const net::sysctl burst("net/sctp/bundle_init_burst", "1");
    const fd listening = listener(server(1));
    const dead silent(hosts(), {all[1]});
    net::ip("route add unreachable 10.9.0.0/16\n");
    const long before = counted("BundleAddrsFailed");
    const auto got = timed_connect(all);
    EXPECT_EQ(counted("BundleAddrsFailed") - before, 1) << "once, though INITs were held back";
    const auto none = timed_connect(addrs({"10.9.0.1", "10.9.0.2"}, port));
    const auto next = timed_connect(hosts_of({{all[0]}, {all[2]}}));
    net::ip("route del unreachable 10.9.0.0/16\n");
    EXPECT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 3 * round_trip);
    EXPECT_EQ(none.result, "ENETUNREACH");
    EXPECT_LT(none.seconds, 0.005);
    EXPECT_EQ(next.result, "ok") << "a host without a route makes room for the next";
    EXPECT_LT(next.seconds, 3 * round_trip);
    EXPECT_TRUE(associations_become(2, hosts().client)) << "those that are connected";
}

TEST_F(Setup, WithoutASourceAddressItFails)
{
    net::ip("addr add 10.0.0.77/24 dev r\n");
    fd socket = open_socket();
    ASSERT_EQ(bind_to(socket, addrs({"10.0.0.77"}, next_port())), 0);
    net::ip("addr del 10.0.0.77/24 dev r\n");
    const auto got = timed_connect(server(2), std::move(socket));
    EXPECT_EQ(got.result, "ENETUNREACH");
    EXPECT_LT(got.seconds, 0.005);
}

// --- Winners that don't carry it through ---------------------------------------------------------

TEST_F(Setup, ACookieEchoThatIsLostGoesToTheOtherAddresses)
{
    const addresses all = server(3);
    const fd listening = listener(all);
    const filter narrow(hosts().router, hosts().client,
                        "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk cookie-echo exists drop");
    const auto got = timed_connect(all);
    EXPECT_EQ(got.result, "ok");
    EXPECT_NEAR(got.seconds, 1 + 2 * round_trip, 0.1) << "after one T1-cookie period";
}

TEST_F(Setup, AServerThatNeverTakesTheCookieIsLeftForAnother)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const addresses bad = other(2), good = server(1);
        const fd unlucky = listener(hosts().other, bad, type),
                 listening = listener(hosts().server, good, type);
        // It answers INITs, sooner than the good one, and no more.
        const filter deaf(hosts().other, hosts().client,
                          "meta l4proto sctp sctp chunk cookie-echo exists drop");
        const filter later(hosts().router, hosts().client,
                           "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk init exists numgen inc "
                           "mod 2 0 drop");
        const long before = counted("BundleSecondAttempts");
        fd socket = open_socket(type);
        const double start = now();
        if (type == SOCK_STREAM) {
            ASSERT_EQ(outcome(connect_to(socket, bad + good)), "ok");
        }
        ASSERT_EQ(outcome(sendto(socket, bad + good, "once")), "ok");
        if (type == SOCK_STREAM) {
            EXPECT_LT(now() - start, 4);
        }
        const fd peer = hosts().server.in(hosts().client, [&] {
            return type == SOCK_STREAM ? accept(listening) : fd(dup(listening));
        });
        ASSERT_TRUE(net::wait_for(peer, POLLIN, 10000));
        char text[16]{};
        EXPECT_EQ(recv(peer, text, sizeof(text), 0), 4);
        EXPECT_STREQ(text, "once");
        EXPECT_EQ(counted("BundleSecondAttempts") - before, 1);
        EXPECT_TRUE(associations_become(0, hosts().other)) << "nothing is left at the bad one";
        EXPECT_FALSE(net::wait_for(unlucky, POLLIN, 1000)) << "nor was anything delivered there";
        EXPECT_TRUE(associations_become(1, hosts().server));
        port = next_port();
    }
}

TEST_F(Setup, AServerThatLosesTheCookieAckIsTold)
{
    const addresses bad = other(1), good = server(1);
    const fd unlucky = listener(hosts().other, bad), listening = listener(good);
    const filter mute(hosts().router, hosts().client,
                      "ip saddr 10.2.0.1 meta l4proto sctp sctp chunk cookie-ack exists drop\n"
                      "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk init exists numgen inc mod 2 "
                      "0 drop");
    const auto got = timed_connect(bad + good);
    EXPECT_EQ(got.result, "ok");
    EXPECT_EQ(peername(got.socket), good.front());
    EXPECT_TRUE(associations_become(0, hosts().other));
}

// --- Several hosts -------------------------------------------------------------------------------

TEST_F(Setup, ASilentHostHasItsTimeAndTheNextOneFollows)
{
    const fd listening = listener(server(2));
    const dead silent(hosts(), other(2));
    const auto got = timed_connect(hosts_of({other(2), server(2)}));
    EXPECT_EQ(got.result, "ok");
    EXPECT_NEAR(got.seconds, 0.25 + 2 * round_trip, 0.01);
    EXPECT_TRUE(associations_become(1, hosts().client));
    const addresses peers = sctp_peer_set(got.socket);
    EXPECT_EQ(sorted(peers), sorted(server(2))) << "no path to the other host";
}

TEST_F(Setup, AHostThatFailsMakesRoomAtOnce)
{
    const fd listening = listener(server(2));
    const auto got = timed_connect(hosts_of({other(2), server(2)}));
    EXPECT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 4 * round_trip);
}

TEST_F(Setup, TheFirstHostIsPreferred)
{
    const fd listening = listener(server(2)), fallback = listener(hosts().other, other(2));
    const auto got = timed_connect(hosts_of({server(2), other(2)}));
    EXPECT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 3 * round_trip);
    EXPECT_EQ(peername(got.socket), server(1).front());
}

TEST_F(Setup, AHostThatIsSlowerThanItsTimeGetsMoreNextTime)
{
    const net::sysctl hurry("net/sctp/bundle_host_delay", "15");
    const fd listening = listener(server(1));
    const dead silent(hosts(), other(1));
    const auto got = timed_connect(hosts_of({other(1), server(1)}));
    EXPECT_EQ(got.result, "ok");
    EXPECT_NEAR(got.seconds, 0.015 * 2 + 0.030 + 2 * round_trip, 0.01);
}

TEST_F(Setup, TheOnlyHostLeftHasItsTurnAgain)
{
    const net::sysctl hurry("net/sctp/bundle_host_delay", "30");
    const fd listening = listener(server(1));
    const filter lossy(hosts().router, hosts().client,
                       "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk init exists numgen inc mod "
                       "2 0 drop");
    const long before = counted("BundleSecondAttempts");
    const auto got = timed_connect(hosts_of({other(1), server(1)}));
    EXPECT_EQ(got.result, "ok");
    EXPECT_NEAR(got.seconds, 0.030 + 3 * round_trip, 0.01);
    EXPECT_EQ(counted("BundleSecondAttempts") - before, 2) << "none with the one that has failed";
    EXPECT_NEAR(status_of(got.socket).sstat_primary.spinfo_srtt, round_trip * 1000, 2)
        << "this association's INIT was sent once";
}

TEST_F(Setup, AllHostsSilentIsEtimedout)
{
    const dead silent(hosts(), server(2)), also(hosts(), other(2));
    const socket_address all = hosts_of({server(2), other(2)});
    const long before = counted("BundleParallelInits");
    const auto got = timed_connect(all);
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 4.0, 0.1);
    EXPECT_EQ(counted("BundleParallelInits") - before, 2 * (4 + 3) - 1)
        << "turns at 0, 0.5, 1.5 and 3.5 s, and at 0.25, 1 and 2.5 s";
    const filter rejecting(hosts().router, hosts().client,
                           rejected(server(1)[0], "host-unreachable"));
    const auto limited = timed_connect(all, socket_with_attempts(1));
    EXPECT_EQ(limited.result, "ETIMEDOUT") << "that one is unreachable counts less";
    EXPECT_NEAR(limited.seconds, 2 * (0.25 + 0.5), 0.1) << "by the rounds that the program wants";
}

TEST_F(Setup, TheOnlySilentHostLeftIsAskedFiveTimes)
{
    const dead silent(hosts(), server(3));
    const long before = counted("BundleParallelInits");
    const auto got = timed_connect(hosts_of({server(3), other(1)}));
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 4.0, 0.1);
    EXPECT_EQ(counted("BundleParallelInits") - before, 3 * 5 + 1 - 1)
        << "the other host after 0.25 s, and again 0.5, 1 and 2 s after that";
}

// --- Limits --------------------------------------------------------------------------------------

TEST_F(Setup, WhatTheBurstHoldsBackFollowsEveryTenMilliseconds)
{
    const net::sysctl burst("net/sctp/bundle_init_burst", "2");
    const addresses all = server(5);
    const fd listening = listener(all);
    const dead silent(hosts(), first(all, 4));
    const long before = counted("BundleParallelInits");
    const auto got = timed_connect(all);
    EXPECT_EQ(got.result, "ok");
    EXPECT_NEAR(got.seconds, 0.030 + 2 * round_trip, 0.01);
    EXPECT_EQ(counted("BundleParallelInits") - before, 5 - 1) << "none twice";
}

TEST_F(Setup, INITsNotYetSentWhenOneIsAnsweredAreNotSent)
{
    const net::sysctl burst("net/sctp/bundle_init_burst", "1");
    const addresses all = server(many);
    const fd listening = listener(all);
    const long before = counted("BundleParallelInits");
    EXPECT_EQ(timed_connect(all).result, "ok");
    poll(nullptr, 0, 1000);
    EXPECT_LE(counted("BundleParallelInits") - before, 3);
}

TEST_F(Setup, TheRateHoldsForAThousandSockets)
{
    const net::sysctl rate("net/sctp/bundle_init_rate", "1000");
    const addresses all = server(8);
    const dead silent(hosts(), all);
    std::vector<fd> sockets;
    const long before = counted("BundleParallelInits");
    const double start = now();
    for (int i = 0; i < 1000; i++) {
        sockets.push_back(open_socket());
        nonblocking(sockets.back());
        ASSERT_EQ(outcome(connect_to(sockets.back(), all)), "EINPROGRESS");
    }
    while (now() < start + 2)
        poll(nullptr, 0, 10);
    // Counted first: what goes out while the counters are read has its time, too.
    const auto sent = static_cast<double>(counted("BundleParallelInits") - before);
    const double seconds = now() - start;
    EXPECT_LE(sent, 1000 * (seconds + 0.1));
    EXPECT_GE(sent, 1000 * (seconds - 0.1));
}

TEST_F(Setup, WhatIsHeldBackMayLoseItsRoute)
{
    const net::sysctl rate("net/sctp/bundle_init_rate", "10"); // 0.1 s each
    const addresses all = addrs({"10.1.0.1", "10.1.0.2", "10.9.0.1"}, port);
    fd socket = open_socket();
    nonblocking(socket);
    ASSERT_EQ(outcome(connect_to(socket, all)), "EINPROGRESS");
    EXPECT_TRUE(
        net::eventually([&] { return paths(socket)[1].state == BUNDLE_PATH_REFUSED; }, 500));
    net::ip("route add unreachable 10.9.0.0/16\n");
    EXPECT_TRUE(net::wait_for(socket, POLLOUT, 50) & POLLERR);
    net::ip("route del unreachable 10.9.0.0/16\n");
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
}

TEST_F(Setup, WhatIsTriedAgainMayLoseItsRouteToo)
{
    const addresses all = addrs({"10.9.0.1", "10.9.0.2"}, port);
    const dead silent(hosts(), all);
    fd socket = open_socket();
    nonblocking(socket);
    ASSERT_EQ(outcome(connect_to(socket, all)), "EINPROGRESS");
    net::ip("route add unreachable 10.9.0.0/16\n");
    EXPECT_TRUE(net::wait_for(socket, POLLOUT, 1500) & POLLERR) << "with the second round";
    net::ip("route del unreachable 10.9.0.0/16\n");
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ENETUNREACH);
}

TEST_F(Setup, NamesWhileItIsBeingSetUp)
{
    // The first has no route, so nothing says yet from which address it will be.
    const addresses all = addrs({"10.9.0.1", "10.1.0.2"}, port);
    const dead silent(hosts(), {all[1]});
    net::ip("route add unreachable 10.9.0.0/16\n");
    fd socket = open_socket();
    nonblocking(socket);
    EXPECT_EQ(outcome(connect_to(socket, all)), "EINPROGRESS");
    net::ip("route del unreachable 10.9.0.0/16\n");
    const address here = sockname(socket);
    EXPECT_NE(here.port(), 0);
    EXPECT_NE(here.to_string(), "0.0.0.0");
    EXPECT_NE(here.to_string(), "::");
    sockaddr_storage room;
    socklen_t length = sizeof(room);
    EXPECT_EQ(outcome(getpeername(socket, reinterpret_cast<sockaddr *>(&room), &length)),
              "ENOTCONN");
    EXPECT_EQ(plain_name([&](sockaddr *a, socklen_t *n) {
                  *n = sizeof(sockaddr_in); // it won't have less
                  return getsockopt(socket, SOL_SOCKET, SO_PEERNAME, a, n);
              }),
              all[0]);
}

TEST_F(Setup, AServerWithoutARouteBackAnswersWhenItHasOne)
{
    const fd listening = listener(server(2));
    hosts().server.in(hosts().client, [] { net::ip("route add unreachable 10.0.0.0/24\n"); });
    fd socket = open_socket();
    nonblocking(socket);
    EXPECT_EQ(outcome(connect_to(socket, server(2))), "EINPROGRESS");
    EXPECT_FALSE(net::wait_for(socket, POLLOUT, 500));
    hosts().server.in(hosts().client, [] { net::ip("route del unreachable 10.0.0.0/24\n"); });
    EXPECT_EQ(net::wait_for(socket, POLLOUT, 3000), POLLOUT);
}

TEST_F(Setup, LimitsOutOfRangeAreRefused)
{
    for (const char *name :
         {"bundle_init_rate", "bundle_init_burst", "bundle_connect_timeout", "bundle_host_delay"})
        for (const char *value : {"0", "-1", "99999999999"}) {
            const fd file(open((std::string("/proc/sys/net/sctp/") + name).c_str(), O_WRONLY));
            ASSERT_GE(file, 0) << name;
            EXPECT_EQ(write(file, value, strlen(value)), -1) << name << " " << value;
        }
}

// --- Ends in the middle --------------------------------------------------------------------------

TEST_F(Setup, CloseInTheMiddleLeavesNothing)
{
    const addresses all = server(8);
    const dead silent(hosts(), all);
    for (const int wait : {0, 5, 1100}) {
        fd socket = open_socket();
        nonblocking(socket);
        ASSERT_EQ(outcome(connect_to(socket, all)), "EINPROGRESS");
        poll(nullptr, 0, wait);
        socket.reset();
        EXPECT_TRUE(associations_become(0, hosts().client)) << wait;
    }
}

TEST_F(Setup, PollTellsTheOutcomeOfANonblockingConnect)
{
    const addresses all = server(3);
    {
        fd socket = open_socket();
        nonblocking(socket);
        ASSERT_EQ(outcome(connect_to(socket, all)), "EINPROGRESS");
        EXPECT_TRUE(net::wait_for(socket, POLLOUT, 1000) & POLLERR);
        EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    }
    const fd listening = listener(all);
    const dead silent(hosts(), first(all, 2));
    fd socket = open_socket();
    nonblocking(socket);
    ASSERT_EQ(outcome(connect_to(socket, all)), "EINPROGRESS");
    EXPECT_EQ(net::wait_for(socket, POLLOUT, 1000), POLLOUT);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), 0);
}

TEST_F(Setup, SeqpacketConnectTellsTheReasonToo)
{
    EXPECT_EQ(timed_connect(server(3), open_socket(SOCK_SEQPACKET)).result, "ECONNREFUSED");
    const dead silent(hosts(), server(3));
    const auto got = timed_connect(server(3), open_socket(SOCK_SEQPACKET));
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 4.0, 0.1);
}

} // namespace
