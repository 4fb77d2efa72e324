// SPDX-License-Identifier: GPL-2.0
// Faults in byte streams: whatever a call says, what has been accepted arrives whole and in order,
// and what has arrived can still be received. Needs the debug kernel.
#include "fault.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

namespace {

using namespace sctp;

class FaultStream : public FaultConnect {
  protected:
    // Sends by @call what @text begins with; as much of it arrives as the call has said.
    template <typename Prepare, typename Call>
    void each_fault_in_sending(const std::string &text, Prepare prepare, Call call)
    {
        each_fault(
            [&] {
                ends e = connected();
                nonblocking(e.client);
                prepare(e);
                return e;
            },
            [&](ends &e) { return e.result = call(e.client); },
            [&](ends &e, const std::string &got, bool injected) {
                EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
                const auto sent = static_cast<std::size_t>(std::max(e.result, 0L));
                nonblocking(e.client, false);
                expect_stream(e, text.substr(0, sent));
            });
    }
    template <typename Call>
    void each_fault_in_sending(const std::string &text, Call call)
    {
        each_fault_in_sending(
            text, [](ends &) {}, call);
    }

    // Receives by @call from a server that has sent @text and closed; the rest is there, too.
    template <typename Call>
    void each_fault_in_receiving(Call call)
    {
        const std::string text = pattern(500);
        each_fault(
            [&] {
                ends e = connected();
                // Three messages.
                send_all(e.server, text.substr(0, 200));
                send_all(e.server, text.substr(200, 200));
                send_all(e.server, text.substr(400));
                e.server.reset();
                net::wait_for(e.client, POLLRDHUP);
                return e;
            },
            [&](ends &e) {
                into_.assign(600, '\0');
                return e.result = call(e.client);
            },
            [&](ends &e, const std::string &got, bool injected) {
                EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
                const auto n = static_cast<std::size_t>(std::max(e.result, 0L));
                EXPECT_TRUE(same_bytes(into_.substr(0, n) + received_to_end(e.client, room), text));
            });
    }

