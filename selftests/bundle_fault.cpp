// SPDX-License-Identifier: GPL-2.0
// Faults in the calls that take or give a bundle: each allocation and each copy from or to user
// space fails once, in turn. The call must fail cleanly or succeed, and afterwards the socket must
// be as it was. Needs the debug kernel.
#include "fault.hpp"

namespace {

using namespace sctp;

TEST_F(Fault, SocketFailsCleanly)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        each_fault([] { return fd(); },
                   [type](fd &s) {
                       s = fd(::socket(AF_BUNDLE, type, 0));
                       return int{s};
                   },
                   [](fd &, const std::string &got, bool injected) {
                       EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
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

TEST_F(FaultConnect, ConnectFailsCleanlyAndCanBeRepeated)
{
    each_fault(
        [this] {
            ends e = both();
            nonblocking(e.client);
            return e;
        },
        [this](ends &e) { return connect_to(e.client, members()); },
        [this](ends &e, const std::string &got, bool injected) {
            nonblocking(e.client, false);
            timeval limit{10, 0};
            set_option(e.client, SOL_SOCKET, SO_SNDTIMEO, limit);
            if (got != "EINPROGRESS") {
                EXPECT_TRUE(injected && clean_connect(got)) << got;
            }
            std::string again = outcome(connect_to(e.client, members()));
            if (got == "EINPROGRESS" && injected && again != "ok") {
                // The fault met the handshake, in the backlog that the call worked off.
                EXPECT_TRUE(clean_connect(again)) << again;
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
                       EXPECT_TRUE(injected && clean_connect(got)) << got;
                   }
                   EXPECT_EQ(outcome(sendto(e.client, members())), "ok");
                   EXPECT_EQ(associations(e.client).size(), 1U);
               });
}

// Options and names, which need an association.
class FaultOptions : public FaultConnect {
  protected:
    // Calls @call until it meets no fault; it may say @wanted, too.
    template <typename Call>
    void each(Call call, const std::string &wanted = "ok")
    {
        each_fault([] { return 0; }, [&](int) { return call(); },
                   [&](int, const std::string &got, bool injected) {
                       EXPECT_TRUE(got == wanted || (injected && clean(got))) << got;
                   });
    }

    alignas(8) std::array<std::byte, bundle::max_length> result{};
};

TEST_F(FaultOptions, OptionsAndNamesFailCleanly)
{
    const ends e = connected(SOCK_STREAM, 8);
    const int s = e.client;
    ASSERT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    for (const int option :
         {BUNDLE_LOCAL_ADDRS, BUNDLE_PEER_ADDRS, BUNDLE_PATHS, BUNDLE_NAMES, BUNDLE_STREAM})
        each([&] {
            auto length = static_cast<socklen_t>(result.size());
            return getsockopt(s, SOL_BUNDLE, option, result.data(), &length);
        });
    each([&] { return set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 1); });
    each([&] { return set_option(s, SOL_BUNDLE, BUNDLE_STREAM, 1); }, "EISCONN");
    for (const auto call : {getpeername, getsockname})
        each([&] {
            auto length = static_cast<socklen_t>(result.size());
            return call(s, as_sockaddr(result.data()), &length);
        });
    // What is set for one IP version is set for the other, too, or for neither.
    each([&] { return set_option(s, SOL_IP, IP_TOS, 8); });
    each([&] { return set_option(s, SOL_IPV6, IPV6_TCLASS, 8); });
    // The lowest two bits are ECN's.
    EXPECT_EQ(get_option(s, SOL_IP, IP_TOS) & ~3, 8);
    EXPECT_EQ(get_option(s, SOL_IPV6, IPV6_TCLASS) & ~3, 8);
    EXPECT_EQ(peer_set(s), sorted(members()));
}

TEST_F(FaultOptions, OfAnAssociationOfManyFailCleanly)
{
    const ends e = connected(SOCK_SEQPACKET, 8);
    const int s = e.client;
    const std::vector<sctp_assoc_t> ids = associations(s);
    ASSERT_EQ(ids.size(), 1U);
    for (const int option : {BUNDLE_LOCAL_ADDRS, BUNDLE_PEER_ADDRS, BUNDLE_PATHS})
        each([&] {
            auto length = static_cast<socklen_t>(result.size());
            std::memcpy(result.data(), ids.data(), sizeof(ids[0]));
            return getsockopt(s, SOL_BUNDLE, option, result.data(), &length);
        });
    EXPECT_EQ(peer_set(s, ids[0]), sorted(members()));
}

TEST_F(FaultOptions, SysctlsAreReadAndSetOrNot)
{
    for (const auto &[name, text] : {std::pair{"connect_timeout", "4000"},
                                     {"host_delay", "200"},
                                     {"init_burst", "64"},
                                     {"init_rate", "10000"}}) {
        const char *value = text;
        const std::string path = std::string("/proc/sys/net/sctp/bundle_") + name;
        const fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
        const std::string before = net::slurp(path);
        each([&] { return pwrite(file, value, std::strlen(value), 0); });
        EXPECT_EQ(net::slurp(path), std::string(value) + "\n");
        each([&] { return pread(file, result.data(), result.size(), 0); });
        each([&] { return pwrite(file, "x", 1, 0); }, "EINVAL");
        EXPECT_EQ(net::slurp(path), std::string(value) + "\n");
        net::spill(path, before);
    }
    const fd file(open("/proc/thread-self/net/bundle_stat", O_RDONLY | O_CLOEXEC));
    each([&] { return pread(file, result.data(), result.size(), 0); });
}

TEST_F(FaultConnect, CloseLeavesNothingWhateverFails)
{
    each_fault([this] { return connected(SOCK_STREAM, 8); },
               [](ends &e) {
                   e.client.reset();
                   return 0;
               },
               [](ends &, const std::string &got, bool) { EXPECT_EQ(got, "ok"); });
}

} // namespace
