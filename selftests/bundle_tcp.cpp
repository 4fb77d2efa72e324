// SPDX-License-Identifier: GPL-2.0
// TCP's socket options on SOCK_STREAM bundle sockets, and those of one IP version.
#include "stream.hpp"

namespace {

using namespace sctp;

class TcpOptions : public Stream {
  protected:
    template <typename Prepare>
    ends prepared(Prepare prepare) const
    {
        return connected(AF_BUNDLE, AF_BUNDLE, [&](int fd) {
            prepare(fd);
            return 0;
        });
    }

    static int set(int fd, int option, int value)
    {
        return set_option(fd, IPPROTO_TCP, option, value);
    }
    static int get(int fd, int option) { return get_option(fd, IPPROTO_TCP, option); }

    static unsigned heartbeat_ms(int fd)
    {
        sctp_paddrparams params{};
        params.spp_address.ss_family = AF_INET6;
        socklen_t length = sizeof(params);
        if (getsockopt(fd, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &params, &length) < 0)
            net::fail("SCTP_PEER_ADDR_PARAMS");
        return params.spp_hbinterval;
    }

    // The links are down as long as this object lives.
    struct cut {
        cut() { change("down"); }
        ~cut()
        {
            change("up");
            two_hosts::wait_running({"v1", "v2", "v3"});
            net::ip("addr replace fd00:3::1/64 dev v3 nodad\n");
        }
        static void change(const std::string &how)
        {
            for (const char *v : {"v1", "v2", "v3"})
                net::ip(std::string("link set ") + v + " " + how + "\n");
        }
    };

    // After how many seconds the socket has an error, and which.
    static std::pair<double, std::string> fails(int fd)
    {
        const double start = now();
        net::wait_for(fd, POLLERR, 1000000);
        char byte;
        return {now() - start, outcome(::recv(fd, &byte, 1, MSG_DONTWAIT))};
    }
};

TEST_F(TcpOptions, AreSetAndRead)
{
    struct {
        int option, value, before, after;
        const char *result;
    } const cases[]{
        {TCP_NODELAY, 1, 0, 1, "ok"},
        {TCP_MAXSEG, 1000, 0, 1000, "ok"},
        {TCP_MAXSEG, 1, 0, 0, "EINVAL"},
        {TCP_MAXSEG, 70000, 0, 0, "EINVAL"},
        {TCP_CORK, 1, 0, 1, "ok"},
        {TCP_KEEPIDLE, 5, 7200, 5, "ok"},
        {TCP_KEEPIDLE, 0, 7200, 7200, "EINVAL"},
        {TCP_KEEPIDLE, 32768, 7200, 7200, "EINVAL"},
        {TCP_KEEPINTVL, 6, 75, 6, "ok"},
        {TCP_KEEPINTVL, 0, 75, 75, "EINVAL"},
        {TCP_KEEPCNT, 7, 9, 7, "ok"},
        {TCP_KEEPCNT, 128, 9, 9, "EINVAL"},
        {TCP_USER_TIMEOUT, 3000, 0, 3000, "ok"},
        {TCP_USER_TIMEOUT, -1, 0, 0, "EINVAL"},
        {TCP_QUICKACK, 1, 0, 0, "ok"},
        {TCP_DEFER_ACCEPT, 1, 0, 0, "ok"},
        {TCP_FASTOPEN, 5, 0, 0, "ok"},
        {TCP_FASTOPEN, -1, 0, 0, "EINVAL"},
        {TCP_SYNCNT, 3, 8, 8, "ok"},
        {TCP_SYNCNT, 0, 8, 8, "EINVAL"},
    };
    for (const auto &[option, value, before, after, result] : cases) {
        const fd s = open_socket();
        EXPECT_EQ(get(s, option), before) << option;
        EXPECT_EQ(outcome(set(s, option, value)), result) << option << " " << value;
        EXPECT_EQ(get(s, option), after) << option << " " << value;
    }
    const fd s = open_socket(), many = open_socket(SOCK_SEQPACKET);
    int value = 0;
    socklen_t length = sizeof(value);
    for (const int option : {TCP_MD5SIG, TCP_REPAIR, TCP_ULP, TCP_WINDOW_CLAMP, 999}) {
        EXPECT_EQ(outcome(set(s, option, 1)), "ENOPROTOOPT") << option;
        EXPECT_EQ(outcome(getsockopt(s, IPPROTO_TCP, option, &value, &length)), "ENOPROTOOPT");
    }
    for (const int option : {TCP_NODELAY, TCP_KEEPIDLE, TCP_INFO})
        EXPECT_EQ(outcome(set(many, option, 1)), "ENOPROTOOPT") << option;
    EXPECT_EQ(outcome(getsockopt(many, IPPROTO_TCP, TCP_INFO, &value, &length)), "ENOPROTOOPT");
}

TEST_F(TcpOptions, BadBuffersAreRefused)
{
    const fd s = open_socket();
    int value = 1;
    socklen_t length;
    EXPECT_EQ(outcome(setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &value, 3)), "EINVAL");
    EXPECT_EQ(outcome(setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, nullptr, 4)), "EFAULT");
    EXPECT_EQ(outcome(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, nullptr, 4)), "EFAULT");
    EXPECT_EQ(outcome(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "", 0)), "EINVAL");
    EXPECT_EQ(outcome(getsockopt(s, IPPROTO_TCP, TCP_INFO, nullptr, &(length = 8))), "EFAULT");
    length = static_cast<socklen_t>(-1);
    EXPECT_EQ(outcome(getsockopt(s, IPPROTO_TCP, TCP_INFO, &value, &length)), "EINVAL");

    std::array<unsigned char, 512> room;
    room.fill(0xaa);
    length = 5;
    ASSERT_EQ(getsockopt(s, IPPROTO_TCP, TCP_INFO, room.data(), &length), 0);
    EXPECT_EQ(length, 5U);
    EXPECT_EQ(room[5], 0xaa) << "nothing past the buffer";
}

