// SPDX-License-Identifier: GPL-2.0
// Byte streams that listen, and those that wait to be accepted, or have ended or begun anew before.
#include "connect.hpp"
#include "stream.hpp"

#include <thread>

namespace {

using namespace sctp;

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
    const int little = 16384;
    ASSERT_EQ(set_option(listening, SOL_SOCKET, SO_RCVBUF, little), 0);
    // Nor does it say, to a heartbeat, that it knows nothing, until it has begun anew.
    const filter wordless(hosts().client, hosts().client,
                          "meta l4proto sctp sctp chunk abort exists drop", "output");
    const auto connect_and_die = [&](const std::string &text) {
        fd client = open_socket();
        EXPECT_EQ(outcome(bind_to(client, clients)), "ok");
        EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
        EXPECT_EQ(send_all(client, text), static_cast<ssize_t>(text.size()));
        poll(nullptr, 0, 300);
        EXPECT_EQ(set_option(client, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
        client.reset();
    };

    connect_and_die("old");
    const fd server = accept(listening);
    connect_and_die("new");
    EXPECT_EQ(received(server), "old");
    EXPECT_EQ(received(server), "error: ECONNRESET");
    EXPECT_EQ(received(server), "");
    EXPECT_EQ(outcome(send_all(server, "x")), "EPIPE");

    const auto another_client = [&] {
        client_port = next_port();
        clients = two_hosts::client_addrs(client_port);
    };
    // What it sends to one that has been reset is lost, and it learns of that.
    for (const bool shut : {false, true}) {
        another_client();
        connect_and_die("old");
        fd reset = accept(listening);
        const fd client = open_socket();
        ASSERT_EQ(outcome(bind_to(client, clients)), "ok");
        ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
        ASSERT_EQ(send_all(client, "lost"), 4);
        EXPECT_EQ(received(reset), "old");
        EXPECT_EQ(received(reset), "error: ECONNRESET");
        poll(nullptr, 0, 300);
        if (shut)
            EXPECT_EQ(outcome(::shutdown(reset, SHUT_WR)), "ENOTCONN");
        else
            reset.reset();
        EXPECT_EQ(received(client), "error: ECONNRESET") << shut;
    }

    // Before accept(2), nobody has seen the old one.
    another_client();
    connect_and_die("old");
    connect_and_die("new");
    EXPECT_EQ(received(accept(listening)), "new");

    // Nor when somebody else's message has been received in part.
    const fd other = open_socket();
    ASSERT_EQ(outcome(connect_to(other, servers)), "ok");
    ASSERT_EQ(send_all(other, pattern(60000)), 60000);
    poll(nullptr, 0, 300);
    another_client();
    connect_and_die("old");
    connect_and_die("new");
    const fd first = accept(listening), second = accept(listening);
    EXPECT_EQ(received(second), "new");

    // It may have fewer addresses, and the one that it had been known by is gone.
    const addresses all = clients;
    for (const address &left : {all[0], all[1]}) {
        another_client();
        connect_and_die("old");
        clients = {left.with_port(client_port)};
        connect_and_die("new");
        const fd last = accept(listening);
        EXPECT_EQ(peername(last), clients[0]);
        EXPECT_EQ(received(last), "new");
    }
}

// One that has ended stays for accept(2), and then for its socket, but not in its peer's way.
TEST_F(Stream, APeerWhoseAssociationHasEndedComesAgain)
{
    for (const int family : {AF_BUNDLE, AF_INET}) {
        SCOPED_TRACE(family);
        port = next_port();
        servers = two_hosts::server_addrs(port);
        client_port = next_port();
        clients = two_hosts::client_addrs(client_port);
        const bool bundles = family == AF_BUNDLE;
        const fd listening =
            hosts().listener(bundles ? servers : addresses{servers[0]}, SOCK_STREAM, family);
        int times = 0;
        const auto come = [&] {
            SCOPED_TRACE(++times);
            fd result = open_socket(SOCK_STREAM, family);
            EXPECT_EQ(outcome(bundles ? bind_to(result, clients) : bind_to(result, clients[0])),
                      "ok");
            EXPECT_EQ(
                outcome(bundles ? connect_to(result, servers) : connect_to(result, servers[0])),
                "ok");
            EXPECT_EQ(set_option(result, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
            return result;
        };
        const auto come_and_go = [&] {
            come().reset();
            poll(nullptr, 0, 300);
        };
        come_and_go();
        come_and_go();
        std::vector<fd> ended;
        ended.push_back(accept(listening));
        come_and_go();
        ended.push_back(accept(listening));
        ended.push_back(accept(listening));
        const fd client = come(), server = accept(listening);
        ASSERT_EQ(send_all(client, "alive"), 5);
        EXPECT_EQ(received(server), "alive");
        // The address is that of the peer of both; this one is at its end.
        for (const fd &one : ended) {
            if (bundles) {
                EXPECT_EQ(received(one), "error: ECONNRESET");
            }
            EXPECT_EQ(outcome(send_all(one, "x")), "EPIPE");
            if (bundles) {
                EXPECT_EQ(outcome(connect_to(one, clients)), "EISCONN");
            }
        }
    }
}

TEST_F(Stream, WhoListensReadsNothing)
{
    const fd listening = hosts().listener(servers);
    std::array<fd, 2> two{open_socket(), open_socket()};
    for (const fd &client : two) {
        ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
        ASSERT_EQ(send_all(client, "hello"), 5);
    }
    poll(nullptr, 0, 500);
    for (const int flags : {0, +MSG_PEEK, +MSG_WAITALL, MSG_PEEK | MSG_WAITALL})
        EXPECT_EQ(received(listening, 100, flags), "error: ENOTCONN") << flags;
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(received(accept(listening)), "hello");
}

TEST_F(Stream, WhoListensNoLongerTellsThoseThatWait)
{
    for (const int how : {SHUT_RD, SHUT_RDWR}) {
        const fd listening = hosts().listener(servers), waiting = open_socket();
        fd gone = open_socket();
        ASSERT_EQ(outcome(::shutdown(listening, SHUT_WR)), "ok") << "as TCP";
        for (const int client : {static_cast<int>(waiting), static_cast<int>(gone)}) {
            ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
            ASSERT_EQ(send_all(client, "hello"), 5);
        }
        ASSERT_EQ(set_option(gone, SOL_SOCKET, SO_LINGER, abort_on_close), 0);
        gone.reset();
        poll(nullptr, 0, 300);
        ASSERT_EQ(outcome(::shutdown(listening, how)), "ok");
        EXPECT_EQ(received(waiting), "error: ECONNRESET");
        EXPECT_TRUE(nothing_left());
        EXPECT_EQ(outcome(::accept(listening, nullptr, nullptr)), "EINVAL");
        EXPECT_EQ(outcome(connect_to(open_socket(), servers)), "ECONNREFUSED");

        ASSERT_EQ(outcome(::listen(listening, 1)), "ok");
        std::thread accepts(
            [&] { EXPECT_EQ(outcome(::accept(listening, nullptr, nullptr)), "EINVAL"); });
        poll(nullptr, 0, 200);
        EXPECT_EQ(outcome(::shutdown(listening, how)), "ok");
        accepts.join();

        ASSERT_EQ(outcome(::listen(listening, 1)), "ok");
        const fd client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
        ASSERT_EQ(send_all(client, "hello"), 5);
        EXPECT_EQ(received(accept(listening)), "hello");
        port = next_port();
        servers = two_hosts::server_addrs(port);
    }
    EXPECT_TRUE(nothing_left());
}

TEST_F(Stream, WhoIsAcceptedHasTheListenersSettings)
{
    const fd listening = hosts().listener(servers), client = open_socket();
    const std::array<std::pair<int, int>, 3> settings{
        {{SO_MARK, 7}, {SO_PRIORITY, 3}, {SO_RCVLOWAT, 5}}};
    for (const auto &[option, value] : settings)
        ASSERT_EQ(set_option(listening, SOL_SOCKET, option, value), 0) << option;
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    const fd server = accept(listening);
    for (const auto &[option, value] : settings)
        EXPECT_EQ(get_option(server, SOL_SOCKET, option), value) << option;
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

TEST_F(Stream, AcceptedWhileThePeerClosesItReadsAsOneThatWasClosed)
{
    const fd listening = hosts().listener(servers);
    fd client = open_socket();
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    const netem slow("delay 1s");
    ASSERT_EQ(send_all(client, "bye"), 3);
    client.reset();
    poll(nullptr, 0, 2500); // SHUTDOWN comes after two seconds, SHUTDOWN COMPLETE after three
    const fd server = accept(listening);
    EXPECT_EQ(received(server), "bye");
    EXPECT_EQ(net::wait_for(server, POLLRDHUP, 0), POLLRDHUP);
    EXPECT_EQ(received(server), "");
    EXPECT_EQ(send_all(server, "x"), 1);
    EXPECT_EQ(outcome(send_all(server, "x")), "EPIPE");
}

} // namespace
