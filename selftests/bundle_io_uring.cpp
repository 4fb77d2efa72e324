// SPDX-License-Identifier: GPL-2.0
// Bundles by way of io_uring, on one-to-one sockets and others.
#include "connect.hpp"
#include "uring.hpp"

namespace {

using namespace sctp;
using net::uring;

TEST_F(Connect, IoUringTakesBundlesThatFitASockaddrStorage)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    uring ring;
    const socket_address b(servers);
    EXPECT_EQ(outcome(ring(uring::request(IORING_OP_CONNECT, client, b.data(), b.size()))), "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, IoUringRefusesLongerBundles)
{
    const fd client = open_socket();
    uring ring;
    for (const int n : {6, 64}) {
        const socket_address b(range("10.0.3.", n, port));
        EXPECT_EQ(outcome(ring(uring::request(IORING_OP_CONNECT, client, b.data(), b.size()))),
                  "EINVAL");
        EXPECT_TRUE(unbound(client));
    }
    const fd listener = hosts().listener(servers);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
}

TEST_F(Connect, IoUringSendsToBundlesThatFitASockaddrStorage)
{
    uring ring;
    for (const int n : {5, 6, 64}) {
        const addresses all = range("10.0.3.", n, port);
        const socket_address b(all);
        const fd server = hosts().listener(all, SOCK_SEQPACKET);
        const fd client = open_socket(SOCK_SEQPACKET);
        one_byte message(b.data(), b.size());
        auto sqe = uring::request(IORING_OP_SENDMSG, client, &message.header, 0);
        sqe.len = 1;
        EXPECT_EQ(outcome(ring(sqe)), n <= 5 ? "ok" : "EINVAL") << n;
        EXPECT_EQ(associations(client).size(), n <= 5 ? 1U : 0U) << n;
        port = next_port();
    }
}

TEST_F(Connect, IoUringGivesNamesNoLongerThanTheBuffer)
{
    const fd listener = hosts().listener(servers);
    ASSERT_EQ(outcome(set_option(listener, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    uring ring;
    std::vector<fd> kept;
    for (const std::size_t size : {7, 8, 32, 60, 88, 140}) {
        kept.push_back(open_socket());
        clients = two_hosts::client_addrs(next_port());
        ASSERT_EQ(outcome(bind_to(kept.back(), clients)), "ok");
        ASSERT_EQ(outcome(connect_to(kept.back(), servers)), "ok");
        ASSERT_TRUE(net::wait_for(listener, POLLIN));
        fd server;
        const auto accept_name = [&](sockaddr *a, socklen_t *n) {
            server = fd(static_cast<int>(ring(uring::request(
                IORING_OP_ACCEPT, listener, a, reinterpret_cast<std::uintptr_t>(n)))));
            return int{server};
        };
        const bytes name = name_in_buffer(accept_name, size);
        EXPECT_EQ(name.size(), size < 8    ? 0U
                               : size < 32 ? 8U
                               : size < 56 ? 32U
                               : size < 88 ? 56U
                                           : 88U);
        ASSERT_EQ(send(kept.back(), "x", 1, 0), 1);
        ASSERT_TRUE(net::wait_for(server, POLLIN));
        const auto message_name = [&](sockaddr *a, socklen_t *n) {
            one_byte message(a, *n);
            auto sqe = uring::request(IORING_OP_RECVMSG, server, &message.header, 0);
            sqe.len = 1;
            sqe.msg_flags = MSG_PEEK | MSG_DONTWAIT;
            const long got = ring(sqe);
            *n = message.header.msg_namelen;
            return got;
        };
        EXPECT_EQ(name_in_buffer(message_name, size), name) << size;
        kept.push_back(std::move(server));
    }
}

TEST_F(Connect, IoUringsRepeatedRecvmsgGivesWholeEntries)
{
    const auto c = established();
    ASSERT_EQ(outcome(set_option(c.client, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    for (const std::size_t size : {7, 8, 32, 60, 88, 128}) {
        uring ring;
        alignas(8) std::array<std::byte, 512> room{};
        auto give = uring::request(IORING_OP_PROVIDE_BUFFERS, 1, room.data(), 0);
        give.len = room.size();
        ASSERT_EQ(outcome(ring(give)), "ok");
        ASSERT_EQ(send(c.server, "x", 1, 0), 1);
        ASSERT_TRUE(net::wait_for(c.client, POLLIN));
        msghdr m{};
        m.msg_namelen = static_cast<socklen_t>(size);
        auto sqe = uring::request(IORING_OP_RECVMSG, c.client, &m, 0);
        sqe.len = 1;
        sqe.ioprio = IORING_RECV_MULTISHOT;
        sqe.flags = IOSQE_BUFFER_SELECT;
        ASSERT_EQ(outcome(ring(sqe)), "ok");
        io_uring_recvmsg_out got;
        std::memcpy(&got, room.data(), sizeof(got));
        const std::size_t whole = size < 8    ? 0
                                  : size < 32 ? 8
                                  : size < 56 ? 32
                                  : size < 88 ? 56
                                              : 88;
        EXPECT_EQ(got.namelen, whole) << size;
        if (whole != 0) {
            const auto name = std::span(room).subspan(sizeof(got), whole);
            EXPECT_EQ(bundle::to_string(bundle::validate(name, bundle::origin::kernel)),
                      "well-formed")
                << size;
            EXPECT_EQ(bundle::view(name).length(), whole) << size;
        }
    }
}

} // namespace