TEST_F(TcpOptions, CongestionControlIsSctps)
{
    const fd s = open_socket();
    char name[16] = "";
    socklen_t length = sizeof(name);
    ASSERT_EQ(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &length), 0);
    EXPECT_STREQ(name, "sctp");
    EXPECT_EQ(outcome(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "sctp", 4)), "ok");
    EXPECT_EQ(outcome(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5)), "ENOENT");
}

TEST_F(TcpOptions, MaxsegCutsMessages)
{
    const ends c = connected();
    ASSERT_EQ(outcome(set(c.client, TCP_MAXSEG, 500)), "ok");
    EXPECT_EQ(get(c.client, TCP_MAXSEG), 500);
    const auto before = stream_info(c.client).tcpi_data_segs_out;
    ASSERT_EQ(::send(c.client, std::string(1000, 'x').data(), 1000, 0), 1000);
    ASSERT_TRUE(net::wait_for(c.server, POLLIN));
    EXPECT_EQ(stream_info(c.client).tcpi_data_segs_out, before + 2);
}

TEST_F(TcpOptions, CorkGathersAndNeverHoldsBackForEver)
{
    const ends c = connected();
    ASSERT_EQ(outcome(set(c.client, TCP_NODELAY, 1)), "ok");
    const auto packets_for_a_hundred = [&] {
        const auto before = stream_info(c.client).tcpi_segs_out;
        for (int i = 0; i < 100; i++)
            EXPECT_EQ(::send(c.client, "x", 1, 0), 1);
        return stream_info(c.client).tcpi_segs_out - before;
    };
    EXPECT_GE(packets_for_a_hundred(), 100U);
    ASSERT_EQ(outcome(set(c.client, TCP_CORK, 1)), "ok");
    EXPECT_LT(packets_for_a_hundred(), 20U);
    ASSERT_EQ(outcome(set(c.client, TCP_CORK, 0)), "ok");
    const auto arrived = [&](int bytes) {
        return net::eventually([&] {
            char byte;
            while (::recv(c.server, &byte, 1, MSG_DONTWAIT) == 1)
                bytes--;
            return bytes == 0;
        });
    };
    EXPECT_TRUE(arrived(200));

    ASSERT_EQ(outcome(set(c.client, TCP_CORK, 1)), "ok");
    ASSERT_EQ(::send(c.client, "x", 1, 0), 1);
    ASSERT_EQ(::send(c.client, "y", 1, 0), 1);
    EXPECT_TRUE(arrived(2)) << "though nobody pulls the cork";
}

