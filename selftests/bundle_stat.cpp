// SPDX-License-Identifier: GPL-2.0
// What can be watched: the counters of /proc/net/bundle_stat and the tracepoints.
#include "sctp.hpp"

#include <sys/mount.h>
#include <sys/stat.h>

namespace {

using namespace sctp;

class Stat : public testing::Test {
  protected:
    void SetUp() override
    {
        if (!net::is_root())
            GTEST_SKIP() << "needs root, to make a network namespace";
        home = std::make_unique<net::netns>();
        port = next_port();
        local = addrs({"127.0.0.1", "127.0.0.2"}, port);
    }

    std::unique_ptr<net::netns> home;
    std::uint16_t port = 0;
    addresses local;
};

TEST_F(Stat, ANewNamespaceHasEveryCounterAtZero)
{
    const std::map<std::string, long> expected{{"BundleAssocs", 0},
                                               {"BundleParallelInits", 0},
                                               {"BundleAddrsFailed", 0},
                                               {"BundleSecondAttempts", 0},
                                               {"BundleMalformed", 0}};
    EXPECT_EQ(counters(), expected);
}

TEST_F(Stat, EveryMalformedBundleCounts)
{
    const fd s = open_socket(), many = open_socket(SOCK_SEQPACKET);
    bytes bad = raw(socket_address(local));
    put(bad, 4, 0);
    EXPECT_EQ(outcome(bind_to(s, bad)), "EINVAL");
    EXPECT_EQ(counters()["BundleMalformed"], 1);
    EXPECT_EQ(outcome(connect_to(s, bad)), "EINVAL");
    EXPECT_EQ(counters()["BundleMalformed"], 2);
    EXPECT_EQ(outcome(::sendto(many, "x", 1, 0, as_sockaddr(bad.data()),
                               static_cast<socklen_t>(bad.size()))),
              "EINVAL");
    EXPECT_EQ(counters()["BundleMalformed"], 3);
    bad = raw(socket_address(local));
    put(bad, 12, AF_UNIX);
    EXPECT_EQ(outcome(bind_to(s, bad)), "EAFNOSUPPORT");
    EXPECT_EQ(outcome(bind_to(s, local)), "ok");
    EXPECT_EQ(counters()["BundleMalformed"], 3);
    EXPECT_EQ(counters()["BundleAssocs"], 0);
}

TEST_F(Stat, EveryAssociationStartedCounts)
{
    const fd listener = open_socket();
    ASSERT_EQ(outcome(bind_to(listener, local)), "ok");
    ASSERT_EQ(outcome(listen(listener, 8)), "ok");
    for (int i = 1; i <= 3; i++) {
        const fd client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, local)), "ok");
        EXPECT_EQ(counters()["BundleAssocs"], i);
    }
    const fd many = open_socket(SOCK_SEQPACKET);
    ASSERT_EQ(outcome(sendto(many, local)), "ok");
    EXPECT_EQ(counters()["BundleAssocs"], 4);
    ASSERT_EQ(outcome(sendto(many, local)), "ok");
    EXPECT_EQ(counters()["BundleAssocs"], 4) << "the same association";
    EXPECT_EQ(counters()["BundleMalformed"], 0);
}

TEST_F(Stat, EveryAddressThatFailedCounts)
{
    // Nobody listens: both addresses refuse.
    for (int i = 1; i <= 2; i++) {
        EXPECT_EQ(outcome(connect_to(open_socket(), local)), "ECONNREFUSED");
        EXPECT_EQ(counters()["BundleAddrsFailed"], 2 * i);
    }
}

TEST_F(Stat, CountersBelongToTheirNamespace)
{
    const fd s = open_socket();
    bytes bad = raw(socket_address(local));
    bad.resize(20);
    EXPECT_EQ(outcome(bind_to(s, bad)), "EINVAL");
    EXPECT_EQ(counters()["BundleMalformed"], 1);
    {
        const net::netns other;
        EXPECT_EQ(counters()["BundleMalformed"], 0);
        EXPECT_EQ(outcome(bind_to(s, bad)), "EINVAL");
        EXPECT_EQ(counters()["BundleMalformed"], 0) << "the socket's namespace counts";
    }
    home->enter();
    EXPECT_EQ(counters()["BundleMalformed"], 2);
}

// A trace buffer of the test's own.
class Trace : public Stat {
  protected:
    void SetUp() override
    {
        Stat::SetUp();
        if (IsSkipped())
            return;
        if (access("/sys/kernel/tracing/instances", F_OK) < 0)
            mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, nullptr);
        if (access("/sys/kernel/tracing/instances", F_OK) < 0)
            GTEST_SKIP() << "this kernel has no tracefs";
        instance = "/sys/kernel/tracing/instances/bundle_stat." + std::to_string(getpid());
        ASSERT_EQ(outcome(mkdir(instance.c_str(), 0700)), "ok");
    }

    void TearDown() override
    {
        if (!instance.empty())
            rmdir(instance.c_str());
    }

    void enable(const std::string &event) const
    {
        net::spill(instance + "/events/bundle/" + event + "/enable", "1");
    }
    int seen(const std::string &event) const
    {
        std::istringstream lines(net::slurp(instance + "/trace"));
        int count = 0;
        for (std::string line; std::getline(lines, line);)
            count += line[0] != '#' && line.find(" " + event + ": ") != line.npos;
        return count;
    }

    std::string instance;
};

TEST_F(Trace, EveryBindOfABundleIsSeen)
{
    enable("bundle_bind");
    const fd s = open_socket();
    EXPECT_EQ(outcome(bind_to(s, local)), "ok");
    EXPECT_EQ(seen("bundle_bind"), 1);
    EXPECT_EQ(outcome(bind_to(s, local)), "EINVAL");
    EXPECT_GE(seen("bundle_bind"), 1);
}

TEST_F(Trace, EveryConnectWithABundleIsSeen)
{
    enable("bundle_connect");
    const fd listener = open_socket(), client = open_socket();
    ASSERT_EQ(outcome(bind_to(listener, local)), "ok");
    ASSERT_EQ(outcome(listen(listener, 8)), "ok");
    EXPECT_EQ(seen("bundle_connect"), 0);
    ASSERT_EQ(outcome(connect_to(client, local)), "ok");
    EXPECT_EQ(seen("bundle_connect"), 1);
}

TEST_F(Trace, EveryAddressThatFailedIsSeen)
{
    enable("bundle_path_failed");
    EXPECT_EQ(seen("bundle_path_failed"), 0);
    EXPECT_EQ(outcome(connect_to(open_socket(), local)), "ECONNREFUSED");
    EXPECT_EQ(seen("bundle_path_failed"), 2);
}

} // namespace
