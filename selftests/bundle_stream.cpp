// SPDX-License-Identifier: GPL-2.0
// Byte streams: what programs written for TCP expect of a connected SOCK_STREAM bundle socket.
#include "two_hosts.hpp"

#include <atomic>
#include <csignal>
#include <thread>

#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

namespace {

using namespace sctp;

constexpr std::uint32_t adaptation = 0x42554e44, end_of_stream = 0x42554e45;

constexpr linger abort_on_close{1, 0};

// Bytes that tell if some are lost, doubled or out of order.
std::string pattern(std::size_t length)
{
    std::string result(length, '\0');
    std::uint32_t x = 1;
    for (char &c : result) {
        x = x * 1664525 + 1013904223;
        c = static_cast<char>(x >> 24);
    }
    return result;
}

ssize_t send_all(int fd, std::string_view data, int flags = 0)
{
    return ::send(fd, data.data(), data.size(), flags | MSG_NOSIGNAL);
}

// What one recv(2) gives, without waiting for long.
std::string received(int fd, std::size_t room = 1 << 20, int flags = 0)
{
    net::wait_for(fd, POLLIN, 2000);
    std::string result(room, '\0');
    const ssize_t n = ::recv(fd, result.data(), room, flags | MSG_DONTWAIT);
    if (n < 0)
        return std::string("error: ") + outcome(n);
    result.resize(static_cast<std::size_t>(n));
    return result;
}

// All until the end.
std::string received_to_end(int fd)
{
    std::string result;
    for (std::string part; net::wait_for(fd, POLLIN, 60000); result += part)
        if ((part = received(fd)).empty())
            return result;
        else if (part.starts_with("error: "))
            return part;
    return "no end";
}

int ioctl_int(int fd, unsigned long request)
{
    int result = -1;
    if (::ioctl(fd, request, &result) < 0)
        net::fail("ioctl");
    return result;
}

// How many bytes the peer still has room for.
unsigned window(int fd)
{
    tcp_info info{};
    socklen_t length = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        net::fail("TCP_INFO");
    return info.tcpi_snd_wnd;
}

class Stream : public TwoHosts {
  protected:
    struct ends {
        fd client, server;
    };
    static int nothing(int) { return 0; }

    // Both ends' sockets are prepared by their functions first.
    template <typename Prepare = int (*)(int), typename PrepareServer = int (*)(int)>
    ends connected(int client_family = AF_BUNDLE, int server_family = AF_BUNDLE,
                   Prepare prepare = nothing, PrepareServer prepare_server = nothing) const
    {
        const fd listening = hosts().on_server([&] {
            fd result = open_socket(SOCK_STREAM, server_family);
            if ((server_family == AF_BUNDLE ? bind_to(result, servers)
                                            : bind_to(result, servers[0])) < 0 ||
                prepare_server(result) < 0 || ::listen(result, 8) < 0)
                net::fail("the server");
            return result;
        });
        fd client = open_socket(SOCK_STREAM, client_family);
        if (prepare(client) < 0)
            net::fail("the client");
        if ((client_family == AF_BUNDLE && server_family == AF_BUNDLE ? connect_to(client, servers)
             : client_family == AF_BUNDLE ? connect_to(client, addresses{servers[0]})
                                          : connect_to(client, servers[0])) < 0)
            net::fail("connect");
        return {std::move(client), accept(listening)};
    }

    // One more connection, of another port.
    ends another()
    {
        port = next_port();
        servers = two_hosts::server_addrs(port);
        return connected();
    }

