// SPDX-License-Identifier: GPL-2.0
// Byte streams: what programs written for TCP expect of a connected SOCK_STREAM bundle socket.
// bundle_accept is about what comes before accept(2), bundle_half_close about its end.
#include "stream.hpp"

#include <atomic>
#include <csignal>
#include <thread>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

namespace {

using namespace sctp;

TEST_F(Stream, AWriteOfAnySizeSucceeds)
{
    const ends c = connected();
    const std::string data = pattern(16 << 20);
    std::string got;
    std::thread reader([&] { got = received_to_end(c.server); });
    EXPECT_EQ(send_all(c.client, data), static_cast<ssize_t>(data.size()));
    EXPECT_EQ(::shutdown(c.client, SHUT_WR), 0);
    reader.join();
    EXPECT_TRUE(got == data) << got.size();
}

TEST_F(Stream, ANonblockingWriteReturnsWhatFitted)
{
    const ends c = connected();
    nonblocking(c.client);
    const std::string data = pattern(16 << 20);
    std::size_t sent = 0;
    ssize_t n;
    ASSERT_GT(n = send_all(c.client, data), 0);
    EXPECT_LT(n, static_cast<ssize_t>(data.size()));
    for (; n > 0; n = send_all(c.client, std::string_view(data).substr(sent)))
        sent += static_cast<std::size_t>(n);
    EXPECT_EQ(outcome(n), "EAGAIN");
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_TRUE(received_to_end(c.server) == data.substr(0, sent));
}

TEST_F(Stream, SndtimeoLimitsTheWholeWrite)
{
    const ends c = connected();
    const timeval half{0, 500000};
    ASSERT_EQ(set_option(c.client, SOL_SOCKET, SO_SNDTIMEO, half), 0);
    std::atomic<bool> done = false;
    std::thread slow_reader([&] {
        for (std::string room(100000, '\0'); !done; poll(nullptr, 0, 100))
            ::recv(c.server, room.data(), room.size(), MSG_DONTWAIT);
    });
    const std::string data = pattern(16 << 20);
    const double start = now();
    const ssize_t n = send_all(c.client, data);
    const double seconds = now() - start;
    EXPECT_GT(n, 0);
    EXPECT_LT(n, 16 << 20);
    EXPECT_LE(seconds, 2);
    done = true;
    slow_reader.join();
    while (send_all(c.client, pattern(10000)) > 0)
        ;
    EXPECT_EQ(outcome(send_all(c.client, "x")), "EAGAIN");
}

TEST_F(Stream, AWriterGoesOnInSmallerPartsWhenSndbufShrinks)
{
    for (const std::size_t length : {60000, 4 << 20}) {
        const ends c = another();
        const timeval limit{20, 0};
        ASSERT_EQ(set_option(c.client, SOL_SOCKET, SO_SNDTIMEO, limit), 0);
        std::size_t full = 0;
        const std::string data = pattern(length), some(1000, 'x');
        while (net::eventually([&] { return send_all(c.client, some, MSG_DONTWAIT) > 0; }, 1000))
            full += some.size();
        ssize_t sent = 0;
        std::thread writer([&] { sent = send_all(c.client, data); });
        poll(nullptr, 0, 500);
        const int little = 4096;
        ASSERT_EQ(set_option(c.client, SOL_SOCKET, SO_SNDBUF, little), 0);
        std::string got;
        std::thread reader([&] { got = received_to_end(c.server); });
        writer.join();
        EXPECT_EQ(sent, static_cast<ssize_t>(length));
        ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
        reader.join();
        EXPECT_TRUE(got.size() == full + length && got.ends_with(data)) << got.size();
    }
}

TEST_F(Stream, AMessageUpToTheBoundStaysOneMessage)
{
    const ends c = connected();
    for (const std::size_t length : {1, 1000, 20000, 65536}) {
        const std::string data = pattern(length);
        ASSERT_EQ(send_all(c.client, data), static_cast<ssize_t>(length));
        ASSERT_EQ(send_all(c.client, "x"), 1);
        EXPECT_TRUE(received(c.server) == data) << length;
        EXPECT_EQ(received(c.server), "x");
    }
}

TEST_F(Stream, AWriteOfNothingIsZero)
{
    const ends c = connected();
    EXPECT_EQ(outcome(::send(c.client, "", 0, 0)), "ok");
    EXPECT_EQ(::write(c.client, "", 0), 0);
    ASSERT_EQ(send_all(c.client, "x"), 1);
    EXPECT_EQ(received(c.server), "x");
    EXPECT_EQ(outcome(::send(open_socket(), "", 0, MSG_NOSIGNAL)), "EPIPE");
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(outcome(::send(c.client, "", 0, MSG_NOSIGNAL)), "EPIPE");
}

TEST_F(Stream, WaitallFillsTheBuffer)
{
    const ends c = connected();
    ASSERT_EQ(send_all(c.client, "ab"), 2);
    ASSERT_EQ(send_all(c.client, "cd"), 2);
    std::string late;
    std::thread reader([&] {
        late.resize(6);
        late.resize(static_cast<std::size_t>(::recv(c.server, late.data(), 6, MSG_WAITALL)));
    });
    poll(nullptr, 0, 200);
    ASSERT_EQ(send_all(c.client, "efgh"), 4);
    reader.join();
    EXPECT_EQ(late, "abcdef");
    EXPECT_EQ(received(c.server), "gh") << "the rest stays";

    const timeval short_time{0, 200000};
    ASSERT_EQ(set_option(c.server, SOL_SOCKET, SO_RCVTIMEO, short_time), 0);
    ASSERT_EQ(send_all(c.client, "ij"), 2);
    ASSERT_TRUE(net::wait_for(c.server, POLLIN));
    char room[8];
    EXPECT_EQ(::recv(c.server, room, 8, MSG_WAITALL), 2) << "as much as came in time";
    EXPECT_EQ(outcome(::recv(c.server, room, 8, MSG_WAITALL)), "EAGAIN");
    ASSERT_EQ(send_all(c.client, "kl"), 2);
    ASSERT_TRUE(net::wait_for(c.server, POLLIN));
    EXPECT_EQ(::recv(c.server, room, 8, MSG_WAITALL | MSG_DONTWAIT), 2);
    ASSERT_EQ(send_all(c.client, "mn"), 2);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(::recv(c.server, room, 8, MSG_WAITALL), 2) << "until the end";
    EXPECT_EQ(::recv(c.server, room, 8, MSG_WAITALL), 0);
}

TEST_F(Stream, AnErrorWaitsUntilAllBytesAreRead)
{
    const ends c = connected();
    ASSERT_EQ(send_all(c.client, "ab"), 2);
    ASSERT_TRUE(net::wait_for(c.server, POLLIN));
    ASSERT_EQ(set_option(c.client, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
    const_cast<fd &>(c.client).reset();
    ASSERT_TRUE(net::eventually([&] { return net::wait_for(c.server, POLLERR, 0) & POLLERR; }));
    char room[8];
    EXPECT_EQ(::recv(c.server, room, 8, MSG_WAITALL), 2);
    EXPECT_EQ(outcome(::recv(c.server, room, 8, MSG_WAITALL)), "ECONNRESET");
    EXPECT_EQ(::recv(c.server, room, 8, MSG_WAITALL), 0);
    EXPECT_EQ(outcome(send_all(c.server, "x")), "EPIPE");
}

TEST_F(Stream, AnErrorAfterSomeBytesIsForTheNextCall)
{
    ends c = connected();
    ASSERT_EQ(send_all(c.client, "ab"), 2);
    ssize_t first = 0;
    std::string next;
    std::thread reader([&] {
        char room[8];
        first = ::recv(c.server, room, 8, MSG_WAITALL);
        next = outcome(::recv(c.server, room, 8, MSG_WAITALL));
    });
    poll(nullptr, 0, 200);
    ASSERT_EQ(set_option(c.client, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
    c.client.reset();
    reader.join();
    EXPECT_EQ(first, 2);
    EXPECT_EQ(next, "ECONNRESET");

    c = another();
    const std::string data = pattern(16 << 20);
    ssize_t sent = 0;
    std::thread writer([&] { sent = send_all(c.client, data); });
    poll(nullptr, 0, 500);
    ASSERT_EQ(set_option(c.server, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
    c.server.reset();
    writer.join();
    EXPECT_GT(sent, 0);
    EXPECT_EQ(received(c.client), "error: ECONNRESET");

    c = another();
    std::string result;
    std::thread small([&] {
        ssize_t n;
        while ((n = send_all(c.client, "some more bytes")) > 0)
            ;
        result = outcome(n);
    });
    poll(nullptr, 0, 500);
    ASSERT_EQ(set_option(c.server, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
    c.server.reset();
    small.join();
    EXPECT_EQ(result, "ECONNRESET");
}

// What waits for the answer to a stream's reset (RFC 6525) goes out though the socket is closed
// meanwhile; else it would be kept for good.
TEST_F(Stream, AResetThatIsLostDoesNotKeepWhatFollowsIt)
{
    const auto may_reset = [](int socket) {
        sctp_assoc_value supported{}, allowed{};
        supported.assoc_value = 1;
        allowed.assoc_value = SCTP_ENABLE_RESET_STREAM_REQ;
        return set_option(socket, IPPROTO_SCTP, SCTP_RECONFIG_SUPPORTED, supported) < 0
                   ? -1
                   : set_option(socket, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, allowed);
    };
    ends c = connected(AF_BUNDLE, AF_BUNDLE, may_reset, may_reset);
    {
        const mute down(hosts().client, hosts().client);
        sctp_reset_streams reset{};
        reset.srs_flags = SCTP_STREAM_RESET_OUTGOING;
        ASSERT_EQ(set_option(c.client, IPPROTO_SCTP, SCTP_RESET_STREAMS, reset), 0);
        ASSERT_EQ(send_all(c.client, "x"), 1);
        c.client.reset();
        poll(nullptr, 0, 10);
    }
    EXPECT_EQ(received_to_end(c.server), "x");
    c.server.reset();
    EXPECT_TRUE(nothing_left());
}

TEST_F(Stream, AnEdgeComesForWhatIsLeft)
{
    const ends c = connected();
    const std::array<std::string, 3> parts{"one", "two", "three"};
    for (const std::string &part : parts)
        ASSERT_EQ(send_all(c.client, part), static_cast<ssize_t>(part.size()));
    ASSERT_TRUE(net::eventually([&] { return ioctl_int(c.server, FIONREAD) == 11; }));
    const fd edges(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    ASSERT_EQ(epoll_ctl(edges, EPOLL_CTL_ADD, c.server, &event), 0);
    for (const std::string &part : parts) {
        ASSERT_EQ(epoll_wait(edges, &event, 1, 2000), 1) << part;
        EXPECT_EQ(received(c.server, 100), part) << "less than there is room for";
    }
    EXPECT_EQ(epoll_wait(edges, &event, 1, 0), 0);
}

TEST_F(Stream, PeekAndFionreadTellAllThatIsThere)
{
    const ends c = connected();
    EXPECT_EQ(ioctl_int(c.server, FIONREAD), 0);
    for (const char *part : {"one", "two", "three"})
        ASSERT_GT(send_all(c.client, part), 0);
    ASSERT_TRUE(net::eventually([&] { return ioctl_int(c.server, FIONREAD) == 11; }));
    EXPECT_EQ(received(c.server, 100, MSG_PEEK), "onetwothree");
    EXPECT_EQ(received(c.server, 5, MSG_PEEK), "onetw");
    EXPECT_EQ(received(c.server, 2, MSG_PEEK), "on");
    EXPECT_EQ(plain_name(by_recvfrom(c.server, MSG_PEEK)), peername(c.server));
    EXPECT_EQ(plain_name([&](sockaddr *a, socklen_t *n) {
                  std::array<char, 100> text;
                  return recvfrom(c.server, text.data(), text.size(), MSG_PEEK, a, n);
              }),
              peername(c.server))
        << "of several messages";
    EXPECT_EQ(received(c.server, 2), "on");
    EXPECT_EQ(ioctl_int(c.server, FIONREAD), 9);
    EXPECT_EQ(received(c.server, 100, MSG_PEEK), "etwothree");
    EXPECT_EQ(received(c.server), "e");
    EXPECT_EQ(received(c.server), "two");
    EXPECT_EQ(received(c.server), "three");
    EXPECT_EQ(outcome(::recv(c.server, nullptr, 0, MSG_PEEK | MSG_DONTWAIT)), "EAGAIN");
    EXPECT_EQ(outcome(::recv(c.server, nullptr, 0, MSG_OOB)), "EINVAL");

    std::string late(4, '\0');
    std::thread reader([&] { ::recv(c.server, late.data(), 4, MSG_PEEK | MSG_WAITALL); });
    for (const char *part : {"ab", "cd"}) {
        poll(nullptr, 0, 100);
        ASSERT_EQ(send_all(c.client, part), 2);
    }
    reader.join();
    EXPECT_EQ(late, "abcd");
}

TEST_F(Stream, RcvlowatSaysHowManyBytesAreEnough)
{
    const ends c = connected();
    const int enough = 5;
    ASSERT_EQ(set_option(c.server, SOL_SOCKET, SO_RCVLOWAT, enough), 0);
    ASSERT_EQ(send_all(c.client, "ab"), 2);
    EXPECT_EQ(net::wait_for(c.server, POLLIN, 300), 0);
    ASSERT_EQ(send_all(c.client, "cde"), 3);
    EXPECT_EQ(net::wait_for(c.server, POLLIN), POLLIN);
    char room[8];
    EXPECT_EQ(::recv(c.server, room, 8, 0), 5);
    ASSERT_EQ(send_all(c.client, "fg"), 2);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(net::wait_for(c.server, POLLIN), POLLIN) << "the end is enough, too";
    EXPECT_EQ(::recv(c.server, room, 8, 0), 2);
}

TEST_F(Stream, AnEventEndsTheWaitForMoreBytes)
{
    const ends c = connected();
    const int enough = 5;
    ASSERT_EQ(set_option(c.server, SOL_SOCKET, SO_RCVLOWAT, enough), 0);
    ASSERT_EQ(send_all(c.client, "ab"), 2);
    ASSERT_TRUE(net::eventually([&] { return ioctl_int(c.server, FIONREAD) == 2; }));
    EXPECT_EQ(net::wait_for(c.server, POLLIN, 300), 0);
    const sctp_event dry{SCTP_FUTURE_ASSOC, SCTP_SENDER_DRY_EVENT, 1};
    ASSERT_EQ(set_option(c.server, IPPROTO_SCTP, SCTP_EVENT, dry), 0);
    EXPECT_EQ(net::wait_for(c.server, POLLIN, 300), POLLIN);
    EXPECT_EQ(ioctl_int(c.server, FIONREAD), 2);

    const timeval limit{20, 0};
    ASSERT_EQ(set_option(c.server, SOL_SOCKET, SO_RCVTIMEO, limit), 0);
    std::array<char, 64> room{};
    const double start = now();
    EXPECT_EQ(::recv(c.server, room.data(), 4, MSG_PEEK | MSG_WAITALL), 2);
    EXPECT_EQ(::recv(c.server, room.data(), 4, MSG_WAITALL), 2);
    EXPECT_LT(now() - start, 1);
    EXPECT_EQ(net::wait_for(c.server, POLLIN, 300), POLLIN) << "the event alone";
    iovec part{room.data(), room.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    EXPECT_EQ(::recvmsg(c.server, &message, MSG_DONTWAIT), sizeof(sctp_sender_dry_event));
    EXPECT_NE(message.msg_flags & MSG_NOTIFICATION, 0);
}

TEST_F(Stream, SiocoutqTellsWhatIsUnderWay)
{
    const ends c = connected();
    EXPECT_EQ(ioctl_int(c.client, TIOCOUTQ), 0);
    for (const char *v : {"v1", "v2", "v3"})
        net::ip(std::string("link set ") + v + " down\n");
    const std::string data = pattern(20000);
    ASSERT_EQ(send_all(c.client, data), 20000);
    ASSERT_EQ(send_all(c.client, "x"), 1);
    EXPECT_EQ(ioctl_int(c.client, TIOCOUTQ), 20001);
    for (const char *v : {"v1", "v2", "v3"})
        net::ip(net::link_up(v));
    two_hosts::wait_running({"v1", "v2", "v3"});
    net::ip("addr replace fd00:3::1/64 dev v3 nodad\n");
    EXPECT_TRUE(net::eventually([&] { return ioctl_int(c.client, TIOCOUTQ) == 0; }, 60000));
    EXPECT_TRUE(received(c.server) == data);
}

volatile std::sig_atomic_t pipes;

TEST_F(Stream, TheFirstWriteAfterThePeersCloseIsLostAndTheNextIsEpipe)
{
    ends c = connected();
    c.server.reset();
    EXPECT_EQ(received_to_end(c.client), "");
    EXPECT_EQ(outcome(getsockopt(c.client, SOL_SOCKET, SO_ERROR, nullptr, nullptr)), "EFAULT");
    EXPECT_NE(net::wait_for(c.client, POLLOUT) & POLLOUT, 0);
    EXPECT_EQ(peername(c.client), servers[0]);

    pipes = 0;
    const auto before = std::signal(SIGPIPE, [](int) { pipes = pipes + 1; });
    EXPECT_EQ(::send(c.client, "bye", 3, 0), 3);
    EXPECT_EQ(pipes, 0);
    EXPECT_EQ(outcome(::send(c.client, "bye", 3, MSG_NOSIGNAL)), "EPIPE");
    EXPECT_EQ(pipes, 0);
    EXPECT_EQ(outcome(::send(c.client, "bye", 3, 0)), "EPIPE");
    EXPECT_EQ(pipes, 1);
    std::signal(SIGPIPE, before);
}

TEST_F(Stream, AResetIsEconnreset)
{
    ends c = connected();
    ASSERT_EQ(set_option(c.server, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
    c.server.reset();
    EXPECT_EQ(net::wait_for(c.client, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP | POLLERR | POLLHUP);
    EXPECT_EQ(received(c.client), "error: ECONNRESET");
    EXPECT_EQ(received(c.client), "");
    EXPECT_EQ(outcome(send_all(c.client, "x")), "EPIPE");
}

TEST_F(Stream, SendfileSpliceWritevAndMsgMoreSendAllBytes)
{
    const ends c = connected();
    const std::string data = pattern(300000);
    const fd file(memfd_create("data", MFD_CLOEXEC));
    ASSERT_EQ(::write(file, data.data(), data.size()), static_cast<ssize_t>(data.size()));
    std::string got, expected = data + data;
    std::thread reader([&] { got = received_to_end(c.server); });

    off_t from = 0;
    while (from < static_cast<off_t>(data.size()))
        ASSERT_GT(::sendfile(c.client, file, &from, data.size()), 0);
    int ends_of_pipe[2];
    ASSERT_EQ(::pipe(ends_of_pipe), 0);
    const fd out(ends_of_pipe[0]), in(ends_of_pipe[1]);
    for (loff_t at = 0; at < static_cast<loff_t>(data.size());) {
        ssize_t left = ::splice(file, &at, in, nullptr, 65536, 0);
        ASSERT_GT(left, 0);
        for (ssize_t n; left > 0; left -= n)
            ASSERT_GT(
                n = ::splice(out, nullptr, c.client, nullptr, static_cast<std::size_t>(left), 0),
                0);
    }
    std::string half = data.substr(0, 150000), other = data.substr(150000);
    const iovec parts[]{{half.data(), half.size()}, {nullptr, 0}, {other.data(), other.size()}};
    EXPECT_EQ(::writev(c.client, parts, 3), static_cast<ssize_t>(data.size()));
    expected += data;
    for (int i = 0; i < 100; i++, expected += "piece")
        EXPECT_EQ(send_all(c.client, "piece", i == 99 ? 0 : MSG_MORE), 5);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    reader.join();
    EXPECT_TRUE(got == expected) << got.size() << " of " << expected.size();

    // And what comes can be spliced.
    ASSERT_EQ(send_all(c.server, "answer"), 6);
    ASSERT_EQ(::splice(c.client, nullptr, in, nullptr, 100, 0), 6);
    char room[8]{};
    EXPECT_EQ(::read(out, room, 8), 6);
    EXPECT_STREQ(room, "answer");
}

TEST_F(Stream, TheOptionGivesSctpsOwnSemantics)
{
    const auto off = [](int fd) { return set_option(fd, SOL_BUNDLE, BUNDLE_STREAM, 0); };
    const ends c = connected(AF_BUNDLE, AF_BUNDLE, off, off);
    EXPECT_EQ(get_option(c.server, SOL_BUNDLE, BUNDLE_STREAM), 0) << "inherited";
    EXPECT_EQ(outcome(send_all(c.client, pattern(16 << 20))), "EMSGSIZE");
    EXPECT_EQ(outcome(::send(c.client, "", 0, 0)), "EINVAL");
    ASSERT_EQ(send_all(c.client, "ab"), 2);
    ASSERT_EQ(send_all(c.client, "cd"), 2);
    EXPECT_EQ(received(c.server, 4, MSG_PEEK), "ab");
    char room[4];
    EXPECT_EQ(::recv(c.server, room, 4, MSG_WAITALL), 2);
    EXPECT_EQ(ioctl_int(c.server, FIONREAD), 2);
    int n;
    EXPECT_EQ(outcome(::ioctl(c.client, TIOCOUTQ, &n)), "ENOTTY");
    EXPECT_EQ(received(c.server), "cd");
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_TRUE(nothing_left()) << "SHUTDOWN ends both directions";
}

TEST_F(Stream, TheOptionIsFixedOnceThePeerKnows)
{
    const fd fresh = open_socket(), many = open_socket(SOCK_SEQPACKET);
    EXPECT_EQ(get_option(fresh, SOL_BUNDLE, BUNDLE_STREAM), 1);
    EXPECT_EQ(outcome(set_option(fresh, SOL_BUNDLE, BUNDLE_STREAM, 0)), "ok");
    EXPECT_EQ(get_option(fresh, SOL_BUNDLE, BUNDLE_STREAM), 0);
    EXPECT_EQ(outcome(set_option(fresh, SOL_BUNDLE, BUNDLE_STREAM, 1)), "ok");
    EXPECT_EQ(outcome(set_option(fresh, SOL_BUNDLE, BUNDLE_STREAM, 2)), "EINVAL");
    EXPECT_EQ(outcome(set_option(many, SOL_BUNDLE, BUNDLE_STREAM, 1)), "EOPNOTSUPP");
    EXPECT_EQ(get_option(many, SOL_BUNDLE, BUNDLE_STREAM), 0);

    const fd listening = hosts().listener(servers);
    EXPECT_EQ(outcome(set_option(listening, SOL_BUNDLE, BUNDLE_STREAM, 0)), "EISCONN");
    ASSERT_EQ(outcome(connect_to(fresh, servers)), "ok");
    EXPECT_EQ(outcome(set_option(fresh, SOL_BUNDLE, BUNDLE_STREAM, 0)), "EISCONN");
    EXPECT_EQ(outcome(set_option(accept(listening), SOL_BUNDLE, BUNDLE_STREAM, 0)), "EISCONN");
}

} // namespace
