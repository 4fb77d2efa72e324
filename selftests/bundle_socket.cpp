// SPDX-License-Identifier: GPL-2.0
// socket(2) with AF_BUNDLE, and the socket options that need no peer.
#include "sctp.hpp"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

namespace {

using namespace sctp;

std::string open_outcome(int type, int protocol)
{
    const fd result(::socket(AF_BUNDLE, type, protocol));
    return outcome(result);
}

TEST(Socket, TakesBothStylesWithProtocolZeroOrSctp)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        for (const int protocol : {0, int{IPPROTO_SCTP}}) {
            const fd s(::socket(AF_BUNDLE, type, protocol));
            ASSERT_EQ(outcome(s), "ok") << type << ", " << protocol;
            EXPECT_EQ(get_option(s, SOL_SOCKET, SO_TYPE), type);
            EXPECT_EQ(get_option(s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_SCTP);
        }
}

TEST(Socket, RefusesOtherProtocols)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        for (const int protocol : {int{IPPROTO_ICMP}, int{IPPROTO_TCP}, int{IPPROTO_UDP},
                                   int{IPPROTO_RAW}, int{IPPROTO_MPTCP}, 46})
            EXPECT_EQ(open_outcome(type, protocol), "EPROTONOSUPPORT") << type << ", " << protocol;
}

TEST(Socket, RefusesOtherTypes)
{
    for (const int type : {SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_DCCP, SOCK_PACKET})
        for (const int protocol : {0, int{IPPROTO_SCTP}})
            EXPECT_EQ(open_outcome(type, protocol), "ESOCKTNOSUPPORT") << type << ", " << protocol;
}

TEST(Socket, HasNoPairs)
{
    int pair[2];
    EXPECT_EQ(outcome(socketpair(AF_BUNDLE, SOCK_STREAM, 0, pair)), "EOPNOTSUPP");
}

TEST(Socket, HonoursNonblockAndCloexec)
{
    const fd plain(::socket(AF_BUNDLE, SOCK_STREAM, 0));
    const fd both(::socket(AF_BUNDLE, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_FALSE(fcntl(plain, F_GETFL) & O_NONBLOCK);
    EXPECT_FALSE(fcntl(plain, F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(fcntl(both, F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(both, F_GETFD) & FD_CLOEXEC);
}

TEST(Socket, DomainIsInetExactlyWhereIpv6IsOff)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        EXPECT_EQ(get_option(open_socket(type), SOL_SOCKET, SO_DOMAIN),
                  net::have_ipv6() ? AF_INET6 : AF_INET);
}

TEST(Socket, HasNoNamesAtFirst)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const fd s = open_socket(type);
        EXPECT_TRUE(unbound(s));
        sockaddr_storage name;
        socklen_t length = sizeof(name);
        EXPECT_EQ(outcome(getpeername(s, reinterpret_cast<sockaddr *>(&name), &length)),
                  "ENOTCONN");
    }
}

TEST(Socket, AnswersWhatSctpSocketsAnswer)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const fd s = open_socket(type);
        int readable = -1;
        EXPECT_EQ(outcome(ioctl(s, SIOCINQ, &readable)), "ok");
        EXPECT_EQ(readable, 0);
        timeval stamp;
        EXPECT_EQ(outcome(ioctl(s, SIOCGSTAMP, &stamp)), "ENOENT") << "nothing came yet";
        const bool mapped = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, s, 0) != MAP_FAILED;
        EXPECT_EQ(outcome(mapped - 1), "ENODEV");
        EXPECT_EQ(get_option(s, IPPROTO_SCTP, SCTP_I_WANT_MAPPED_V4_ADDR), 0);
    }
}

// An ordinary peer ends both directions at once; a bundle stream's end is open still.
TEST(Socket, AnOrdinaryPeersNameOutlivesItsAssociation)
{
    const addresses here = addrs({"127.0.0.1"}, next_port());
    const fd listening = listen_at(here);
    fd client = open_socket(SOCK_STREAM, AF_INET);
    ASSERT_EQ(outcome(connect_to(client, here[0])), "ok");
    const fd server = accept(listening);
    const address peer = peername(server);
    EXPECT_EQ(peer, addr("127.0.0.1", sockname(client).port()));
    client.reset();
    ASSERT_TRUE(net::wait_for(server, POLLIN));
    EXPECT_TRUE(net::eventually([&] {
        sctp_status status{};
        socklen_t length = sizeof(status);
        return getsockopt(server, IPPROTO_SCTP, SCTP_STATUS, &status, &length) < 0;
    }));
    EXPECT_EQ(peername(server), peer);
}

TEST(Socket, CanBeMadeInManyAndClosed)
{
    std::vector<fd> many;
    for (int i = 0; i < 100; i++)
        many.push_back(open_socket(i % 2 ? SOCK_STREAM : SOCK_SEQPACKET));
}