    std::string into_;
};

TEST_F(FaultStream, WhatIsSentArrivesWhole)
{
    const std::string text = pattern(3000);
    each_fault_in_sending(text, [&](int s) { return send_all(s, text); });
}

TEST_F(FaultStream, ALongWriteIsCutWhereItFails)
{
    const std::string text = pattern(12000);
    each_fault_in_sending(
        text, [](ends &e) { set_option(e.client, SOL_SOCKET, SO_SNDBUF, 5000); },
        [&](int s) { return send_all(s, text); });
}

TEST_F(FaultStream, VectorsAndCorkedOnesToo)
{
    std::string text = pattern(600);
    std::array<iovec, 12> parts{};
    for (std::size_t i = 0; i < parts.size(); i++)
        parts[i] = {text.data() + i * 50, 50};
    const auto call = [&](int s) { return writev(s, parts.data(), parts.size()); };
    each_fault_in_sending(text, call);
    each_fault_in_sending(
        text, [](ends &e) { set_option(e.client, IPPROTO_TCP, TCP_CORK, 1); },
        [&](int s) {
            const ssize_t n = call(s);
            const int error = errno;
            set_option(s, IPPROTO_TCP, TCP_CORK, 0);
            errno = error;
            return n;
        });
    each_fault_in_sending(text, [&](int s) {
        mmsghdr two[2]{};
        two[0].msg_hdr.msg_iov = parts.data();
        two[0].msg_hdr.msg_iovlen = parts.size() / 2;
        two[1].msg_hdr.msg_iov = parts.data() + parts.size() / 2;
        two[1].msg_hdr.msg_iovlen = parts.size() / 2;
        const int n = sendmmsg(s, two, 2, 0);
        // The count of the second one may be what couldn't be copied; then it has been sent.
        return n < 0 ? n : n == 2 ? 600L : 300L;
    });
}

TEST_F(FaultStream, FilesAndPipesToo)
{
    const std::string text = pattern(3000);
    const fd file(memfd_create("text", MFD_CLOEXEC));
    ASSERT_EQ(write(file, text.data(), text.size()), 3000);
    each_fault_in_sending(text, [&](int s) {
        off_t at = 0;
        return sendfile(s, file, &at, text.size());
    });
    int ends_of_pipe[2];
    ASSERT_EQ(pipe2(ends_of_pipe, O_CLOEXEC | O_NONBLOCK), 0);
    const fd out(ends_of_pipe[0]), in(ends_of_pipe[1]);
    each_fault_in_sending(
        text,
        [&](ends &) {
            std::string rest(4000, '\0');
            while (read(out, rest.data(), rest.size()) > 0) {
            }
            ASSERT_EQ(write(in, text.data(), text.size()), 3000);
        },
        [&](int s) { return splice(out, nullptr, s, nullptr, text.size(), 0); });
}

TEST_F(FaultStream, WhatHasArrivedCanBeReceived)
{
    const auto buffer = [this] { return into_.data(); };
    each_fault_in_receiving([&](int s) { return recv(s, buffer(), 100, 0); });
    each_fault_in_receiving([&](int s) { return recv(s, buffer(), 600, 0); });
    each_fault_in_receiving([&](int s) { return recv(s, buffer(), 450, MSG_WAITALL); });
    each_fault_in_receiving([&](int s) {
        set_option(s, SOL_SOCKET, SO_RCVLOWAT, 300);
        return recv(s, buffer(), 600, 0);
    });
    each_fault_in_receiving([&](int s) {
        iovec parts[] = {{buffer(), 150}, {buffer() + 150, 150}};
        return readv(s, parts, 2);
    });
    // What is only looked at stays.
    each_fault_in_receiving([&](int s) {
        const ssize_t n = recv(s, buffer(), 450, MSG_PEEK);
        return n < 0 ? n : 0;
    });
}

TEST_F(FaultStream, IntoPipesToo)
{
    int ends_of_pipe[2];
    ASSERT_EQ(pipe2(ends_of_pipe, O_CLOEXEC | O_NONBLOCK), 0);
    const fd out(ends_of_pipe[0]), in(ends_of_pipe[1]);
    each_fault_in_receiving([&](int s) {
        const ssize_t n = splice(s, nullptr, in, nullptr, 450, 0);
        const int error = errno;
        // This one may meet the fault instead, and then finds it gone.
        for (int i = 0; n > 0 && i < 2; i++)
            if (read(out, into_.data(), into_.size()) == n)
                break;
        errno = error;
        return n;
    });
}

TEST_F(FaultStream, AnEndIsMarkedOrNot)
{
    for (const std::string &text : {pattern(1000), std::string()})
        each_fault(
            [&] {
                ends e = connected();
                send_all(e.client, text);
                return e;
            },
            [](ends &e) { return e.result = ::shutdown(e.client, SHUT_WR); },
            [&](ends &e, const std::string &got, bool injected) {
                if (got != "ok") {
                    EXPECT_TRUE(injected && clean(got)) << got;
                    expect_stream(e, text);
                    return;
                }
                EXPECT_EQ(outcome(send_all(e.client, "x")), "EPIPE");
                EXPECT_TRUE(same_bytes(received_to_end(e.server, room), text));
                EXPECT_EQ(outcome(send_all(e.server, "answer")), "ok");
                e.server.reset();
                EXPECT_EQ(received_to_end(e.client, room), "answer");
            });
}

TEST_F(FaultStream, TcpsOptionsAreGivenAndTakenOrNot)
{
    static constexpr int set[] = {TCP_NODELAY,      TCP_MAXSEG,   TCP_CORK,         TCP_KEEPIDLE,
                                  TCP_KEEPINTVL,    TCP_KEEPCNT,  TCP_USER_TIMEOUT, TCP_QUICKACK,
                                  TCP_DEFER_ACCEPT, TCP_FASTOPEN, TCP_SYNCNT};
    ends e = connected();
    const int s = e.client;
    // Each is taken as long as heartbeats follow the options.
    ASSERT_EQ(outcome(set_option(s, SOL_SOCKET, SO_KEEPALIVE, 1)), "ok");
    const auto each = [&](auto call) {
        each_fault([] { return 0; }, [&](int) { return call(); },
                   [&](int, const std::string &got, bool injected) {
                       EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
                   });
    };
    for (const int option : set) {
        const int value = option == TCP_MAXSEG ? 1000 : 1;
        each([&] { return set_option(s, IPPROTO_TCP, option, value); });
        each([&] {
            int result = 0;
            socklen_t length = sizeof(result);
            return getsockopt(s, IPPROTO_TCP, option, &result, &length);
        });
    }
    each([&] {
        tcp_info info{};
        socklen_t length = sizeof(info);
        return getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &length);
    });
    each([&] {
        char name[16];
        socklen_t length = sizeof(name);
        return getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &length);
    });
    each([&] { return setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "sctp", 4); });
    each([&] { return set_option(s, SOL_SOCKET, SO_KEEPALIVE, 1); });
    expect_stream(e, "");
}

