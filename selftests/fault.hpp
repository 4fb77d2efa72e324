// SPDX-License-Identifier: GPL-2.0
// Faults, one in each run of a call: an allocation or a copy from or to user space fails, the
// first, then the second, and so on (Documentation/fault-injection/fault-injection.rst). Each test
// says how many there were and that SCTP has nothing left afterwards. Needs the debug kernel.
#pragma once

#include "ktap.hpp"
#include "stream.hpp"

#include <sys/mount.h>

namespace sctp {

inline const std::string debugfs = "/sys/kernel/debug/";

// Without printing thousands of bytes.
inline testing::AssertionResult same_bytes(std::string_view got, std::string_view wanted)
{
    if (got == wanted)
        return testing::AssertionSuccess();
    const auto at = std::mismatch(got.begin(), got.end(), wanted.begin(), wanted.end()).first;
    return testing::AssertionFailure()
           << got.size() << " bytes, not " << wanted.size() << "; they differ from byte "
           << at - got.begin() << " on" << (got.size() < 50 ? ": " + std::string(got) : "");
}

// While it lives, one of the allocations fails that may not wait for memory, whoever makes it.
// Those in softirqs, which belong to no call, are of this kind.
class atomic_fault {
  public:
    // @kind is failslab or fail_page_alloc; the first @space bytes or pages are given. With a
    // @probability, in per cent, each of up to @times may fail, instead of the first.
    atomic_fault(const std::string &kind, long space, int probability = 100, int times = 1)
        : directory_(debugfs + kind + "/"),
          probability_(open((directory_ + "probability").c_str(), O_WRONLY | O_CLOEXEC)),
          times_before_(times)
    {
        net::spill(directory_ + "ignore-gfp-wait", "Y");
        net::spill(directory_ + "space", std::to_string(space));
        net::spill(directory_ + "times", std::to_string(times));
        if (probability_ < 0 || !set(probability))
            net::fail(directory_);
    }
    atomic_fault(const atomic_fault &) = delete;
    ~atomic_fault() { disarm(); }

    // How many have failed.
    int disarm()
    {
        if (armed_) {
            armed_ = !set(0);
            failed_ = times_before_ - std::atoi(net::slurp(directory_ + "times").c_str());
            net::spill(directory_ + "ignore-gfp-wait", "N");
        }
        return failed_;
    }

  private:
    // Nothing here needs memory.
    [[nodiscard]] bool set(int probability) const
    {
        char text[16];
        const int n = std::snprintf(text, sizeof(text), "%d", probability);
        return write(probability_, text, static_cast<std::size_t>(n)) == n;
    }

    std::string directory_;
    fd probability_;
    int times_before_, failed_ = 0;
    bool armed_ = true;
};

// While it lives, only what functions of a module need may fail, or else of the kernel's function
// @name: what they call, too, as far as the stack tells.
class only_within {
  public:
    only_within(const std::string &name, bool module)
    {
        std::ifstream symbols("/proc/kallsyms");
        std::uint64_t first = ~0ULL, end = 0;
        for (std::string line; std::getline(symbols, line);) {
            std::istringstream words(line);
            std::uint64_t at = 0;
            char type = 0;
            std::string symbol, owner;
            words >> std::hex >> at >> type >> symbol >> owner;
            if (type != 't' && type != 'T')
                continue;
            if (module ? owner == "[" + name + "]" : symbol == name && owner.empty()) {
                first = std::min(first, at);
                end = std::max(end, at + (module ? 16 : 0));
            } else if (!module && first != ~0ULL && at > first) {
                end = end > first ? std::min(end, at) : at;
            }
        }
        if (first >= end)
            throw std::runtime_error(name + " isn't in /proc/kallsyms");
        set(std::to_string(first), std::to_string(end));
    }
    only_within(const only_within &) = delete;
    ~only_within() { set("0", "18446744073709551615"); }

