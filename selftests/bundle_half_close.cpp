// SPDX-License-Identifier: GPL-2.0
// The end of a byte stream: one direction closed, by bundle sockets, other peers and hostile ones.
#include "connect.hpp"
#include "stream.hpp"

#include <thread>

namespace {

using namespace sctp;

constexpr std::uint32_t adaptation = 0x42554e44, end_of_stream = 0x42554e45;

using HalfClose = Stream;

TEST_F(HalfClose, TheAnswerComesAfterShutdown)
{
    const ends c = connected();
    ASSERT_EQ(send_all(c.client, "request"), 7);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(outcome(send_all(c.client, "more")), "EPIPE");
    EXPECT_EQ(received_to_end(c.server), "request");
    EXPECT_EQ(net::wait_for(c.server, POLLIN | POLLRDHUP | POLLOUT), POLLIN | POLLRDHUP | POLLOUT);
    EXPECT_EQ(ioctl_int(c.server, FIONREAD), 0) << "the mark isn't there to receive";
    poll(nullptr, 0, 1000);
    const std::string answer = pattern(1 << 20);
    std::thread writer([&] {
        EXPECT_EQ(send_all(c.server, answer), static_cast<ssize_t>(answer.size()));
        EXPECT_EQ(::shutdown(c.server, SHUT_WR), 0);
    });
    EXPECT_TRUE(received_to_end(c.client) == answer);
    writer.join();
    EXPECT_EQ(net::wait_for(c.client, POLLIN) & (POLLHUP | POLLERR), POLLHUP);
    EXPECT_TRUE(nothing_left()) << "whoever closed first ends the association";
}

TEST_F(HalfClose, WhoeverAcceptsLateFindsTheEnd)
{
    const fd listening = hosts().listener(servers);
    const fd client = open_socket();
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    ASSERT_EQ(send_all(client, "request"), 7);
    ASSERT_EQ(::shutdown(client, SHUT_WR), 0);
    poll(nullptr, 0, 500);
    const fd server = accept(listening);
    EXPECT_EQ(received_to_end(server), "request");
    EXPECT_EQ(send_all(server, "answer"), 6);
    EXPECT_EQ(received(client), "answer");
    EXPECT_EQ(net::wait_for(listening, POLLIN, 0), 0) << "the listening socket goes on";
}

TEST_F(HalfClose, ASocketThatListensNoLongerHasNotEnded)
{
    const fd listening = hosts().listener(servers);
    const fd client = open_socket();
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    ASSERT_EQ(::listen(listening, 0), 0);
    ASSERT_EQ(send_all(client, "request"), 7);
    ASSERT_EQ(::shutdown(client, SHUT_WR), 0);
    poll(nullptr, 0, 500);
    EXPECT_EQ(net::wait_for(listening, POLLRDHUP, 0) & POLLRDHUP, 0);
    ASSERT_EQ(::listen(listening, 8), 0);
    const fd server = accept(listening);
    EXPECT_EQ(received_to_end(server), "request");
    EXPECT_EQ(send_all(server, "answer"), 6);
    EXPECT_EQ(received(client), "answer");
}

TEST_F(HalfClose, BothCanCloseAtOnce)
{
    const ends c = connected();
    ASSERT_EQ(send_all(c.client, "one"), 3);
    ASSERT_EQ(send_all(c.server, "two"), 3);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    ASSERT_EQ(::shutdown(c.server, SHUT_WR), 0);
    EXPECT_EQ(received_to_end(c.server), "one");
    EXPECT_EQ(received_to_end(c.client), "two");
    EXPECT_TRUE(nothing_left());
}

TEST_F(HalfClose, TheEndComesAfterAllThatWasLostBeforeIt)
{
    const ends c = connected();
    const std::string data = pattern(300000);
    hosts().on_server([] {
        net::run({"tc", "qdisc", "add", "dev", "v1", "root", "netem", "loss", "20%"});
    });
    net::run(
        {"tc", "qdisc", "add", "dev", "v1", "root", "netem", "loss", "20%", "delay", "5ms", "3ms"});
    std::thread writer([&] {
        EXPECT_EQ(send_all(c.client, data), static_cast<ssize_t>(data.size()));
        EXPECT_EQ(::shutdown(c.client, SHUT_WR), 0);
    });
    EXPECT_TRUE(received_to_end(c.server) == data);
    writer.join();
    EXPECT_EQ(send_all(c.server, "answer"), 6);
    net::wait_for(c.client, POLLIN, 60000);
    EXPECT_EQ(received(c.client), "answer");
    net::run({"tc", "qdisc", "del", "dev", "v1", "root"});
    hosts().on_server([] { net::run({"tc", "qdisc", "del", "dev", "v1", "root"}); });
}

TEST_F(HalfClose, TheEndThatOvertakesIsNotReachedYet)
{
    const ends c = connected();
    {
        const filter no_large_ones(hosts().server, hosts().client,
                                   "meta l4proto sctp meta length > 1000 drop");
        ASSERT_EQ(send_all(c.client, std::string(3000, 'x')), 3000);
        ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
        EXPECT_EQ(net::wait_for(c.server, POLLIN | POLLRDHUP, 500), 0);
    }
    EXPECT_EQ(received_to_end(c.server), std::string(3000, 'x'));
}

TEST_F(HalfClose, TheEndComesAfterWhatOtherStreamsSend)
{
    const ends c = connected(AF_BUNDLE, AF_BUNDLE, [](int fd) {
        const sctp_initmsg streams{10, 10, 0, 0};
        const sctp_assoc_value round_robin{0, 2};
        return set_option(fd, IPPROTO_SCTP, SCTP_INITMSG, streams) |
               set_option(fd, IPPROTO_SCTP, SCTP_STREAM_SCHEDULER, round_robin);
    });
    net::run({"tc", "qdisc", "add", "dev", "v1", "root", "netem", "delay", "50ms"});
    std::size_t sent = 0;
    for (std::uint16_t i = 0; i < 18; i++) {
        const auto stream = static_cast<std::uint16_t>(1 + i % 9);
        const std::string data(5000, static_cast<char>('a' + stream));
        ASSERT_EQ(sctp_sendmsg(c.client, data.data(), data.size(), nullptr, 0, 0, 0, stream, 0, 0),
                  static_cast<int>(data.size()));
        sent += data.size();
    }
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    const sctp_assoc_value round_robin{0, 2};
    EXPECT_EQ(outcome(set_option(c.client, IPPROTO_SCTP, SCTP_STREAM_SCHEDULER, round_robin)),
              "EBUSY");
    EXPECT_EQ(received_to_end(c.server).size(), sent);
    net::run({"tc", "qdisc", "del", "dev", "v1", "root"});
    EXPECT_EQ(send_all(c.server, "answer"), 6);
    EXPECT_EQ(received(c.client), "answer");
}

TEST_F(HalfClose, TheEndIsMarkedWithInterleavingToo)
{
    const net::sysctl client_knob("net/sctp/intl_enable", "1");
    hosts().on_server([] { net::spill("/proc/sys/net/sctp/intl_enable", "1"); });
    const auto interleaving = [](int fd) {
        const int partial = 2;
        const sctp_assoc_value on{0, 1};
        return set_option(fd, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, partial) |
               set_option(fd, IPPROTO_SCTP, SCTP_INTERLEAVING_SUPPORTED, on);
    };
    const ends c = connected(AF_BUNDLE, AF_BUNDLE, interleaving, interleaving);
    ASSERT_EQ(send_all(c.client, "request"), 7);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(received_to_end(c.server), "request");
    EXPECT_EQ(send_all(c.server, "answer"), 6);
    EXPECT_EQ(received(c.client), "answer");
    hosts().on_server([] { net::spill("/proc/sys/net/sctp/intl_enable", "0"); });
}

TEST_F(HalfClose, WhoWaitsForRoomLearnsThatThisSideHasClosed)
{
    const ends c = connected();
    std::string result;
    std::thread writer([&] {
        ssize_t n;
        while ((n = send_all(c.client, "some more bytes")) > 0)
            ;
        result = outcome(n);
    });
    poll(nullptr, 0, 500);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    writer.join();
    EXPECT_EQ(result, "EPIPE");
}

TEST_F(HalfClose, WithAnotherKindOfPeerShutdownIsSctps)
{
    {
        const ends c = connected(AF_BUNDLE, AF_INET);
        ASSERT_EQ(send_all(c.client, "request"), 7);
        ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
        EXPECT_EQ(received_to_end(c.server), "request");
        EXPECT_EQ(received_to_end(c.client), "") << "the end wakes up who waits for an answer";
        EXPECT_TRUE(nothing_left());
    }
    port = next_port();
    servers = two_hosts::server_addrs(port);
    const ends c = connected(AF_INET, AF_BUNDLE);
    ASSERT_EQ(send_all(c.client, "request"), 7);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(received_to_end(c.server), "request");
    EXPECT_TRUE(nothing_left());
}

TEST_F(HalfClose, TheEndDoesntWaitForAcknowledgements)
{
    const ends c = connected();
    for (int i = 0; i < 3; i++)
        ASSERT_EQ(send_all(c.client, "some bytes"), 10);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(net::wait_for(c.server, POLLRDHUP, 100), POLLRDHUP) << "a SACK takes 200 ms";
}

TEST_F(HalfClose, TheEndTakesNoRoom)
{
    const ends c = connected();
    for (unsigned room; (room = stream_info(c.client).tcpi_snd_wnd) > 0;) {
        const std::string data(std::min(room, 1000U), 'x');
        ASSERT_EQ(send_all(c.client, data), static_cast<ssize_t>(data.size()));
        ASSERT_TRUE(net::eventually([&] { return ioctl_int(c.client, TIOCOUTQ) == 0; }));
    }
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(net::wait_for(c.server, POLLRDHUP, 100), POLLRDHUP);
}

TEST_F(HalfClose, WhoWaitsForRoomToSendLearnsOfShutdown)
{
    const ends c = connected();
    nonblocking(c.client);
    do {
        while (send_all(c.client, std::string(1000, 'x')) > 0)
            ;
    } while (net::wait_for(c.client, POLLOUT, 1000) != 0);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(net::wait_for(c.client, POLLOUT), POLLOUT);
}

TEST_F(HalfClose, WhoSleepsUntilThereIsRoomIsWokenByShutdown)
{
    for (const int how : {SHUT_WR, SHUT_RDWR}) {
        const ends c = how == SHUT_WR ? connected(AF_BUNDLE, AF_INET) : connected();
        ASSERT_EQ(set_option(c.client, SOL_SOCKET, SO_SNDTIMEO, timeval{20, 0}), 0);
        const std::string data(16 << 20, 'x');
        std::string result;
        std::thread writer([&] {
            while (send_all(c.client, data) > 0)
                ;
            result = outcome(-1);
        });
        poll(nullptr, 0, 1000);
        const double start = now();
        EXPECT_EQ(outcome(::shutdown(c.client, how)), "ok");
        writer.join();
        EXPECT_EQ(result, "EPIPE") << how;
        EXPECT_LT(now() - start, 5) << how;
        port = next_port();
        servers = two_hosts::server_addrs(port);
    }
}

TEST_F(HalfClose, WhoClosesBothDirectionsEndsTheAssociation)
{
    const ends c = connected();
    ASSERT_EQ(send_all(c.client, "bye"), 3);
    ASSERT_EQ(::shutdown(c.client, SHUT_RDWR), 0);
    EXPECT_EQ(received_to_end(c.server), "bye");
    EXPECT_TRUE(nothing_left());
    EXPECT_EQ(send_all(c.server, "x"), 1);
    EXPECT_EQ(outcome(send_all(c.server, "x")), "EPIPE");
}

TEST_F(HalfClose, TheAdaptationLayerIndicationIsItsOwn)
{
    const fd socket = open_socket();
    const sctp_setadaptation mine{5};
    EXPECT_EQ(get_option(socket, IPPROTO_SCTP, SCTP_ADAPTATION_LAYER),
              static_cast<int>(adaptation));
    EXPECT_EQ(outcome(set_option(socket, IPPROTO_SCTP, SCTP_ADAPTATION_LAYER, mine)), "EBUSY");
    ASSERT_EQ(outcome(set_option(socket, SOL_BUNDLE, BUNDLE_STREAM, 0)), "ok");
    EXPECT_EQ(get_option(socket, IPPROTO_SCTP, SCTP_ADAPTATION_LAYER), 0);
    EXPECT_EQ(outcome(set_option(socket, IPPROTO_SCTP, SCTP_ADAPTATION_LAYER, mine)), "ok");
}

TEST_F(HalfClose, NobodyCanSendTheMarkByHand)
{
    const ends c = connected();
    EXPECT_EQ(outcome(sctp_sendmsg(c.client, "x", 1, nullptr, 0, htonl(end_of_stream), 0, 0, 0, 0)),
              "EINVAL");
    sctp_sndrcvinfo info{};
    info.sinfo_ppid = htonl(end_of_stream);
    ASSERT_EQ(set_option(c.client, IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, info), 0);
    EXPECT_EQ(outcome(send_all(c.client, "x")), "EINVAL");

    const fd early = open_socket();
    std::array<std::byte, 28> to{};
    const auto length = static_cast<socklen_t>(servers[0].store(to));
    EXPECT_EQ(outcome(sctp_sendmsg(early, "x", 1, as_sockaddr(to.data()), length,
                                   htonl(end_of_stream), 0, 0, 0, 0)),
              "EINVAL")
        << "when it isn't known yet what the peer is";
}

// A peer that says that it is a bundle stream, and does as it likes.
class HostileStream : public Stream {
  protected:
    ends hostile() const
    {
        return connected(AF_INET, AF_BUNDLE, [](int fd) {
            const sctp_setadaptation lie{adaptation};
            const sctp_initmsg streams{10, 10, 0, 0};
            return set_option(fd, IPPROTO_SCTP, SCTP_ADAPTATION_LAYER, lie) |
                   set_option(fd, IPPROTO_SCTP, SCTP_INITMSG, streams);
        });
    }
    static int mark(int fd, std::uint16_t stream = 0, std::uint32_t flags = 0,
                    std::size_t length = 1)
    {
        const std::string data(length, 'x');
        return sctp_sendmsg(fd, data.data(), length, nullptr, 0, htonl(end_of_stream), flags,
                            stream, 0, 0);
    }
};

TEST_F(HostileStream, AMarkIsAMarkWhoeverSendsIt)
{
    const ends c = hostile();
    ASSERT_EQ(send_all(c.client, "data"), 4);
    ASSERT_EQ(mark(c.client), 1);
    EXPECT_EQ(received_to_end(c.server), "data");
    EXPECT_EQ(send_all(c.server, "answer"), 6);
    EXPECT_EQ(received(c.client), "answer");
}

TEST_F(HostileStream, DataAfterTheMarkEndTheAssociation)
{
    const ends c = hostile();
    ASSERT_EQ(mark(c.client), 1);
    EXPECT_EQ(received_to_end(c.server), "");
    ASSERT_EQ(send_all(c.client, "more"), 4);
    ASSERT_NE(net::wait_for(c.server, POLLHUP) & POLLHUP, 0);
    EXPECT_EQ(received(c.server), "error: ECONNABORTED");
    EXPECT_EQ(received(c.client), "error: ECONNRESET");
    EXPECT_TRUE(nothing_left());
}

TEST_F(HostileStream, AMarkThatIsNoneEndsTheAssociation)
{
    struct {
        std::uint16_t stream;
        std::uint32_t flags;
        std::size_t length;
    } const cases[]{{1, 0, 1}, {0, SCTP_UNORDERED, 1}, {0, 0, 10000}};
    for (const auto &[stream, flags, length] : cases) {
        const ends c = hostile();
        ASSERT_EQ(mark(c.client, stream, flags, length), static_cast<int>(length));
        EXPECT_EQ(received(c.server), "error: ECONNABORTED") << stream << flags << length;
        EXPECT_EQ(received(c.client), "error: ECONNRESET") << stream << flags << length;
        port = next_port();
        servers = two_hosts::server_addrs(port);
    }
}

TEST_F(HostileStream, AMarkWithALaterOneThereAlreadyEndsTheAssociation)
{
    const ends c = hostile();
    ASSERT_EQ(set_option(c.client, IPPROTO_SCTP, SCTP_NODELAY, 1), 0);
    ASSERT_EQ(set_primary(c.client, servers[1]), 0);
    const auto confirmed = [&] {
        return status_of(c.client).sstat_primary.spinfo_state == SCTP_ACTIVE;
    };
    ASSERT_TRUE(net::eventually(confirmed, 60000));
    ASSERT_EQ(set_primary(c.client, servers[0]), 0);
    const netem late("delay 500ms", {"v1"});
    ASSERT_EQ(mark(c.client), 1);
    ASSERT_EQ(set_primary(c.client, servers[1]), 0);
    ASSERT_EQ(sctp_sendmsg(c.client, "more", 4, nullptr, 0, 0, SCTP_UNORDERED, 0, 0, 0), 4);
    EXPECT_EQ(received(c.server), "more") << "the first path is the slower one";
    EXPECT_EQ(received(c.server), "error: ECONNABORTED");
    EXPECT_EQ(received(c.client), "error: ECONNRESET");
    EXPECT_TRUE(nothing_left());
}

TEST_F(HostileStream, AMarkOfAnotherKindOfPeerIsData)
{
    const ends c = connected(AF_INET, AF_BUNDLE);
    ASSERT_EQ(mark(c.client), 1);
    EXPECT_EQ(received(c.server), "x");
    ASSERT_EQ(send_all(c.client, "more"), 4);
    EXPECT_EQ(received(c.server), "more");
}

} // namespace