TEST_F(TcpOptions, KeepaliveIsHeartbeats)
{
    const ends c = connected();
    EXPECT_EQ(heartbeat_ms(c.client), 30000U);
    ASSERT_EQ(outcome(set(c.client, TCP_KEEPIDLE, 5)), "ok");
    EXPECT_EQ(heartbeat_ms(c.client), 30000U) << "not without SO_KEEPALIVE";
    ASSERT_EQ(outcome(set_option(c.client, SOL_SOCKET, SO_KEEPALIVE, 1)), "ok");
    EXPECT_EQ(heartbeat_ms(c.client), 5000U);
    ASSERT_EQ(outcome(set(c.client, TCP_KEEPINTVL, 2)), "ok");
    EXPECT_EQ(heartbeat_ms(c.client), 2000U);
    const auto before = stream_info(c.server).tcpi_segs_in;
    poll(nullptr, 0, 20000);
    EXPECT_GT(stream_info(c.server).tcpi_segs_in - before, 12U) << "they are sent";
    ASSERT_EQ(outcome(set(c.client, TCP_KEEPIDLE, 3600)), "ok");
    ASSERT_EQ(outcome(set(c.client, TCP_KEEPINTVL, 3600)), "ok");
    EXPECT_EQ(heartbeat_ms(c.client), 30000U) << "never fewer than without";
    ASSERT_EQ(outcome(set(c.client, TCP_KEEPINTVL, 2)), "ok");
    ASSERT_EQ(outcome(set_option(c.client, SOL_SOCKET, SO_KEEPALIVE, 0)), "ok");
    EXPECT_EQ(heartbeat_ms(c.client), 30000U);
    const fd ordinary = open_socket(SOCK_STREAM, AF_INET6);
    EXPECT_EQ(outcome(set_option(ordinary, SOL_SOCKET, SO_KEEPALIVE, 1)), "ok");
    EXPECT_EQ(heartbeat_ms(ordinary), 30000U);
}

TEST_F(TcpOptions, KeepaliveEndsAConnectionWhosePeerIsGone)
{
    const ends c = prepared([](int fd) {
        for (const auto &[option, value] :
             {std::pair(TCP_KEEPIDLE, 4), {TCP_KEEPINTVL, 4}, {TCP_KEEPCNT, 15}})
            EXPECT_EQ(outcome(set(fd, option, value)), "ok");
        EXPECT_EQ(outcome(set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1)), "ok");
    });
    const cut all;
    const auto [seconds, result] = fails(c.client);
    EXPECT_EQ(result, "ETIMEDOUT");
    EXPECT_GT(seconds, 60);
    EXPECT_LT(seconds, 90);
    EXPECT_EQ(net::wait_for(c.server, POLLERR, 0), 0) << "it hasn't asked";
}

TEST_F(TcpOptions, UserTimeoutEndsAConnectionThatIsNotAnswered)
{
    for (const int limit : {5, 20}) {
        const ends c = prepared(
            [limit](int fd) { EXPECT_EQ(outcome(set(fd, TCP_USER_TIMEOUT, limit * 1000)), "ok"); });
        const cut all;
        ASSERT_EQ(::send(c.client, "x", 1, 0), 1);
        const auto [seconds, result] = fails(c.client);
        EXPECT_EQ(result, "ETIMEDOUT");
        EXPECT_GT(seconds, limit);
        EXPECT_LT(seconds, 2 * limit + 2);
        port = next_port();
        servers = two_hosts::server_addrs(port);
    }
}