  private:
    static void set(const std::string &start, const std::string &end)
    {
        for (const char *kind : {"failslab/", "fail_page_alloc/", "fail_usercopy/"}) {
            net::spill(debugfs + kind + "require-start", start);
            net::spill(debugfs + kind + "require-end", end);
        }
    }
};

class Fault : public testing::Test {
  protected:
    static void SetUpTestSuite()
    {
        // In virtual time, timers that a fault makes expire count, too.
        ktap::test_limit = 100000;
        why_not_ = prepare();
        // One namespace for all, as one that goes away would change how many objects there are.
        if (!why_not_.empty() || home_)
            return;
        home_ = std::make_unique<net::netns>();
        std::ostringstream lines;
        lines << "link add d0 type dummy\nlink set d0 up\n";
        for (int i = 1; i <= 8; i++)
            lines << "addr add 10.9.0." << i << "/24 dev d0\n";
        net::ip(lines.str());
        // A chunk that was lost for want of memory comes again soon.
        for (const auto &[name, milliseconds] :
             {std::pair{"rto_min", "100"}, {"rto_initial", "200"}, {"rto_max", "1000"}})
            net::spill(std::string("/proc/sys/net/sctp/") + name, milliseconds);
    }
    void SetUp() override
    {
        if (!why_not_.empty())
            GTEST_SKIP() << why_not_;
        home_->enter();
        port = next_port();
        fail_nth = fd(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
        ASSERT_EQ(outcome(fail_nth), "ok");
        before_ = net::sctp_objects();
    }

    void TearDown() override
    {
        if (!why_not_.empty())
            return;
        total_ += faults_;
        std::printf("# %d faults, %d of which the call reported; %d so far\n", faults_, reported_,
                    total_);
        EXPECT_TRUE(nothing_left() && net::eventually([] { return none("eps"); }))
            << net::slurp(proc + "assocs") << net::slurp(proc + "eps");
        EXPECT_TRUE(net::eventually([this] { return net::sctp_objects() == before_; }, 30000))
            << "before:\n"
            << before_ << "after:\n"
            << net::sctp_objects();
    }

    static const net::netns &home() { return *home_; }

    // The addresses of the present port.
    addresses members(int n = 8) const { return range("10.9.0.", n, port); }

    // Runs @call with its first fault, then with its second, and so on until it meets none.
    // @before makes what a call needs; @after gets the call's outcome and checks.
    template <typename Before, typename Call, typename After>
    void each_fault(Before before, Call call, After after, long first = 1)
    {
        constexpr long limit = 100000;
        const int before_these = faults_;
        for (long nth = first; nth < limit; nth++) {
            if (!one_fault(nth, before, call, after)) {
                EXPECT_TRUE(faults_ > before_these || HasFailure()) << "no fault was injected";
                return;
            }
            if (HasFailure())
                return;
        }
        ADD_FAILURE() << "more than " << limit << " faults";
    }

    // Returns whether the call has met its fault.
    template <typename Before, typename Call, typename After>
    bool one_fault(long nth, Before before, Call call, After after)
    {
        auto state = before();
        arm(nth);
        const long result = call(state);
        const int error = errno;
        const bool injected = disarm() == 0;
        errno = error;
        const std::string got = outcome(result);
        count(injected, got);
        after(state, got, injected);
        if (HasFailure())
            ADD_FAILURE() << "at fault " << nth << ", which gave " << got;
        return injected;
    }

    // Likewise with allocations that may not wait, in softirqs, too. @call goes on until nothing
    // more is to come. The one that fails is chosen by the bytes before it, so each does that isn't
    // smaller than @step; one that is larger does several times.
    template <typename Before, typename Call, typename After>
    void each_atomic_fault(Before before, Call call, After after, long step = 512)
    {
        constexpr long limit = 1 << 20;
        for (const auto &[kind, by] : {std::pair{"failslab", step}, {"fail_page_alloc", 1L}}) {
            long space = 0;
            for (bool injected = true; injected; space += by) {
                auto state = before();
                atomic_fault fault(kind, space);
                const std::string got = call(state);
                injected = fault.disarm() != 0;
                count(injected, got);
                after(state, got, injected);
                if (space > limit)
                    ADD_FAILURE() << "more than " << limit;
                if (HasFailure()) {
                    ADD_FAILURE() << kind << " after " << space << ", which gave " << got;
                    return;
                }
            }
            std::printf("# %s: up to %ld\n", kind, space);
            std::fflush(stdout);
            // There may be no page that isn't taken from what is at hand.
            EXPECT_TRUE(space > by || kind != std::string("failslab")) << "no fault at all";
        }
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
    // What connect(2) may say beyond that: it had no memory for a route, or for an answer.
    static bool clean_connect(const std::string &got)
    {
        static const std::set<std::string> errors{"EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED",
                                                  "ECONNABORTED", "ETIMEDOUT"};
        return clean(got) || errors.count(got) != 0;
    }

    // No association is left.
    static bool nothing_left()
    {
        return net::eventually([] { return none("assocs"); }, 30000);
    }

    void count_many(int faults) { faults_ += faults; }
    void count(bool injected, const std::string &got)
    {
        faults_ += injected;
        reported_ += injected && got != "ok" && got != "EINPROGRESS";
    }

    void arm(long nth) const
    {
        char text[16];
        const int n = std::snprintf(text, sizeof(text), "%ld", nth);
        if (pwrite(fail_nth, text, static_cast<std::size_t>(n), 0) != n)
            net::fail("fail-nth");
    }

    // Returns how many more points the fault was away, 0 if it was met.
    long disarm() const
    {
        // Reading may itself meet the fault, where the call met none; then it is read again.
        char text[16] = {};
        ssize_t n = pread(fail_nth, text, sizeof(text) - 1, 0);
        if (n < 0)
            n = pread(fail_nth, text, sizeof(text) - 1, 0);
        while (pwrite(fail_nth, "0", 1, 0) != 1)
            if (errno != EFAULT && errno != ENOMEM)
                net::fail("fail-nth");
        return n > 0 ? std::atol(text) : 0;
    }

    std::uint16_t port = 0;

  private:
    static inline const std::string proc = "/proc/thread-self/net/sctp/";

    // Makes faults possible. Returns why they aren't.
    static std::string prepare()
    {
        if (!net::is_root())
            return "needs root, to inject faults";
        if (access("/proc/thread-self/fail-nth", W_OK) < 0)
            return "this kernel has no fault injection (/proc/thread-self/fail-nth)";
        if (access((debugfs + "failslab").c_str(), F_OK) < 0)
            mount("debugfs", debugfs.c_str(), "debugfs", 0, nullptr);
        if (access((debugfs + "failslab/require-start").c_str(), F_OK) < 0)
            return "this kernel has no failslab with a filter (" + debugfs + "failslab)";
        // Fail allocations that may sleep and single pages, too, and don't fill the log: each
        // would print a trace.
        for (const auto &[name, value] : {std::pair{"failslab/ignore-gfp-wait", "N"},
                                          {"fail_page_alloc/ignore-gfp-wait", "N"},
                                          {"fail_page_alloc/min-order", "0"},
                                          {"failslab/verbose", "0"},
                                          {"fail_page_alloc/verbose", "0"},
                                          {"fail_usercopy/verbose", "0"}})
            net::spill(debugfs + name, value);
        return {};
    }

    static bool none(const std::string &file)
    {
        std::istringstream lines(net::slurp(proc + file));
        std::string line;
        std::getline(lines, line);
        return !std::getline(lines, line);
    }

    static inline std::unique_ptr<net::netns> home_;
    static inline std::string why_not_;
    static inline int total_ = 0;
    fd fail_nth;
    int faults_ = 0, reported_ = 0;
    std::string before_;
};

// With sockets that listen and connect.
class FaultConnect : public Fault {
  protected:
    struct ends {
        fd listener, client, server;
        long result = 0;
    };

    // Each time with a port of its own, as something may be left of the last one's associations.
    ends both(int type = SOCK_STREAM, int n = 8)
    {
        port = next_port();
        return {listen_at(members(n), type), open_socket(type), {}};
    }

    ends connected(int type = SOCK_STREAM, int n = 3)
    {
        ends e = both(type, n);
        if (connect_to(e.client, members(n)) < 0)
            net::fail("connect");
        if (type == SOCK_STREAM)
            e.server = accept(e.listener);
        return e;
    }

    static constexpr std::size_t room = 8192;

    // What was sent arrives, whole and in order, and so does what follows, in either direction, and
    // its end.
    static void expect_stream(ends &e, const std::string &sent)
    {
        EXPECT_EQ(outcome(send_all(e.client, "end")), "ok");
        EXPECT_EQ(outcome(::shutdown(e.client, SHUT_WR)), "ok");
        EXPECT_TRUE(same_bytes(received_to_end(e.server, room), sent + "end"));
        EXPECT_EQ(outcome(send_all(e.server, "answer")), "ok");
        e.server.reset();
        EXPECT_EQ(received_to_end(e.client, room), "answer");
    }
};

} // namespace sctp
