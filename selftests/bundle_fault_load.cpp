// SPDX-License-Identifier: GPL-2.0
// Faults in what happens once: loading the module, and making a network namespace when it is there.
// Needs the debug kernel, and nobody else who uses bundles.
#include "fault.hpp"

#include <sys/syscall.h>
#include <sys/utsname.h>

namespace {

using namespace sctp;

class FaultLoad : public FaultConnect {
  protected:
    static bool loaded() { return access("/sys/module/bundle", F_OK) == 0; }
    static bool unload()
    {
        // Sockets of the last test may still be on their way out.
        return !loaded() || net::eventually([] {
            return syscall(SYS_delete_module, "bundle", O_NONBLOCK) == 0;
        });
    }

    void SetUp() override
    {
        FaultConnect::SetUp();
        if (IsSkipped())
            return;
        utsname system{};
        uname(&system);
        const std::string path =
            std::string("/lib/modules/") + system.release + "/kernel/net/bundle/bundle.ko";
        file = fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (file < 0 || access("/sys/module/bundle/refcnt", F_OK) < 0)
            GTEST_SKIP() << "bundle is no module: " << path;
    }

    long load() const { return syscall(SYS_finit_module, int{file}, "", 0); }

    // A connection in the present namespace.
    void expect_works(const char *first, const char *second)
    {
        const addresses where = addrs({first, second}, port = next_port());
        ends e{listen_at(where), open_socket(), {}};
        ASSERT_EQ(outcome(connect_to(e.client, where)), "ok");
        e.server = accept(e.listener);
        expect_stream(e, "");
        EXPECT_EQ(counters()["BundleAssocs"], 1);
    }

    fd file;
};

// What the module's own initialization needs. Before that, loading takes memory in functions that
// know nothing of bundles, and that warn of what they lack.
TEST_F(FaultLoad, TheModuleLoadsOrNot)
{
    const only_within init("do_one_initcall", false);
    each_fault(
        [] {
            EXPECT_TRUE(unload());
            return 0;
        },
        [this](int) { return load(); },
        [this](int, const std::string &got, bool injected) {
            EXPECT_EQ(got == "ok", loaded()) << got;
            if (got != "ok") {
                EXPECT_TRUE(injected && clean(got)) << got;
                ASSERT_EQ(outcome(load()), "ok");
            }
            expect_works("10.9.0.1", "10.9.0.2");
        });
}

// The first socket of a kind after loading makes that kind's operations.
TEST_F(FaultLoad, TheFirstSocketIsMadeOrNot)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        each_fault(
            [this] {
                EXPECT_TRUE(unload());
                EXPECT_EQ(outcome(load()), "ok");
                return fd();
            },
            [type](fd &made) {
                made = fd(::socket(AF_BUNDLE, type | SOCK_CLOEXEC, IPPROTO_SCTP));
                return int{made};
            },
            [this](fd &, const std::string &got, bool injected) {
                EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
                expect_works("10.9.0.1", "10.9.0.2");
            });
}

// A namespace gets counters of ours, and SCTP's settings, some of which are ours.
TEST_F(FaultLoad, ANamespaceIsMadeOrNot)
{
    for (const char *module : {"bundle", "sctp"}) {
        SCOPED_TRACE(module);
        const only_within ours(module, true);
        each_fault(
            [] {
                home().enter();
                return 0;
            },
            [](int) { return unshare(CLONE_NEWNET); },
            [this](int, const std::string &got, bool injected) {
                EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
                if (got != "ok")
                    return;
                net::ip("link set lo up\n");
                EXPECT_EQ(counters()["BundleAssocs"], 0);
                expect_works("127.0.0.1", "127.0.0.2");
            });
    }
    home().enter();
}

} // namespace