TEST_F(TcpOptions, UserTimeoutLeavesAConnectionThatIsAnswered)
{
    const ends c =
        prepared([](int fd) { EXPECT_EQ(outcome(set(fd, TCP_USER_TIMEOUT, 15000)), "ok"); });
    for (int i = 0; i < 2; i++) {
        poll(nullptr, 0, 30000);
        {
            const cut all;
            ASSERT_EQ(::send(c.client, "x", 1, 0), 1);
            poll(nullptr, 0, 4000);
        }
        ASSERT_TRUE(net::wait_for(c.server, POLLIN, 60000));
        char byte;
        ASSERT_EQ(::recv(c.server, &byte, 1, 0), 1);
    }
}

TEST_F(TcpOptions, OnePathThatIsSilentIsNotThePeer)
{
    const ends c = prepared([](int fd) {
        EXPECT_EQ(outcome(set(fd, TCP_USER_TIMEOUT, 3000)), "ok");
        EXPECT_EQ(outcome(set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1)), "ok");
    });
    net::ip("link set v2 down\n");
    EXPECT_EQ(net::wait_for(c.client, POLLERR, 90000), 0);
    net::ip("link set v2 up\n");
    two_hosts::wait_running({"v2"});
    EXPECT_EQ(::send(c.client, "x", 1, 0), 1);
    EXPECT_TRUE(net::wait_for(c.server, POLLIN));
}

TEST_F(TcpOptions, HeartbeatsOfTheProgramsOwnStayAsTheyAre)
{
    const fd s = open_socket();
    sctp_paddrparams params{};
    params.spp_address.ss_family = AF_INET6;
    params.spp_flags = SPP_HB_ENABLE;
    params.spp_hbinterval = 1234;
    ASSERT_EQ(outcome(set_option(s, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, params)), "ok");
    ASSERT_EQ(outcome(set(s, TCP_KEEPIDLE, 100)), "ok");
    ASSERT_EQ(outcome(set_option(s, SOL_SOCKET, SO_KEEPALIVE, 0)), "ok");
    EXPECT_EQ(heartbeat_ms(s), 1234U);
}

TEST_F(TcpOptions, InfoTellsWhatMeansTheSame)
{
    const fd listening = hosts().listener(servers);
    EXPECT_EQ(stream_info(listening).tcpi_state, 10) << "LISTEN";
    const fd client = open_socket();
    EXPECT_EQ(stream_info(client).tcpi_state, 7) << "CLOSE";
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    const fd server = accept(listening);
    EXPECT_EQ(stream_info(client).tcpi_state, 1) << "ESTABLISHED";
    EXPECT_EQ(stream_info(client).tcpi_pmtu, 1500U);
    EXPECT_GT(stream_info(client).tcpi_snd_mss, 1400U);
    EXPECT_LT(stream_info(client).tcpi_snd_mss, 1500U);
    EXPECT_GE(stream_info(client).tcpi_rto, 1000000U);
    EXPECT_GT(stream_info(client).tcpi_rcv_space, 10000U);

    net::run({"tc", "qdisc", "add", "dev", "v1", "root", "netem", "delay", "100ms"});
    for (int i = 0; i < 30; i++) {
        ASSERT_EQ(::send(client, "x", 1, 0), 1);
        ASSERT_TRUE(net::wait_for(server, POLLIN));
        char byte;
        ASSERT_EQ(::recv(server, &byte, 1, 0), 1);
        ASSERT_EQ(::send(server, "x", 1, 0), 1) << "or the SACK would be delayed";
        ASSERT_TRUE(net::wait_for(client, POLLIN));
        ASSERT_EQ(::recv(client, &byte, 1, 0), 1);
    }
    EXPECT_NEAR(stream_info(client).tcpi_rtt, 100000, 20000);
    ASSERT_EQ(::send(client, std::string(5000, 'x').data(), 5000, 0), 5000);
    EXPECT_GT(stream_info(client).tcpi_unacked + stream_info(client).tcpi_notsent_bytes, 0U);
    EXPECT_EQ(stream_info(client).tcpi_total_retrans, 0U);
    net::run({"tc", "qdisc", "del", "dev", "v1", "root"});
    poll(nullptr, 0, 1000);

    ASSERT_EQ(::shutdown(client, SHUT_WR), 0);
    ASSERT_TRUE(net::wait_for(server, POLLRDHUP));
    EXPECT_EQ(stream_info(client).tcpi_state, 5) << "FIN_WAIT2";
    EXPECT_EQ(stream_info(server).tcpi_state, 8) << "CLOSE_WAIT";
    {
        const cut all;
        ASSERT_EQ(::send(server, "x", 1, 0), 1);
        poll(nullptr, 0, 3000);
    }
    ASSERT_TRUE(net::wait_for(client, POLLIN, 60000));
    EXPECT_GT(stream_info(server).tcpi_total_retrans, 0U);
}

