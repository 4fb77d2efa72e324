// SPDX-License-Identifier: GPL-2.0
// Every allocation and every copy from or to user space in calls with bundles fails once, in turn
// (Documentation/fault-injection/fault-injection.rst). The call must fail cleanly or succeed, and
// afterwards the socket must be as it was. Needs the debug kernel.
#include "sctp.hpp"

#include <sys/mount.h>

namespace {

using namespace sctp;

class Fault : public testing::Test {
  protected:
    static constexpr const char *switches = "/sys/kernel/debug/";

    void SetUp() override
    {
        if (!net::is_root())
            GTEST_SKIP() << "needs root, to inject faults";
        if (access("/proc/thread-self/fail-nth", W_OK) < 0)
            GTEST_SKIP() << "this kernel has no fault injection (/proc/thread-self/fail-nth)";
        if (access("/sys/kernel/debug/failslab", F_OK) < 0)
            mount("debugfs", "/sys/kernel/debug", "debugfs", 0, nullptr);
        if (access("/sys/kernel/debug/failslab", F_OK) < 0)
            GTEST_SKIP() << "this kernel has no failslab (/sys/kernel/debug/failslab)";
        // Fail allocations that may sleep, too, and don't fill the log: each would print a trace.
        net::spill("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
        for (const char *kind : {"failslab", "fail_page_alloc", "fail_usercopy", "fail_function"}) {
            const std::string verbose = std::string("/sys/kernel/debug/") + kind + "/verbose";
            if (access(verbose.c_str(), F_OK) == 0)
                net::spill(verbose, "0");
        }
        home = std::make_unique<net::netns>();
        std::ostringstream lines;
        lines << "link add d0 type dummy\nlink set d0 up\n";
        for (int i = 1; i <= 8; i++)
            lines << "addr add 10.9.0." << i << "/24 dev d0\n";
        net::ip(lines.str());
        // A chunk that was lost for want of memory comes again soon.
        for (const auto &[name, milliseconds] :
             {std::pair{"rto_min", "100"}, {"rto_initial", "200"}, {"rto_max", "1000"}})
            net::spill(std::string("/proc/sys/net/sctp/") + name, milliseconds);
        port = next_port();
        fail_nth = fd(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
        ASSERT_EQ(outcome(fail_nth), "ok");
    }

    addresses members() const { return range("10.9.0.", 8, port); }

    // Runs @call with its first fault, then with its second, and so on until it meets none.
    // @before makes what a call needs; @after gets the call's outcome and checks.
    template <typename Before, typename Call, typename After>
    void each_fault(Before before, Call call, After after)
    {
        constexpr int limit = 2000;
        int faults = 0;
        for (int nth = 1; nth < limit; nth++) {
            auto state = before();
            arm(nth);
            const long result = call(state);
            const int error = errno;
            const bool injected = disarm();
            errno = error;
            const std::string got = outcome(result);
            faults += injected;
            after(state, got, injected);
            if (HasFailure()) {
                ADD_FAILURE() << "at fault " << nth << ", which gave " << got;
                return;
            }
            if (!injected) {
                EXPECT_GT(faults, 0) << "no fault was injected at all";
                return;
            }
        }
        ADD_FAILURE() << "more than " << limit << " faults";
    }

    // What a call may say when memory or its copy fails.
    static bool clean(const std::string &got)
    {
        // ENFILE and EADDRINUSE: what the socket layer and SCTP say without memory for a socket
        // and for a port.
        static const std::set<std::string> errors{"ENOMEM", "ENOBUFS", "EFAULT",
                                                  "EAGAIN", "ENFILE",  "EADDRINUSE"};
        return errors.count(got) != 0;
    }

    std::unique_ptr<net::netns> home;
    std::uint16_t port = 0;

  private:
    void arm(int nth) const
    {
        char text[16];
        const int n = std::snprintf(text, sizeof(text), "%d", nth);
        if (pwrite(fail_nth, text, static_cast<std::size_t>(n), 0) != n)
            net::fail("fail-nth");
    }

    // Whether the fault was met.
    bool disarm() const
    {
        // Reading may itself meet the fault, where the call met none; then it is read again.
        char text[16] = {};
        ssize_t n = pread(fail_nth, text, sizeof(text) - 1, 0);
        if (n < 0)
            n = pread(fail_nth, text, sizeof(text) - 1, 0);
        while (pwrite(fail_nth, "0", 1, 0) != 1)
            if (errno != EFAULT && errno != ENOMEM)
                net::fail("fail-nth");
        return n <= 0 || std::atoi(text) == 0;
    }

    fd fail_nth;
};

TEST_F(Fault, SocketFailsCleanly)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        each_fault([] { return fd(); },
                   [type](fd &s) {
                       s = fd(::socket(AF_BUNDLE, type, 0));
                       return int{s};
                   },
                   [](fd &, const std::string &got, bool injected) {
                       if (!injected) {
                           EXPECT_EQ(got, "ok");
                       } else {
                           EXPECT_TRUE(got == "ok" || clean(got));
                       }
                   });
}

TEST_F(Fault, BindBindsAllOrNone)
{
    each_fault([] { return open_socket(); }, [this](fd &s) { return bind_to(s, members()); },
               [this](fd &s, const std::string &got, bool injected) {
                   if (got != "ok") {
                       EXPECT_TRUE(injected && clean(got));
                       EXPECT_TRUE(unbound(s));
                       EXPECT_TRUE(port_free(port));
                       EXPECT_EQ(outcome(bind_to(s, members())), "ok");
                   }
                   EXPECT_EQ(local_set(s), sorted(members()));
               });
}

TEST_F(Fault, BindOfAnOrdinarySocketBindsAllOrNone)
{
    each_fault([] { return open_socket(SOCK_STREAM, AF_INET); },
               [this](fd &s) { return bind_to(s, members()); },
               [this](fd &s, const std::string &got, bool injected) {
                   if (got != "ok") {
                       EXPECT_TRUE(injected && clean(got));
                       EXPECT_TRUE(port_free(port));
                       EXPECT_EQ(outcome(bind_to(s, members())), "ok");
                   }
                   EXPECT_EQ(sctp_local_set(s), sorted(members()));
               });
}

struct ends {
    fd listener, client;
};

class FaultConnect : public Fault {
  protected:
    ends both(int type)
    {
        port = next_port();
        ends e{open_socket(type), open_socket(type)};
        if (bind_to(e.listener, members()) < 0 || listen(e.listener, 8) < 0)
            net::fail("the server's bind");
        return e;
    }
};

TEST_F(FaultConnect, ConnectFailsCleanlyAndCanBeRepeated)
{
    each_fault(
        [this] {
            ends e = both(SOCK_STREAM);
            nonblocking(e.client);
            return e;
        },
        [this](ends &e) { return connect_to(e.client, members()); },
        [this](ends &e, const std::string &got, bool injected) {
            nonblocking(e.client, false);
            timeval limit{10, 0};
            set_option(e.client, SOL_SOCKET, SO_SNDTIMEO, limit);
            if (got != "EINPROGRESS") {
                EXPECT_TRUE(injected);
                EXPECT_TRUE(clean(got) || got == "EHOSTUNREACH" || got == "ENETUNREACH") << got;
            }
            std::string again = outcome(connect_to(e.client, members()));
            if (got == "EINPROGRESS" && injected && again != "ok") {
                // The fault met the handshake, in the backlog that the call worked off.
                EXPECT_TRUE(clean(again) || again == "ECONNREFUSED" || again == "ECONNABORTED")
                    << again;
                again = outcome(connect_to(e.client, members()));
            }
            ASSERT_EQ(again, "ok");
            EXPECT_EQ(peer_set(e.client), sorted(members()));
        });
}

TEST_F(FaultConnect, SendtoFailsCleanlyAndCanBeRepeated)
{
    each_fault([this] { return both(SOCK_SEQPACKET); },
               [this](ends &e) { return sendto(e.client, members(), "x", MSG_DONTWAIT); },
               [this](ends &e, const std::string &got, bool injected) {
                   if (got != "ok") {
                       EXPECT_TRUE(injected);
                       EXPECT_TRUE(clean(got) || got == "EHOSTUNREACH" || got == "ENETUNREACH")
                           << got;
                   }
                   EXPECT_EQ(outcome(sendto(e.client, members())), "ok");
                   EXPECT_EQ(associations(e.client).size(), 1U);
               });
}

TEST_F(FaultConnect, OptionsAndNamesFailCleanly)
{
    const ends e = both(SOCK_STREAM);
    ASSERT_EQ(outcome(connect_to(e.client, members())), "ok");
    ASSERT_EQ(outcome(set_option(e.client, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    alignas(8) std::array<std::byte, bundle::max_length> room{};
    const int s = e.client;
    const auto nothing = [] { return 0; };
    const auto judge = [&](int, const std::string &got, bool injected) {
        EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
    };
    for (const int option : {BUNDLE_LOCAL_ADDRS, BUNDLE_PEER_ADDRS, BUNDLE_PATHS})
        each_fault(
            nothing,
            [&](int) {
                socklen_t length = room.size();
                return getsockopt(s, SOL_BUNDLE, option, room.data(), &length);
            },
            judge);
    each_fault(
        nothing,
        [&](int) {
            socklen_t length = room.size();
            return getpeername(s, as_sockaddr(room.data()), &length);
        },
        judge);
    each_fault(
        nothing,
        [&](int) {
            socklen_t length = room.size();
            return getsockname(s, as_sockaddr(room.data()), &length);
        },
        judge);
    EXPECT_EQ(peer_set(e.client), sorted(members()));
}

TEST_F(FaultConnect, CloseLeavesNothingWhateverFails)
{
    each_fault(
        [this] {
            ends e = both(SOCK_STREAM);
            if (connect_to(e.client, members()) < 0)
                net::fail("connect");
            return e;
        },
        [](ends &e) {
            e.client.reset();
            return 0;
        },
        [](ends &, const std::string &got, bool) { EXPECT_EQ(got, "ok"); });
}

} // namespace
