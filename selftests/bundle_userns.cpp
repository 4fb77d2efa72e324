// SPDX-License-Identifier: GPL-2.0
// An unprivileged user in namespaces of its own: it has bundles there, settings and counters of
// its own, and sends out what the host lets through. Rates are measured: run it in virtual time.
#include "sctp.hpp"
#include "topology.hpp"

#include <grp.h>
#include <sys/prctl.h>

namespace {

using namespace sctp;

constexpr uid_t user = 1000;

// Namespaces that an unprivileged user has made, with "unshare -r -n", and is root in.
class guest {
  public:
    guest()
    {
        int ready[2];
        if (pipe2(ready, O_CLOEXEC) < 0)
            net::fail("pipe");
        const fd out(ready[0]);
        fd in(ready[1]);
        keeper_ = fork();
        if (keeper_ < 0)
            net::fail("fork");
        if (keeper_ == 0)
            _exit(keep(in));
        in.reset();
        char byte;
        if (read(out, &byte, 1) != 1)
            throw std::runtime_error("a user can't make namespaces");
        const std::string ns = "/proc/" + std::to_string(keeper_) + "/ns/";
        user_ = fd(open((ns + "user").c_str(), O_RDONLY | O_CLOEXEC));
        net_ = fd(open((ns + "net").c_str(), O_RDONLY | O_CLOEXEC));
        if (user_ < 0 || net_ < 0)
            net::fail(ns);
    }
    guest(const guest &) = delete;
    ~guest()
    {
        kill(keeper_, SIGKILL);
        waitpid(keeper_, nullptr, 0);
    }

    // What @f returns there, run by the user.
    template <typename F>
    std::string operator()(F f) const
    {
        return net::in_child([&] {
            if (setns(user_, CLONE_NEWUSER) < 0 || setns(net_, CLONE_NEWNET) < 0 ||
                setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                net::fail("setns");
            return f();
        });
    }

    // By which ip(8), run by this process, finds its network.
    [[nodiscard]] std::string name() const
    {
        return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(net_);
    }

  private:
    static int keep(int ready)
    {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setgroups(0, nullptr) < 0 || setresgid(user, user, user) < 0 ||
            setresuid(user, user, user) < 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ||
            prctl(PR_SET_DUMPABLE, 1) < 0)
            return 1;
        const std::string map = "0 " + std::to_string(user) + " 1";
        net::spill("/proc/self/setgroups", "deny");
        net::spill("/proc/self/uid_map", map);
        net::spill("/proc/self/gid_map", map);
        if (write(ready, "x", 1) != 1)
            return 1;
        for (;;)
            pause();
    }

    pid_t keeper_;
    fd user_, net_;
};

std::string set_sysctl(const std::string &name, const std::string &value)
{
    const fd file(open(("/proc/sys/net/sctp/" + name).c_str(), O_WRONLY | O_CLOEXEC));
    return file < 0 ? outcome(-1) : outcome(write(file, value.data(), value.size()));
}

std::string get_sysctl(const std::string &name)
{
    std::string value = net::slurp("/proc/sys/net/sctp/" + name);
    if (value.ends_with('\n'))
        value.pop_back();
    return value;
}

class Userns : public testing::Test {
  protected:
    void SetUp() override
    {
        if (!net::is_root())
            GTEST_SKIP() << "needs root, to become a user";
        if (access("/proc/self/ns/user", F_OK) < 0)
            GTEST_SKIP() << "this kernel has no user namespaces";
        home = std::make_unique<net::netns>();
        port = next_port();
    }

    // Listens, connects and sends, all within the present namespace.
    static std::string connection(std::uint16_t port)
    {
        const addresses where = range("127.0.0.", 2, port);
        const fd listener = listen_at(where), client = open_socket();
        if (connect_to(client, where) < 0)
            return outcome(-1);
        const fd server = accept(listener);
        if (send(client, "text", 4, 0) != 4)
            return outcome(-1);
        char text[8];
        const ssize_t n = recv(server, text, sizeof(text), 0);
        return n == 4 ? outcome(peer_set(client) == sorted(where) ? 0 : -1) : outcome(n);
    }

    static constexpr std::array settings{"bundle_connect_timeout", "bundle_host_delay",
                                         "bundle_init_burst", "bundle_init_rate"};