    // The association is gone at both ends.
    bool nothing_left() const
    {
        const auto none = [] {
            std::istringstream lines(net::slurp("/proc/thread-self/net/sctp/assocs"));
            std::string line;
            std::getline(lines, line);
            return !std::getline(lines, line);
        };
        return net::eventually([&] { return none() && hosts().on_server(none); });
    }
};

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
    timespec before{}, after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    const ssize_t n = send_all(c.client, data);
    clock_gettime(CLOCK_MONOTONIC, &after);
    EXPECT_GT(n, 0);
    EXPECT_LT(n, 16 << 20);
    EXPECT_LE(after.tv_sec - before.tv_sec, 2);
    done = true;
    slow_reader.join();
    while (send_all(c.client, pattern(10000)) > 0)
        ;
    EXPECT_EQ(outcome(send_all(c.client, "x")), "EAGAIN");
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

TEST_F(Stream, TheAnswerComesAfterShutdown)
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

TEST_F(Stream, WhoeverAcceptsLateFindsTheEnd)
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

TEST_F(Stream, BothCanCloseAtOnce)
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

TEST_F(Stream, TheEndComesAfterAllThatWasLostBeforeIt)
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

TEST_F(Stream, TheEndThatOvertakesIsNotReachedYet)
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

TEST_F(Stream, TheEndComesAfterWhatOtherStreamsSend)
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

TEST_F(Stream, TheEndIsMarkedWithInterleavingToo)
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

TEST_F(Stream, WhoWaitsForRoomLearnsThatThisSideHasClosed)
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

TEST_F(Stream, WithAnotherKindOfPeerShutdownIsSctps)
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

TEST_F(Stream, AResetBeforeAcceptIsEconnreset)
{
    const fd listening = hosts().listener(servers);
    {
        const fd client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
        ASSERT_EQ(send_all(client, "half"), 4);
        poll(nullptr, 0, 200);
        ASSERT_EQ(set_option(client, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
    }
    poll(nullptr, 0, 200);
    const fd server = accept(listening);
    EXPECT_EQ(received(server), "half");
    EXPECT_EQ(received(server), "error: ECONNRESET");
    EXPECT_EQ(received(server), "");
    nonblocking(listening);
    EXPECT_EQ(outcome(::accept(listening, nullptr, nullptr)), "EAGAIN")
        << "the listening socket has no error";
}

// The peer's host goes down without a word, and comes back.
TEST_F(Stream, TheStreamsOfAPeerThatRestartsStayApart)
{
    const fd listening = hosts().listener(servers);
    const auto connect_and_die = [&](const char *text) {
        const fd client = open_socket();
        EXPECT_EQ(outcome(bind_to(client, clients)), "ok");
        EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
        EXPECT_EQ(send_all(client, text), static_cast<ssize_t>(std::strlen(text)));
        poll(nullptr, 0, 300);
        EXPECT_EQ(set_option(client, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
        net::run({"nft", "-f", "-"}, "table inet mute {\n chain c {\n  type filter hook output "
                                     "priority 0\n meta l4proto sctp drop\n }\n}\n");
    };
    const auto alive_again = [] { net::run({"nft", "delete table inet mute"}); };

    connect_and_die("old");
    alive_again();
    const fd server = accept(listening);
    connect_and_die("new");
    alive_again();
    EXPECT_EQ(received(server), "old");
    EXPECT_EQ(received(server), "error: ECONNRESET");
    EXPECT_EQ(received(server), "");
    EXPECT_EQ(outcome(send_all(server, "x")), "EPIPE");

    // Before accept(2), nobody has seen the old one.
    client_port = next_port();
    clients = two_hosts::client_addrs(client_port);
    connect_and_die("old");
    alive_again();
    connect_and_die("new");
    alive_again();
    EXPECT_EQ(received(accept(listening)), "new");
}

TEST_F(Stream, TheEndDoesntWaitForAcknowledgements)
{
    const ends c = connected();
    for (int i = 0; i < 3; i++)
        ASSERT_EQ(send_all(c.client, "some bytes"), 10);
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(net::wait_for(c.server, POLLRDHUP, 100), POLLRDHUP) << "a SACK takes 200 ms";
}

TEST_F(Stream, TheEndTakesNoRoom)
{
    const ends c = connected();
    for (unsigned room; (room = window(c.client)) > 0;) {
        const std::string data(std::min(room, 1000U), 'x');
        ASSERT_EQ(send_all(c.client, data), static_cast<ssize_t>(data.size()));
        ASSERT_TRUE(net::eventually([&] { return ioctl_int(c.client, TIOCOUTQ) == 0; }));
    }
    ASSERT_EQ(::shutdown(c.client, SHUT_WR), 0);
    EXPECT_EQ(net::wait_for(c.server, POLLRDHUP, 100), POLLRDHUP);
}

TEST_F(Stream, WhoWaitsForRoomToSendLearnsOfShutdown)
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

TEST_F(Stream, WhoClosesBothDirectionsEndsTheAssociation)
{
    const ends c = connected();
    ASSERT_EQ(send_all(c.client, "bye"), 3);
    ASSERT_EQ(::shutdown(c.client, SHUT_RDWR), 0);
    EXPECT_EQ(received_to_end(c.server), "bye");
    EXPECT_TRUE(nothing_left());
    EXPECT_EQ(send_all(c.server, "x"), 1);
    EXPECT_EQ(outcome(send_all(c.server, "x")), "EPIPE");
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

TEST_F(Stream, AcceptedAfterThePeersCloseItReadsAsOneThatWasClosed)
{
    const fd listening = hosts().listener(servers);
    {
        const fd client = open_socket();
        ASSERT_EQ(outcome(bind_to(client, clients)), "ok");
        ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
        ASSERT_EQ(send_all(client, "bye"), 3);
    }
    poll(nullptr, 0, 500);
    const fd server = accept(listening);
    EXPECT_EQ(peername(server).port(), client_port);
    EXPECT_EQ(received_to_end(server), "bye");
    EXPECT_NE(net::wait_for(server, POLLOUT) & POLLOUT, 0);
    EXPECT_EQ(send_all(server, "x"), 1);
    EXPECT_EQ(outcome(send_all(server, "x")), "EPIPE");
    EXPECT_EQ(outcome(::shutdown(server, SHUT_WR)), "ok");
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

TEST_F(Stream, TheAdaptationLayerIndicationIsItsOwn)
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

TEST_F(Stream, NobodyCanSendTheMarkByHand)
{
    const ends c = connected();
    EXPECT_EQ(outcome(sctp_sendmsg(c.client, "x", 1, nullptr, 0, htonl(end_of_stream), 0, 0, 0, 0)),
              "EINVAL");
    sctp_sndrcvinfo info{};
    info.sinfo_ppid = htonl(end_of_stream);
    ASSERT_EQ(set_option(c.client, IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, info), 0);
    EXPECT_EQ(outcome(send_all(c.client, "x")), "EINVAL");
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

TEST_F(HostileStream, AMarkOfAnotherKindOfPeerIsData)
{
    const ends c = connected(AF_INET, AF_BUNDLE);
    ASSERT_EQ(mark(c.client), 1);
    EXPECT_EQ(received(c.server), "x");
    ASSERT_EQ(send_all(c.client, "more"), 4);
    EXPECT_EQ(received(c.server), "more");
}

} // namespace
