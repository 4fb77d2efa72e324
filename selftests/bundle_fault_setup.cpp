// SPDX-License-Identifier: GPL-2.0
// Faults in setting up over several addresses: in the call, and in the softirqs of either side,
// where INITs and cookies arrive and timers send the next ones. An attempt that a fault costs may
// fail; it must leave a socket that can connect. Needs the debug kernel.
#include "fault.hpp"
#include "routed.hpp"

namespace {

using namespace sctp;

class FaultSetup : public FaultConnect {
  protected:
    // @n of the host's addresses.
    addresses at(int first, int n) const
    {
        const addresses all = members();
        return {all.begin() + first, all.begin() + first + n};
    }

    static void limit(int s, int seconds)
    {
        set_option(s, SOL_SOCKET, SO_SNDTIMEO, timeval{seconds, 0});
    }

    // A client, and a listener at so many addresses from the @first on.
    ends prepared(int listening, int first = 0, int type = SOCK_STREAM)
    {
        port = next_port();
        ends e{listen_at(at(first, listening), type), open_socket(type), {}};
        limit(e.client, 20);
        return e;
    }

    // What connect(2) said was right, and a connection can be had and used.
    void expect_connected(ends &e, const socket_address &to, const std::string &got, bool injected)
    {
        if (got != "ok") {
            EXPECT_TRUE(injected && clean_connect(got)) << got;
            ASSERT_EQ(outcome(connect_to(e.client, to)), "ok");
        }
        e.server = accept(e.listener);
        // The one whose client has given up may come first.
        if (received(e.server, 1, MSG_PEEK).starts_with("error") && got != "ok" &&
            net::wait_for(e.listener, POLLIN, 0))
            e.server = accept(e.listener);
        expect_stream(e, "");
    }