    std::unique_ptr<net::netns> home;
    std::uint16_t port = 0;
};

TEST_F(Userns, AUserHasBundlesInANamespaceOfItsOwn)
{
    const guest one;
    EXPECT_EQ(one([&] {
                  net::ip("link set lo up\n");
                  return connection(port);
              }),
              "ok");
    // Ports below 1024 are its own, too.
    EXPECT_EQ(one([] { return connection(99); }), "ok");
}

// As socket(2) loads it for anybody, who needn't be able to load modules.
TEST_F(Userns, TheModuleLoadsForAUser)
{
    if (access("/sys/module/bundle/refcnt", F_OK) < 0)
        GTEST_SKIP() << "bundle is no module";
    const guest one;
    ASSERT_TRUE(net::eventually([] {
        return syscall(SYS_delete_module, "bundle", O_NONBLOCK) == 0;
    })) << outcome(-1);
    EXPECT_EQ(one([] { return outcome(syscall(SYS_init_module, nullptr, 0, "")); }), "EPERM");
    EXPECT_EQ(one([] { return outcome(open_socket()); }), "ok");
    EXPECT_EQ(access("/sys/module/bundle", F_OK), 0);
}

TEST_F(Userns, CountersAreTheNamespacesOwn)
{
    const guest one, other;
    const auto bad_bind = [] {
        bytes bad = raw(socket_address(range("127.0.0.", 2, 5000)));
        bad.resize(20);
        return outcome(bind_to(open_socket(), bad));
    };
    const auto malformed = [] { return std::to_string(counters()["BundleMalformed"]); };
    EXPECT_EQ(one(bad_bind), "EINVAL");
    EXPECT_EQ(one(malformed), "1");
    EXPECT_EQ(other(malformed), "0");
    EXPECT_EQ(malformed(), "0");
}

TEST_F(Userns, SettingsAreTheNamespacesOwn)
{
    const guest one, other;
    for (const std::string name : settings) {
        const std::string before = get_sysctl(name);
        EXPECT_EQ(one([&] { return set_sysctl(name, "17"); }), "ok") << name;
        EXPECT_EQ(one([&] { return get_sysctl(name); }), "17") << name;
        EXPECT_EQ(other([&] { return get_sysctl(name); }), before) << name;
        EXPECT_EQ(get_sysctl(name), before) << name;
    }
}

TEST_F(Userns, NobodyElsesSettingsCanBeReached)
{
    const guest one, other;
    for (const std::string name : settings) {
        // The host's, by a user.
        EXPECT_EQ(net::in_child([&] {
                      if (setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0)
                          net::fail("setresuid");
                      return set_sysctl(name, "17");
                  }),
                  "EACCES");
        // The network namespace's of whom one isn't the owner of.
        const fd others(open(other.name().c_str(), O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(one([&] { return outcome(setns(others, CLONE_NEWNET)); }), "EPERM");
    }
}

TEST_F(Userns, OtherNamespacesSocketsCantBeReached)
{
    const guest one;
    const addresses where = range("127.0.0.", 2, port);
    const fd listener = listen_at(where);
    EXPECT_EQ(one([&] {
                  net::ip("link set lo up\n");
                  return outcome(connect_to(open_socket(), where));
              }),
              "ECONNREFUSED");
    EXPECT_EQ(one([] { return net::slurp("/proc/self/net/sctp/eps"); }).find(std::to_string(port)),
              std::string::npos);
    EXPECT_EQ(outcome(connect_to(open_socket(), where)), "ok");
}

// The guest's only way out is a veth, whose other end is the host's.
class UsernsRate : public Userns {
  protected:
    void SetUp() override
    {
        Userns::SetUp();
        if (IsSkipped())
            return;
        net::ip("link add h0 type veth peer name g0 netns " + one.name() + "\n" +
                net::link_up("h0") + "addr add 10.8.0.1/24 dev h0\n");
        const std::string up = one([] {
            net::ip(net::link_up("lo") + net::link_up("g0") +
                    "addr add 10.8.0.2/24 dev g0\nroute add default via 10.8.0.1\n");
            two_hosts::wait_running({"g0"});
            return std::string("ok");
        });
        ASSERT_EQ(up, "ok");
        two_hosts::wait_running({"h0"});
    }

    // Everything that the guest sends to SCTP goes by here and no further: INITs.
    static void watch(const std::string &limit)
    {
        net::run({"nft", "-f", "-"}, "table ip host {\n counter arrived { }\n counter passed { }\n"
                                     " chain c {\n  type filter hook prerouting priority raw\n"
                                     "  iifname h0 meta l4proto sctp counter name arrived\n" +
                                         limit +
                                         "  iifname h0 meta l4proto sctp counter name passed drop\n"
                                         " }\n}\n");
    }

    static int counted(const std::string &name)
    {
        const std::unique_ptr<FILE, int (*)(FILE *)> out(
            popen(("nft list counter ip host " + name).c_str(), "r"), pclose);
        int result = -1;
        for (char line[200]; out && std::fgets(line, sizeof(line), out.get());)
            if (const char *at = std::strstr(line, "packets "))
                result = std::atoi(at + 8);
        return result;
    }

    static constexpr int sockets = 20;
    // Within the first second of as many sockets' connects, as the guest has set its rate.
    std::string flood(const std::string &rate) const
    {
        return one([&] {
            const std::string result = set_sysctl("bundle_init_rate", rate);
            const addresses where = range("10.8.1.", many, port);
            std::vector<fd> all;
            const double start = now();
            for (int i = 0; i < sockets; i++) {
                all.push_back(open_socket());
                nonblocking(all.back());
                connect_to(all.back(), where);
            }
            poll(nullptr, 0, static_cast<int>(900 - (now() - start) * 1000));
            return result;
        });
    }

    const guest one;
};

TEST_F(UsernsRate, WhatLeavesIsWithinTheNamespacesRate)
{
    watch("");
    ASSERT_EQ(flood("100"), "ok");
    // One for each socket, and a second's worth with what may be saved up.
    EXPECT_LE(counted("arrived"), sockets + 110);
    EXPECT_GE(counted("arrived"), sockets + 80);
}

TEST_F(UsernsRate, WhoOwnsTheNamespaceCanRaiseItAndTheHostsLimitHolds)
{
    watch("  iifname h0 meta l4proto sctp limit rate over 100/second burst 50 packets drop\n");
    ASSERT_EQ(flood("1000000"), "ok");
    EXPECT_EQ(counted("arrived"), sockets * many);
    EXPECT_LE(counted("passed"), 150);
    EXPECT_GE(counted("passed"), 50);
}

} // namespace