TEST(Options, TcpNodelayOfAStreamIsSctpNodelay)
{
    const fd s = open_socket();
    for (const int on : {1, 0, 1}) {
        EXPECT_EQ(outcome(set_option(s, IPPROTO_TCP, TCP_NODELAY, on)), "ok");
        EXPECT_EQ(get_option(s, IPPROTO_TCP, TCP_NODELAY), on);
        EXPECT_EQ(get_option(s, IPPROTO_SCTP, SCTP_NODELAY), on);
    }
    EXPECT_EQ(outcome(set_option(s, IPPROTO_SCTP, SCTP_NODELAY, 0)), "ok");
    EXPECT_EQ(get_option(s, IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST(Options, TcpNodelayRefusesAShortValue)
{
    const fd s = open_socket();
    const int on = 1;
    EXPECT_EQ(outcome(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, 1)), "EINVAL");
    EXPECT_EQ(get_option(s, IPPROTO_TCP, TCP_NODELAY), 0);
}

TEST(Options, TcpOptionsThatSctpHasNoUseForAreRefused)
{
    const fd s = open_socket(), many = open_socket(SOCK_SEQPACKET);
    int value = 0;
    socklen_t length = sizeof(value);
    EXPECT_EQ(outcome(set_option(many, IPPROTO_TCP, TCP_NODELAY, 1)), "ENOPROTOOPT");
    EXPECT_EQ(outcome(getsockopt(many, IPPROTO_TCP, TCP_NODELAY, &value, &length)), "ENOPROTOOPT");
    for (const int option : {TCP_REPAIR, TCP_ULP, TCP_MD5SIG, 4711}) {
        EXPECT_EQ(outcome(set_option(s, IPPROTO_TCP, option, 1)), "ENOPROTOOPT") << option;
        EXPECT_EQ(outcome(getsockopt(s, IPPROTO_TCP, option, &value, &length)), "ENOPROTOOPT")
            << option;
    }
}

TEST(Options, SctpsOwnWork)
{
    const fd s = open_socket();
    sctp_initmsg wanted{};
    wanted.sinit_num_ostreams = 17;
    EXPECT_EQ(outcome(set_option(s, IPPROTO_SCTP, SCTP_INITMSG, wanted)), "ok");
    sctp_initmsg got{};
    socklen_t length = sizeof(got);
    EXPECT_EQ(outcome(getsockopt(s, IPPROTO_SCTP, SCTP_INITMSG, &got, &length)), "ok");
    EXPECT_EQ(got.sinit_num_ostreams, 17);
    EXPECT_EQ(outcome(set_option(s, SOL_SOCKET, SO_RCVBUF, 100000)), "ok");
    EXPECT_EQ(get_option(s, SOL_SOCKET, SO_RCVBUF), 200000);
    EXPECT_EQ(outcome(set_option(s, IPPROTO_IP, IP_TOS, 0x10)), "ok");
}

TEST(Options, BundleNamesIsOffUntilSet)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const fd s = open_socket(type);
        EXPECT_EQ(get_option(s, SOL_BUNDLE, BUNDLE_NAMES), 0);
        EXPECT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
        EXPECT_EQ(get_option(s, SOL_BUNDLE, BUNDLE_NAMES), 1);
        EXPECT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 0)), "ok");
        EXPECT_EQ(get_option(s, SOL_BUNDLE, BUNDLE_NAMES), 0);
    }
}

TEST(Options, BundleNamesRefusesBadMemoryAndValues)
{
    const fd s = open_socket();
    const net::guarded_memory memory;
    const int on = 1;
    int value = 0;
    socklen_t length = sizeof(value);
    for (const int wrong : {2, -1, 256})
        EXPECT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, wrong)), "EINVAL") << wrong;
    EXPECT_EQ(outcome(setsockopt(s, SOL_BUNDLE, BUNDLE_NAMES, &on, 3)), "EINVAL");
    EXPECT_EQ(outcome(setsockopt(s, SOL_BUNDLE, BUNDLE_NAMES, memory.last(2), 4)), "EFAULT");
    EXPECT_EQ(outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_NAMES, memory.last(0), &length)), "EFAULT");
    EXPECT_EQ(outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_NAMES, &value,
                                 reinterpret_cast<socklen_t *>(memory.last(0)))),
              "EFAULT");
    length = static_cast<socklen_t>(-1);
    EXPECT_EQ(outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_NAMES, &value, &length)), "EINVAL");
    EXPECT_EQ(get_option(s, SOL_BUNDLE, BUNDLE_NAMES), 0);
}

TEST(Options, WhatIsOnlyReadCannotBeSet)
{
    const fd s = open_socket();
    const std::array<std::byte, 64> value{};
    for (const int option : {BUNDLE_LOCAL_ADDRS, BUNDLE_PEER_ADDRS, BUNDLE_PATHS, 0, 4711})
        EXPECT_EQ(outcome(set_option(s, SOL_BUNDLE, option, value)), "ENOPROTOOPT") << option;
}

TEST(Options, UnknownOnesAreRefused)
{
    const fd s = open_socket();
    int value = 0;
    socklen_t length = sizeof(value);
    for (const int option : {0, -1, 4711})
        EXPECT_EQ(outcome(getsockopt(s, SOL_BUNDLE, option, &value, &length)), "ENOPROTOOPT");
}

TEST(Options, ThereAreNoPeerAddressesWithoutAPeer)
{
    const fd s = open_socket();
    alignas(8) std::array<std::byte, bundle::max_length> room{};
    socklen_t length = room.size();
    EXPECT_NE(outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_PEER_ADDRS, room.data(), &length)), "ok");
}

TEST(Options, OrdinarySctpSocketsHaveNoneOfOurs)
{
    for (const int family : {AF_INET, AF_INET6}) {
        if (family == AF_INET6 && !net::have_ipv6())
            continue;
        const fd s = open_socket(SOCK_STREAM, family);
        int value = 1;
        socklen_t length = sizeof(value);
        EXPECT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ENOPROTOOPT");
        // IPv4 and IPv6 differ in how they say that they don't know a level.
        EXPECT_EQ(outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_NAMES, &value, &length)),
                  family == AF_INET ? "EOPNOTSUPP" : "ENOPROTOOPT");
    }
}

} // namespace