// An ordinary peer knows no half-close: SCTP's own shutdown, seen at each of its steps.
TEST_F(TcpOptions, InfoFollowsTheShutdownWithAnOrdinaryPeer)
{
    const auto becomes = [](int fd, int state) {
        return net::eventually([=] { return stream_info(fd).tcpi_state == state; }, 30000);
    };
    const ends c = connected(AF_BUNDLE, AF_INET);
    {
        const mute down(hosts().client, hosts().client);
        ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
        EXPECT_EQ(stream_info(c.client).tcpi_state, 4) << "FIN_WAIT1";
    }
    EXPECT_TRUE(becomes(c.client, 7)) << "CLOSE";

    const ends d = another(AF_BUNDLE, AF_INET);
    {
        const mute down(hosts().client, hosts().client);
        ASSERT_EQ(::shutdown(d.server, SHUT_WR), 0);
        EXPECT_TRUE(becomes(d.client, 9)) << "LAST_ACK";
    }
    EXPECT_TRUE(becomes(d.client, 7)) << "CLOSE";
}

TEST_F(TcpOptions, TrafficClassActsOnPathsOfEitherFamily)
{
    const fd tos = open_socket(), tclass = open_socket();
    ASSERT_EQ(outcome(set_option(tos, SOL_IP, IP_TOS, 0x20)), "ok");
    ASSERT_EQ(outcome(set_option(tclass, SOL_IPV6, IPV6_TCLASS, 0x20)), "ok");
    for (const fd *s : {&tos, &tclass}) {
        EXPECT_EQ(get_option(*s, SOL_IP, IP_TOS), 0x20);
        EXPECT_EQ(get_option(*s, SOL_IPV6, IPV6_TCLASS), 0x20);
    }
    const unsigned char byte = 0x40;
    ASSERT_EQ(outcome(set_option(tos, SOL_IP, IP_TOS, byte)), "ok");
    EXPECT_EQ(get_option(tos, SOL_IPV6, IPV6_TCLASS), 0x40);
    ASSERT_EQ(outcome(set_option(tos, SOL_IPV6, IPV6_TCLASS, -1)), "ok");
    EXPECT_EQ(get_option(tos, SOL_IP, IP_TOS), 0);
    EXPECT_EQ(outcome(set_option(tos, SOL_IPV6, IPV6_TCLASS, 300)), "EINVAL");
    ASSERT_EQ(outcome(set_option(tos, SOL_IP, IP_TOS, 0x20)), "ok");

    const fd listening = hosts().listener(servers);
    const filter only_cs1(hosts().server, hosts().client,
                          "meta l4proto sctp ip dscp != cs1 drop\n"
                          "meta l4proto sctp ip6 dscp != cs1 drop");
    EXPECT_EQ(outcome(connect_to(tos, {servers[2]})), "ok") << "IP_TOS on IPv6";
    EXPECT_EQ(outcome(connect_to(tclass, {servers[0]})), "ok") << "IPV6_TCLASS on IPv4";
    const net::sysctl bound("net/sctp/bundle_connect_timeout", "2000");
    EXPECT_EQ(outcome(connect_to(open_socket(), {servers[0]})), "ETIMEDOUT");
}

} // namespace
