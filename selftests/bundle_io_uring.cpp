// SPDX-License-Identifier: GPL-2.0
// Bundles by way of io_uring, on one-to-one sockets and others.
#include "connect.hpp"

#include <atomic>

#include <linux/io_uring.h>

namespace {

using namespace sctp;

// A ring for one request at a time.
class uring {
  public:
    uring()
    {
        io_uring_params params{};
        ring_ = fd(static_cast<int>(syscall(__NR_io_uring_setup, 4, &params)));
        if (ring_ < 0)
            net::fail("io_uring_setup");
        submitted_ =
            map(params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
        completed_ =
            map(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
        entries_ = reinterpret_cast<io_uring_sqe *>(
            map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
        params_ = params;
    }

    // The request's result, as of a system call.
    long operator()(const io_uring_sqe &request)
    {
        auto *tail = reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.tail);
        const unsigned index =
            *tail & *reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.ring_mask);
        entries_[index] = request;
        reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.array)[index] = index;
        std::atomic_ref(*tail).store(*tail + 1, std::memory_order_release);
        if (syscall(__NR_io_uring_enter, int{ring_}, 1, 0, 0, nullptr, 0) != 1)
            net::fail("io_uring_enter");
        auto *head = reinterpret_cast<unsigned *>(completed_ + params_.cq_off.head);
        auto *end = reinterpret_cast<unsigned *>(completed_ + params_.cq_off.tail);
        if (!net::wait_for(ring_, POLLIN) ||
            std::atomic_ref(*end).load(std::memory_order_acquire) == *head)
            throw std::runtime_error("io_uring: nothing completed");
        const auto &done = reinterpret_cast<io_uring_cqe *>(
            completed_ + params_.cq_off.cqes)[*head & *reinterpret_cast<unsigned *>(
                                                          completed_ + params_.cq_off.ring_mask)];
        const int result = done.res;
        std::atomic_ref(*head).store(*head + 1, std::memory_order_release);
        errno = result < 0 ? -result : 0;
        return result < 0 ? -1 : result;
    }

    static io_uring_sqe request(int operation, int s, const void *address, std::uint64_t second)
    {
        io_uring_sqe sqe{};
        sqe.opcode = static_cast<std::uint8_t>(operation);
        sqe.fd = s;
        sqe.addr = reinterpret_cast<std::uintptr_t>(address);
        sqe.off = second;
        return sqe;
    }

  private:
    std::byte *map(std::size_t size, off_t offset) const
    {
        void *p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring_, offset);
        if (p == MAP_FAILED)
            net::fail("mmap of a ring");
        return static_cast<std::byte *>(p);
    }

    fd ring_;
    std::byte *submitted_, *completed_;
    io_uring_sqe *entries_;
    io_uring_params params_;
};

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
