// SPDX-License-Identifier: GPL-2.0
// What filters of system calls (seccomp) do to bundles: those that list families know nothing of
// this one, and none sees an address.
#include "sctp.hpp"

#include <cstddef>
#include <functional>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <sys/prctl.h>

namespace {

using namespace sctp;

// A filter: what happens if @argument of @call is one of the @values, and what if not. The calls
// that aren't @call may go on.
struct policy {
    unsigned call, argument;
    std::vector<unsigned> values;
    unsigned listed, others;
    unsigned comparison = BPF_JEQ;

    // For this process, for good.
    void install() const
    {
        std::vector<sock_filter> code{
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 1, 0),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                     static_cast<unsigned>(offsetof(seccomp_data, args) + 8 * argument)),
        };
        for (const unsigned value : values) {
            code.push_back(BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 0, 1));
            code.push_back(BPF_STMT(BPF_RET | BPF_K, listed));
        }
        code.push_back(BPF_STMT(BPF_RET | BPF_K, others));
        const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
            net::fail("seccomp");
    }
};

constexpr unsigned error(int number)
{
    return SECCOMP_RET_ERRNO | static_cast<unsigned>(number);
}

policy allow_families(unsigned otherwise)
{
    return {SYS_socket, 0, {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}, SECCOMP_RET_ALLOW, otherwise};
}
policy deny_families(std::vector<unsigned> families, unsigned how = error(EPERM))
{
    return {SYS_socket, 0, std::move(families), how, SECCOMP_RET_ALLOW};
}

class Seccomp : public testing::Test {
  protected:
    void SetUp() override
    {
        if (!net::is_root())
            GTEST_SKIP() << "needs root, to make a network namespace";
        home = std::make_unique<net::netns>();
    }

    // What @f returns under the filter, and how the process ends if it does.
    static std::string under(const policy &filter, const std::function<std::string()> &f)
    {
        return net::in_child([&] {
            filter.install();
            return f();
        });
    }

    static std::string make(int family, int protocol = IPPROTO_SCTP)
    {
        return outcome(fd(::socket(family, SOCK_STREAM, protocol)));
    }

    // Binds, connects and sends. The server is made before the filter.
    std::function<std::string()> connection(int n = 2)
    {
        const std::uint16_t port = next_port();
        const addresses where = range("127.0.0.", n, port);
        server = listen_at(where);
        return [where] {
            const fd client(::socket(AF_BUNDLE, SOCK_STREAM, 0));
            return client < 0 ? outcome(-1) : outcome(connect_to(client, where));
        };
    }

    std::unique_ptr<net::netns> home;
    fd server;
};

// Those of the entries that a name has.
std::string families(const char *name)
{
    addrinfo hints{}, *all = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (const int error = getaddrinfo(name, "5000", &hints, &all); error != 0)
        return gai_strerror(error);
    std::string result;
    for (const addrinfo *one = all; one; one = one->ai_next)
        result += (result.empty() ? "" : " ") + std::to_string(one->ai_family);
    freeaddrinfo(all);
    return result;
}

class SeccompNames : public Seccomp {
  protected:
    void SetUp() override
    {
        Seccomp::SetUp();
        if (!IsSkipped() && families(name) != "46 2 2")
            GTEST_SKIP() << "needs the patched C library, and bundles in nsswitch.conf: "
                         << families(name);
    }

    static constexpr const char *name = "{127.0.0.1,127.0.0.2}";
};

TEST_F(Seccomp, AnAllowListOfFamiliesRefusesBundles)
{
    for (const int number : {EAFNOSUPPORT, EPERM}) {
        errno = number;
        const std::string refused = outcome(-1);
        const policy filter = allow_families(error(number));
        EXPECT_EQ(under(filter, [] { return make(AF_BUNDLE); }), refused);
        EXPECT_EQ(under(filter, [] { return make(AF_INET); }), "ok");
    }
}

TEST_F(Seccomp, ADenyListHasToNameBundles)
{
    const auto connects = connection();
    EXPECT_EQ(under(deny_families({AF_INET, AF_INET6}), [] { return make(AF_INET); }), "EPERM");
    // SCTP's own socket is the kernel's to make.
    EXPECT_EQ(under(deny_families({AF_INET, AF_INET6}), connects), "ok");
    EXPECT_EQ(under(deny_families({AF_INET, AF_INET6, AF_BUNDLE}), connects), "EPERM");
}

TEST_F(Seccomp, ADenyListOfProtocolsHasToNameBundles)
{
    const policy filter{SYS_socket, 2, {IPPROTO_SCTP}, error(EPERM), SECCOMP_RET_ALLOW};
    EXPECT_EQ(under(filter, [] { return make(AF_INET); }), "EPERM");
    EXPECT_EQ(under(filter, [] { return make(AF_BUNDLE); }), "EPERM");
    EXPECT_EQ(under(filter, [] { return make(AF_BUNDLE, 0); }), "ok");
}

// Of an address it sees where it is and how long: that is enough to refuse those longer than a
// sockaddr_storage, and not to tell a shorter bundle from an ordinary address.
TEST_F(Seccomp, OfAddressesOnlyTheLengthIsSeen)
{
    const policy filter{SYS_connect,       2,      {sizeof(sockaddr_storage)}, error(EPERM),
                        SECCOMP_RET_ALLOW, BPF_JGT};
    EXPECT_EQ(under(filter, connection(5)), "ok");
    EXPECT_EQ(under(filter, connection(6)), "EPERM");
}

TEST_F(SeccompNames, WhereTheFamilyIsRefusedANameGivesItsAddressesAlone)
{
    const auto look_up = [] { return families(name); };
    EXPECT_EQ(under(allow_families(error(EAFNOSUPPORT)), look_up), "2 2");
    EXPECT_EQ(under(allow_families(error(EPERM)), look_up), "2 2");
    EXPECT_EQ(under(deny_families({AF_INET, AF_INET6}), look_up), "46 2 2");
}

// They are made with clone3().
TEST_F(SeccompNames, WhereThreadsAreRefusedOneIsLookedUpAfterTheOther)
{
    const auto look_up = [] { return families("{localhost,ip6-localhost}"); };
    const auto all_answered = [](unsigned how) {
        return policy{SYS_clone3, 0, {}, SECCOMP_RET_ALLOW, how};
    };
    const std::string found = look_up();
    EXPECT_EQ(found.substr(0, 3), "46 ");
    EXPECT_EQ(under(all_answered(error(EPERM)), look_up), found);
    EXPECT_EQ(under(all_answered(SECCOMP_RET_KILL_PROCESS), look_up), "SIGSYS");
}

TEST_F(SeccompNames, AFilterThatKillsKillsAtTheNameOfABundleAlone)
{
    const policy filter = deny_families({AF_BUNDLE}, SECCOMP_RET_KILL_PROCESS);
    EXPECT_EQ(under(filter, [] { return families("127.0.0.1"); }), "2");
    EXPECT_EQ(under(filter, [] { return families("localhost").substr(0, 1); }).size(), 1U);
    EXPECT_EQ(under(filter, [] { return families("{127.0.0.1,}"); }), gai_strerror(EAI_NONAME));
    EXPECT_EQ(under(filter, [] { return families(name); }), "SIGSYS");
}

} // namespace
