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

TEST_F(FaultLoad, TheModuleLoadsOrNot)
{
    each_fault(
        [] {
            EXPECT_TRUE(unload());
            return 0;
        },
        [this](int) { return load(); },
        [this](int, const std::string &got, bool injected) {
            EXPECT_EQ(got == "ok", loaded()) << got;
            if (got != "ok") {
                EXPECT_TRUE(injected) << got;
                ASSERT_EQ(outcome(load()), "ok");
            }
            expect_works("10.9.0.1", "10.9.0.2");
        });
}

// The module's counters and SCTP's settings are among the last things that a namespace gets.
TEST_F(FaultLoad, ANamespaceIsMadeOrNot)
{
    const auto make = [](int) { return unshare(CLONE_NEWNET); };
    constexpr long far = 100000, last = 500, step = 20;
    arm(far);
    ASSERT_EQ(outcome(make(0)), "ok");
    const long points = far - disarm();
    std::printf("# of %ld points, the last %ld, and before these one in %ld\n", points, last, step);
    int made = 0;
    const auto after = [&](int, const std::string &got, bool injected) {
        EXPECT_TRUE(got == "ok" || (injected && clean(got))) << got;
        if (got != "ok")
            return;
        made++;
        net::ip("link set lo up\n");
        EXPECT_EQ(counters()["BundleAssocs"], 0);
        expect_works("127.0.0.1", "127.0.0.2");
    };
    const auto back = [] {
        home().enter();
        return 0;
    };
    for (long nth = 1; nth < points - last && !HasFailure(); nth += step)
        one_fault(nth, back, make, after);
    each_fault(back, make, after, std::max(points - last, 1L));
    home().enter();
    EXPECT_GT(made, 0);
}

} // namespace