TEST_F(FaultStream, PollAndIoctlTellOrFail)
{
    ends e = connected();
    send_all(e.server, "text");
    ASSERT_TRUE(net::wait_for(e.client, POLLIN));
    const fd set(epoll_create1(EPOLL_CLOEXEC));
    const auto each = [&](auto call) {
        each_fault([] { return 0L; }, [&](long &result) { return result = call(); },
                   [&](long result, const std::string &got, bool injected) {
                       EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
                       if (got == "ok") {
                           EXPECT_EQ(result, 1);
                       }
                   });
    };
    for (const int low : {1, 4}) {
        set_option(e.client, SOL_SOCKET, SO_RCVLOWAT, low);
        each([&] {
            pollfd one{e.client, POLLIN, 0};
            return poll(&one, 1, 0);
        });
    }
    each([&] {
        epoll_event event{EPOLLIN, {}};
        if (epoll_ctl(set, EPOLL_CTL_ADD, e.client, &event) < 0)
            return -1;
        const int n = epoll_wait(set, &event, 1, 0);
        const int error = errno;
        epoll_ctl(set, EPOLL_CTL_DEL, e.client, nullptr);
        errno = error;
        return n;
    });
    for (const unsigned long request : {SIOCINQ, SIOCOUTQ})
        each([&] {
            int value = -1;
            return ioctl(e.client, request, &value) < 0 ? -1 : 1;
        });
    EXPECT_EQ(received(e.client, room), "text");
    expect_stream(e, "");
}

// The connection that couldn't be accepted can be, or its client learns that it has gone.
TEST_F(FaultStream, AcceptAcceptsOrNot)
{
    each_fault(
        [this] {
            ends e = both(SOCK_STREAM, 3);
            if (connect_to(e.client, members(3)) < 0)
                net::fail("connect");
            send_all(e.client, "text");
            net::wait_for(e.listener, POLLIN);
            return e;
        },
        [](ends &e) {
            sockaddr_storage name;
            socklen_t length = sizeof(name);
            e.server =
                fd(accept4(e.listener, reinterpret_cast<sockaddr *>(&name), &length, SOCK_CLOEXEC));
            return int{e.server};
        },
        [](ends &e, const std::string &got, bool injected) {
            EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
            if (got != "ok" && net::wait_for(e.listener, POLLIN, 0)) {
                e.server = fd(accept4(e.listener, nullptr, nullptr, SOCK_CLOEXEC));
                EXPECT_EQ(outcome(e.server), "ok");
            }
            if (e.server >= 0) {
                expect_stream(e, "text");
                return;
            }
            net::wait_for(e.client, POLLIN, 60000);
            const std::string end = received(e.client, room);
            EXPECT_TRUE(end.empty() || end == "error: ECONNRESET") << end;
        });
}

TEST_F(FaultStream, CloseLeavesNothingThoughDataAreUnsent)
{
    const std::string text = pattern(3000);
    for (const bool abort : {false, true})
        each_fault(
            [&] {
                ends e = connected();
                // The cork holds some back; nobody has read the others.
                set_option(e.client, IPPROTO_TCP, TCP_CORK, 1);
                send_all(e.client, text);
                send_all(e.server, text);
                if (abort)
                    set_option(e.client, SOL_SOCKET, SO_LINGER, abort_on_close);
                return e;
            },
            [](ends &e) {
                e.client.reset();
                return 0;
            },
            [&](ends &e, const std::string &got, bool) {
                EXPECT_EQ(got, "ok");
                const std::string arrived = received_to_end(e.server, room);
                EXPECT_TRUE(arrived == text || arrived == "error: ECONNRESET") << arrived.size();
            });
}

} // namespace