    // Both ways in which a fault may meet a connect(2) that waits, to what @to returns.
    template <typename Prepare, typename To>
    void each_fault_in_connecting(Prepare prepare, To to)
    {
        std::optional<socket_address> all;
        const auto before = [&] {
            ends e = prepare();
            all = socket_address(to());
            return e;
        };
        const auto call = [&](ends &e) { return connect_to(e.client, *all); };
        const auto after = [&](ends &e, const std::string &got, bool injected) {
            expect_connected(e, *all, got, injected);
        };
        each_fault(before, call, after);
        each_atomic_fault(
            before, [&](ends &e) { return outcome(call(e)); }, after);
    }
};

TEST_F(FaultSetup, WithAllAddressesAnswering)
{
    each_fault_in_connecting([this] { return prepared(3); }, [this] { return at(0, 3); });
}

// The first ones refuse, then come some that swallow everything.
TEST_F(FaultSetup, WithAddressesThatRefuseOrAreDead)
{
    const filter dead(home(), home(), "ip daddr {10.9.0.3, 10.9.0.4} meta l4proto sctp drop");
    each_fault_in_connecting([this] { return prepared(2, 4); }, [this] { return at(0, 6); });
}

// All refuse, and it is never said that they are connected.
TEST_F(FaultSetup, WithNobodyListening)
{
    const auto prepare = [this] { return prepared(1, 7); };
    const auto after = [this](ends &e, const std::string &got, bool injected) {
        EXPECT_TRUE(got == "ECONNREFUSED" || (injected && got != "ok" && clean_connect(got)))
            << got;
        ASSERT_EQ(outcome(connect_to(e.client, at(7, 1))), "ok");
    };
    const auto call = [this](ends &e) { return connect_to(e.client, at(0, 3)); };
    each_fault(prepare, call, after);
    each_atomic_fault(
        prepare, [&](ends &e) { return outcome(call(e)); }, after);
}

// INITs that timers send: the first round is lost.
TEST_F(FaultSetup, WithALostRound)
{
    const filter lossy(home(), home(),
                       "meta l4proto sctp sctp chunk init exists numgen inc mod 6 < 3 drop");
    each_fault_in_connecting([this] { return prepared(3); }, [this] { return at(0, 3); });
}

// Those that have answered are deaf to cookies: another attempt begins, with those of another.
TEST_F(FaultSetup, WithASecondAttempt)
{
    const filter deaf(home(), home(),
                      "ip daddr {10.9.0.1, 10.9.0.2} meta l4proto sctp "
                      "sctp chunk cookie-echo exists drop");
    fd other;
    const auto prepare = [&] {
        ends e = prepared(2, 2);
        other = listen_at(at(0, 2));
        return e;
    };
    each_fault_in_connecting(prepare, [this] { return at(0, 4); });
    other.reset();
}

// A host that is dead, one that refuses, and one that answers.
TEST_F(FaultSetup, WithSeveralHosts)
{
    const filter dead(home(), home(), "ip daddr {10.9.0.7, 10.9.0.8} meta l4proto sctp drop");
    each_fault_in_connecting([this] { return prepared(2, 4); },
                             [this] {
                                 return hosts_of({at(6, 2), at(2, 2), at(4, 2)});
                             });
}

// sendmsg(2) of a socket that has many associations begins one.
TEST_F(FaultSetup, ByAMessage)
{
    const auto prepare = [this] { return prepared(3, 0, SOCK_SEQPACKET); };
    const auto call = [this](ends &e) { return sendto(e.client, at(0, 3), "text"); };
    const auto after = [this](ends &e, const std::string &got, bool injected) {
        if (got != "ok") {
            EXPECT_TRUE(injected && clean_connect(got)) << got;
            ASSERT_EQ(outcome(sendto(e.client, at(0, 3), "text")), "ok");
        }
        EXPECT_EQ(received(e.listener, room), "text");
        EXPECT_EQ(associations(e.client).size(), 1U);
    };
    each_fault(prepare, call, after);
    each_atomic_fault(
        prepare, [&](ends &e) { return outcome(call(e)); }, after);
}

// Data, the marks of both ends, and what ends an association, where nobody's call is.
TEST_F(FaultSetup, AWholeConnectionBearsAFaultAnywhere)
{
    const std::string text = pattern(3000);
    each_atomic_fault([this] { return connected(); },
                      [&](ends &e) {
                          const std::string result = outcome(send_all(e.client, text));
                          expect_stream(e, text);
                          e.client.reset();
                          net::eventually([] { return nothing_left(); });
                          return result;
                      },
                      [](ends &, const std::string &got, bool) { EXPECT_EQ(got, "ok"); });
}

// One in five fails. What arrives is what was sent, as far as it got, and afterwards all is well.
TEST_F(FaultSetup, AfterManyFaultsAllIsWell)
{
    const std::string text = pattern(3000);
    for (const std::string kind : {"failslab", "fail_page_alloc"})
        for (int i = 0; i < 50 && !HasFailure(); i++) {
            ends e = prepared(3);
            limit(e.client, 3);
            nonblocking(e.listener);
            {
                atomic_fault many(kind, 0, 20, 1000000);
                if (connect_to(e.client, at(0, 3)) == 0) {
                    e.server = fd(::accept4(e.listener, nullptr, nullptr, SOCK_CLOEXEC));
                    send_all(e.client, text, MSG_DONTWAIT);
                    ::shutdown(e.client, SHUT_WR);
                    std::string got, part;
                    while (e.server >= 0 && net::wait_for(e.server, POLLIN, 3000) &&
                           !(part = received(e.server, room)).empty() &&
                           !part.starts_with("error: "))
                        got += part;
                    EXPECT_TRUE(same_bytes(got, text.substr(0, got.size())));
                }
                count_many(many.disarm());
            }
            e.server.reset();
            e.client = open_socket();
            limit(e.client, 20);
            while (net::wait_for(e.listener, POLLIN, 0))
                fd(::accept4(e.listener, nullptr, nullptr, SOCK_CLOEXEC));
            ASSERT_EQ(outcome(connect_to(e.client, at(0, 3))), "ok");
            e.server = accept(e.listener);
            expect_stream(e, "");
        }
}

} // namespace
