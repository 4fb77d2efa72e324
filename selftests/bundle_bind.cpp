// SPDX-License-Identifier: GPL-2.0
// bind(2) with a bundle: what is accepted, each error, and that a failed call changes nothing.
#include "sctp.hpp"

#include <climits>

#include <net/if.h>

namespace {

using namespace sctp;

// 64 addresses of each family on one interface, one of each on a second, and link-local ones.
class Bind : public testing::Test {
  protected:
    static void SetUpTestSuite()
    {
        if (!net::is_root())
            return;
        home_ = std::make_unique<net::netns>();
        const bool v6 = net::have_ipv6();
        std::ostringstream lines;
        for (const char *d : {"d0", "d1"})
            lines << "link add " << d << " type dummy\n" << net::link_up(d);
        for (int i = 1; i <= 64; i++) {
            lines << "addr add 10.9.0." << std::dec << i << "/24 brd 10.9.0.255 dev d0\n";
            if (v6)
                lines << "addr add fd00:9::" << std::hex << i << "/64 dev d0 nodad\n";
        }
        lines << "addr add 10.8.0.1/24 dev d1\n";
        if (v6)
            lines << "addr add fd00:8::1/64 dev d1 nodad\naddr add fe80::9:1/64 dev d0 nodad\n"
                     "addr add fe80::8:1/64 dev d1 nodad\n";
        net::ip(lines.str());
    }
    static void TearDownTestSuite() { home_.reset(); }

    void SetUp() override
    {
        if (!net::is_root())
            GTEST_SKIP() << "needs root, to make a network namespace";
        ASSERT_TRUE(home_);
        port = next_port();
    }

    addresses v4(int n) const { return range("10.9.0.", n, port); }
    addresses v6(int n) const { return range("fd00:9::", n, port); }
    // One bundle socket and what bind says to it.
    static std::string bind_outcome(const addresses &a)
    {
        return outcome(bind_to(open_socket(), a));
    }

    std::uint16_t port = 0;

  private:
    static inline std::unique_ptr<net::netns> home_;
};

class BindIpv6 : public Bind {
  protected:
    void SetUp() override
    {
        Bind::SetUp();
        if (!IsSkipped() && !net::have_ipv6())
            GTEST_SKIP() << "needs IPv6, which is off";
    }
};

// --- What is accepted ----------------------------------------------------------------------------

TEST_F(Bind, BindsExactlyTheseAddresses)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        for (const int n : {1, 5, 6, 63, 64}) {
            const fd s = open_socket(type);
            ASSERT_EQ(outcome(bind_to(s, v4(n))), "ok") << n;
            EXPECT_EQ(local_set(s), sorted(v4(n)));
            EXPECT_EQ(sctp_local_set(s), sorted(v4(n)));
            EXPECT_EQ(sockname(s), v4(1)[0]);
        }
    EXPECT_TRUE(port_free(port));
}

TEST_F(BindIpv6, BindsExactlyTheseAddresses)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        for (const int n : {1, 3, 4, 63, 64}) {
            const fd s = open_socket(type);
            ASSERT_EQ(outcome(bind_to(s, v6(n))), "ok") << n;
            EXPECT_EQ(local_set(s), sorted(v6(n)));
            EXPECT_EQ(sctp_local_set(s), sorted(v6(n)));
            EXPECT_EQ(sockname(s), v6(1)[0]);
        }
    EXPECT_TRUE(port_free(port));
}

TEST_F(BindIpv6, MixesBothFamiliesInAnyOrder)
{
    const addresses mixed = v4(32) + v6(32);
    for (const addresses &a : {mixed, v6(32) + v4(32), addresses(mixed.rbegin(), mixed.rend())}) {
        const fd s = open_socket();
        ASSERT_EQ(outcome(bind_to(s, a)), "ok");
        EXPECT_EQ(local_set(s), sorted(mixed));
        EXPECT_EQ(sockname(s), a[0]);
    }
}

TEST_F(Bind, TheFirstAddressIsTheSocketsName)
{
    const auto a = addrs({"10.9.0.7", "10.9.0.3", "10.9.0.5"}, port);
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, a)), "ok");
    EXPECT_EQ(sockname(s), a[0]);
}

TEST_F(BindIpv6, LengthsAroundEveryLimitOfTheSocketLayer)
{
    // 112 bytes: what OpenSSL carries; 128: sockaddr_storage.
    const addresses of112 = v4(3) + v6(1);
    ASSERT_EQ(socket_address(of112).size(), 112U);
    for (const addresses &a : {of112, v4(4), v4(5), v4(6), v6(3), v6(4), v6(64)}) {
        bytes b = raw(socket_address(a));
        const std::size_t exact = b.size();
        b.resize(8192, std::byte{0xff});
        for (const std::size_t length :
             {exact, exact + 1, std::size_t{111}, std::size_t{112}, std::size_t{113},
              std::size_t{127}, std::size_t{128}, std::size_t{129}, std::size_t{2055},
              std::size_t{2056}, std::size_t{2057}, std::size_t{4096}, b.size()}) {
            const fd s = open_socket();
            const std::string got = outcome(bind_to(s, std::span(b).first(length)));
            if (length < exact) {
                EXPECT_EQ(got, "EINVAL") << exact << " in " << length;
                EXPECT_TRUE(unbound(s));
            } else {
                EXPECT_EQ(got, "ok") << exact << " in " << length;
                EXPECT_EQ(local_set(s), sorted(a)) << exact << " in " << length;
            }
        }
    }
}

TEST_F(Bind, OnlyTheLongestBundlesBytesAreRead)
{
    const net::guarded_memory memory;
    bytes b = raw(socket_address(v4(2)));
    b.resize(bundle::max_length);
    std::byte *at = memory.last(b.size());
    std::copy(b.begin(), b.end(), at);
    for (const socklen_t length : {socklen_t{2056}, socklen_t{2057}, socklen_t{4096},
                                   socklen_t{0x10000}, socklen_t{INT_MAX}}) {
        const fd s = open_socket();
        EXPECT_EQ(outcome(bind_to(s, std::span(at, b.size()), length)), "ok") << length;
        EXPECT_EQ(local_set(s), sorted(v4(2)));
    }
}

TEST_F(Bind, PaddingIsIgnored)
{
    bytes b = raw(socket_address(v4(3)));
    for (std::size_t entry = 8; entry < b.size(); entry += 24) {
        std::fill_n(b.begin() + static_cast<std::ptrdiff_t>(entry) + 20, 4, std::byte{0xff});
        // sin_zero is the program's to fill with anything, too.
        std::fill_n(b.begin() + static_cast<std::ptrdiff_t>(entry) + 12, 8, std::byte{0xee});
    }
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, b)), "ok");
    EXPECT_EQ(local_set(s), sorted(v4(3)));
}

TEST_F(Bind, PaddingOfWhatComesBackIsZero)
{
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, v4(3))), "ok");
    std::array<std::byte, bundle::max_length> room;
    room.fill(std::byte{0xa5});
    socklen_t length = room.size();
    ASSERT_EQ(outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_LOCAL_ADDRS, room.data(), &length)), "ok");
    ASSERT_EQ(length, 8U + 3 * 24);
    for (std::size_t entry = 8; entry < length; entry += 24)
        for (std::size_t i = 12; i < 24; i++)
            EXPECT_EQ(room[entry + i], std::byte{}) << "entry at " << entry << ", byte " << i;
    for (std::size_t i = length; i < room.size(); i++)
        ASSERT_EQ(room[i], std::byte{0xa5}) << i;
}

TEST_F(Bind, TheBundleMayLieAtAnyAddress)
{
    for (std::size_t shift = 0; shift < 8; shift++) {
        bytes b = raw(socket_address(v4(7)));
        b.insert(b.begin(), shift, std::byte{});
        const fd s = open_socket();
        ASSERT_EQ(outcome(bind_to(s, std::span(b).subspan(shift))), "ok") << shift;
        EXPECT_EQ(local_set(s), sorted(v4(7)));
    }
}

TEST_F(Bind, DuplicatesCountOnce)
{
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, v4(2) + v4(3) + v4(1))), "ok");
    EXPECT_EQ(local_set(s), sorted(v4(3)));
    EXPECT_EQ(sctp_local_set(s), sorted(v4(3)));
    const fd many = open_socket();
    port = next_port();
    ASSERT_EQ(outcome(bind_to(many, addresses(64, v4(1)[0]))), "ok");
    EXPECT_EQ(local_set(many), v4(1));
}

TEST_F(Bind, MappedAddressesBecomeIpv4)
{
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, addrs({"::ffff:10.9.0.1", "10.9.0.2", "::ffff:10.9.0.2"}, port))),
              "ok");
    EXPECT_EQ(local_set(s), sorted(v4(2)));
    EXPECT_EQ(sockname(s), v4(1)[0]);
}

TEST_F(Bind, PlainAddressesStillBind)
{
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, v4(1)[0])), "ok");
    EXPECT_EQ(local_set(s), v4(1));
    EXPECT_EQ(sockname(s), v4(1)[0]);
    if (!net::have_ipv6())
        return;
    const fd s6 = open_socket();
    ASSERT_EQ(outcome(bind_to(s6, v6(1)[0])), "ok");
    EXPECT_EQ(local_set(s6), v6(1));
    EXPECT_EQ(sockname(s6), v6(1)[0]);
}

TEST_F(Bind, PortZeroIsOneFreePortForAll)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        port = 0;
        const addresses wanted = net::have_ipv6() ? v4(3) + v6(3) : v4(6);
        const fd s = open_socket(type);
        ASSERT_EQ(outcome(bind_to(s, wanted)), "ok");
        const std::uint16_t got = sockname(s).port();
        EXPECT_NE(got, 0);
        addresses expected;
        for (const address &a : wanted)
            expected.push_back(a.with_port(got));
        EXPECT_EQ(local_set(s), sorted(expected));
        EXPECT_EQ(sctp_local_set(s), sorted(expected));
        EXPECT_EQ(sockname(s), expected[0]);
        EXPECT_FALSE(port_free(got));
    }
}

TEST_F(Bind, AddressesFollowTheHostsIfTheSysctlSaysSo)
{
    const net::sysctl follow("net/sctp/default_auto_asconf", "1");
    const fd s = open_socket();
    EXPECT_EQ(outcome(bind_to(s, addrs({"0.0.0.0"}, port))), "ok");
    EXPECT_EQ(get_option(s, IPPROTO_SCTP, SCTP_AUTO_ASCONF), 1);
}

TEST_F(Bind, DifferentAddressesShareAPort)
{
    const fd a = open_socket(), b = open_socket();
    EXPECT_EQ(outcome(bind_to(a, addrs({"10.9.0.1", "10.9.0.2"}, port))), "ok");
    EXPECT_EQ(outcome(bind_to(b, addrs({"10.9.0.3", "10.9.0.4"}, port))), "ok");
    EXPECT_EQ(bind_outcome(addrs({"10.9.0.4", "10.9.0.5"}, port)), "EADDRINUSE");
}

TEST_F(BindIpv6, Bindv6onlyKeepsIpv4MembersIn)
{
    const net::sysctl only("net/ipv6/bindv6only", "1");
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, v4(2) + v6(2))), "ok");
    EXPECT_EQ(local_set(s), sorted(v4(2) + v6(2)));
    const fd v4_only = open_socket();
    EXPECT_EQ(outcome(bind_to(v4_only, addrs({"10.9.0.9"}, port))), "ok");
}

TEST_F(BindIpv6, V6onlySetByTheProgramKeepsIpv4MembersOut)
{
    const fd s = open_socket();
    ASSERT_EQ(outcome(set_option(s, IPPROTO_IPV6, IPV6_V6ONLY, 1)), "ok");
    EXPECT_EQ(outcome(bind_to(s, v6(2) + v4(2))), "EAFNOSUPPORT");
    EXPECT_TRUE(unbound(s));
    EXPECT_EQ(outcome(bind_to(s, v6(2))), "ok");
}

TEST_F(BindIpv6, LinkLocalAddressesNeedTheirScope)
{
    const address link_local = addr("fe80::9:1%d0", port);
    EXPECT_EQ(bind_outcome(addresses{link_local.with_scope_id(0)} + v4(1)), "EADDRNOTAVAIL");
    EXPECT_EQ(bind_outcome(v4(1) + addresses{addr("fe80::9:1%d1", port)}), "EADDRNOTAVAIL");
    EXPECT_EQ(bind_outcome(addresses{link_local.with_scope_id(9999)}), "EADDRNOTAVAIL");
    EXPECT_TRUE(port_free(port));
    const addresses both = v4(1) + v6(1) + addresses{link_local, addr("fe80::8:1%d1", port)};
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, both)), "ok");
    EXPECT_EQ(local_set(s), sorted(both));
}

TEST_F(Bind, Ipv6MembersAreTakenExactlyWhereIpv6IsOn)
{
    const fd s = open_socket(), t = open_socket();
    EXPECT_EQ(outcome(bind_to(s, v4(2) + v6(2))), net::have_ipv6() ? "ok" : "EAFNOSUPPORT");
    if (net::have_ipv6())
        return;
    EXPECT_TRUE(unbound(s));
    EXPECT_EQ(outcome(connect_to(t, v4(2) + v6(2))), "EAFNOSUPPORT");
    EXPECT_TRUE(unbound(t));
    EXPECT_EQ(outcome(bind_to(s, v4(2))), "ok");
}

// --- Malformed -----------------------------------------------------------------------------------

TEST_F(Bind, RefusesWhatIsMalformedAndChangesNothing)
{
    auto inputs = malformed(v4(1)[0], v4(2)[1]);
    const bytes good = raw(socket_address(v4(2)));
    inputs.push_back({"no bytes", good, "EINVAL", 0});
    inputs.push_back({"one byte", good, "EINVAL", 1});
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const fd s = open_socket(type);
        for (const auto &input : inputs) {
            EXPECT_EQ(outcome(bind_to(s, input.data, input.addrlen)), input.error) << input.what;
            EXPECT_TRUE(unbound(s)) << input.what;
        }
        EXPECT_TRUE(port_free(port));
        EXPECT_EQ(outcome(bind_to(s, good)), "ok");
        EXPECT_EQ(local_set(s), sorted(v4(2)));
    }
}

TEST_F(Bind, RefusesWhatIsMalformedOnOrdinarySctpSockets)
{
    for (const int family : {AF_INET, AF_INET6}) {
        if (family == AF_INET6 && !net::have_ipv6())
            continue;
        const fd s = open_socket(SOCK_STREAM, family);
        for (const auto &input : malformed(v4(1)[0], v4(2)[1]))
            EXPECT_EQ(outcome(bind_to(s, input.data, input.addrlen)), input.error) << input.what;
        EXPECT_TRUE(port_free(port));
        EXPECT_EQ(outcome(bind_to(s, v4(2))), "ok");
        EXPECT_EQ(sctp_local_set(s), sorted(v4(2)));
    }
}

TEST_F(Bind, UnreadableMemoryIsEfaultAndChangesNothing)
{
    const net::guarded_memory memory;
    const bytes b = raw(socket_address(v4(64)));
    const fd s = open_socket();
    const auto length = static_cast<socklen_t>(b.size());
    for (const std::size_t readable :
         {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{4}, std::size_t{7},
          std::size_t{8}, std::size_t{12}, std::size_t{31}, std::size_t{32}, std::size_t{112},
          std::size_t{127}, std::size_t{128}, std::size_t{129}, std::size_t{1000}, b.size() - 8,
          b.size() - 1}) {
        std::byte *at = memory.last(readable);
        std::copy_n(b.begin(), readable, at);
        EXPECT_EQ(outcome(bind_to(s, std::span(at, readable), length)), "EFAULT") << readable;
        EXPECT_TRUE(unbound(s));
    }
    EXPECT_EQ(outcome(::bind(s, nullptr, length)), "EFAULT");
    EXPECT_TRUE(unbound(s));
    EXPECT_TRUE(port_free(port));
    EXPECT_EQ(outcome(bind_to(s, b)), "ok");
}

TEST_F(Bind, OtherFamiliesKeepTheirLimit)
{
    bytes b(4096);
    for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC}) {
        put(b, 0, static_cast<std::size_t>(family));
        const fd s = open_socket();
        EXPECT_EQ(outcome(bind_to(s, std::span(b).first(129))), "EINVAL") << family;
        EXPECT_EQ(outcome(bind_to(s, b)), "EINVAL") << family;
        const fd ordinary = open_socket(SOCK_STREAM, AF_INET);
        EXPECT_EQ(outcome(bind_to(ordinary, std::span(b).first(129))), "EINVAL") << family;
        EXPECT_TRUE(unbound(s));
    }
}

TEST_F(Bind, OtherProtocolsRefuseBundles)
{
    struct {
        int family, type, protocol;
        const char *error;
    } const others[] = {
        {AF_INET, SOCK_STREAM, 0, "EAFNOSUPPORT"},
        {AF_INET, SOCK_DGRAM, 0, "EAFNOSUPPORT"},
        {AF_UNIX, SOCK_STREAM, 0, "EINVAL"},
        // Which doesn't look at the family.
        {AF_INET, SOCK_RAW, IPPROTO_SCTP, "EADDRNOTAVAIL"},
    };
    for (const auto &other : others) {
        const fd s = open_socket(other.type, other.family, other.protocol);
        EXPECT_EQ(outcome(bind_to(s, v4(2))), other.error);
        EXPECT_EQ(outcome(bind_to(s, v4(5))), other.error);
        EXPECT_EQ(outcome(bind_to(s, v4(6))), "EINVAL") << "longer than sockaddr_storage";
    }
    if (!net::have_ipv6())
        return;
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        const fd s = open_socket(type, AF_INET6, 0);
        EXPECT_EQ(outcome(bind_to(s, v4(5))), "EAFNOSUPPORT");
        EXPECT_EQ(outcome(bind_to(s, v4(6))), "EINVAL") << "longer than sockaddr_storage";
    }
}

// --- The other errors ----------------------------------------------------------------------------

TEST_F(Bind, ASecondBindIsRefusedAndAddsNothing)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const fd s = open_socket(type);
        ASSERT_EQ(outcome(bind_to(s, v4(2))), "ok");
        EXPECT_EQ(outcome(bind_to(s, v4(2))), "EINVAL");
        EXPECT_EQ(outcome(bind_to(s, addrs({"10.9.0.3"}, port))), "EINVAL");
        EXPECT_EQ(outcome(bind_to(s, addrs({"10.9.0.3"}, 0))), "EINVAL");
        EXPECT_EQ(outcome(bind_to(s, addrs({"10.9.0.3"}, next_port()))), "EINVAL");
        EXPECT_EQ(local_set(s), sorted(v4(2)));
    }
    const fd plain_first = open_socket();
    ASSERT_EQ(outcome(bind_to(plain_first, v4(1)[0])), "ok");
    EXPECT_EQ(outcome(bind_to(plain_first, addrs({"10.9.0.3"}, port))), "EINVAL");
    EXPECT_EQ(local_set(plain_first), v4(1));
}

TEST_F(Bind, AnAddressOfAnotherHostLeavesNoneBound)
{
    for (std::size_t place = 0; place < 4; place++) {
        addresses a = v4(3);
        a.insert(a.begin() + static_cast<std::ptrdiff_t>(place), addr("192.0.2.1", port));
        for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
            const fd s = open_socket(type);
            EXPECT_EQ(outcome(bind_to(s, a)), "EADDRNOTAVAIL") << "place " << place;
            EXPECT_TRUE(unbound(s));
            EXPECT_TRUE(port_free(port));
            EXPECT_EQ(outcome(bind_to(s, v4(3))), "ok");
            EXPECT_EQ(local_set(s), sorted(v4(3)));
        }
    }
}

TEST_F(Bind, UnusableAddressesAreNotAvailable)
{
    for (const char *bad : {"224.0.0.1", "10.9.0.255", "255.255.255.255", "ff02::1", "2001:db8::1"})
        if (net::have_ipv6() || !addr(bad, 0).is_v6()) {
            const fd s = open_socket();
            EXPECT_EQ(outcome(bind_to(s, v4(2) + addrs({bad}, port))), "EADDRNOTAVAIL") << bad;
            EXPECT_TRUE(unbound(s));
        }
    EXPECT_TRUE(port_free(port));
}

TEST_F(Bind, AnAddressInUseLeavesNoneBound)
{
    // Three free and the fourth taken, wherever the taken one stands and whoever holds it.
    for (const int holder : {AF_INET, AF_BUNDLE})
        for (std::size_t place = 0; place < 4; place++) {
            const address taken = addr("10.9.0.64", port);
            fd owner = open_socket(SOCK_STREAM, holder);
            ASSERT_EQ(outcome(bind_to(owner, taken)), "ok");
            addresses a = v4(3);
            a.insert(a.begin() + static_cast<std::ptrdiff_t>(place), taken);
            const fd s = open_socket();
            EXPECT_EQ(outcome(bind_to(s, a)), "EADDRINUSE") << "place " << place;
            EXPECT_TRUE(unbound(s));
            {
                const fd other = open_socket(SOCK_STREAM, AF_INET);
                EXPECT_EQ(outcome(bind_to(other, v4(3))), "ok");
            }
            owner.reset();
            EXPECT_TRUE(port_free(port));
            EXPECT_EQ(outcome(bind_to(s, a)), "ok");
            EXPECT_EQ(local_set(s), sorted(a));
        }
}

TEST_F(Bind, AFailureLeavesNothingToSocketsThatReuseAddresses)
{
    const addresses bad = v4(3) + addrs({"192.0.2.1"}, port);
    for (const bool reuse_first : {false, true})
        for (const bool reuse_second : {false, true}) {
            const fd failed = open_socket(), next = open_socket(), third = open_socket();
            ASSERT_EQ(outcome(set_option(failed, SOL_SOCKET, SO_REUSEADDR, int{reuse_first})),
                      "ok");
            ASSERT_EQ(outcome(set_option(next, SOL_SOCKET, SO_REUSEADDR, int{reuse_second})), "ok");
            ASSERT_EQ(outcome(set_option(third, SOL_SOCKET, SO_REUSEADDR, 1)), "ok");
            EXPECT_EQ(outcome(bind_to(failed, bad)), "EADDRNOTAVAIL");
            ASSERT_EQ(outcome(bind_to(next, v4(3))), "ok");
            EXPECT_NE(outcome(bind_to(failed, bad)), "ok");
            EXPECT_TRUE(unbound(failed));
            // Both must allow it, failed attempt or not.
            EXPECT_EQ(outcome(bind_to(third, v4(3))), reuse_second ? "ok" : "EADDRINUSE");
        }
    EXPECT_TRUE(port_free(port));
}

TEST_F(Bind, AFailureAtPortZeroHoldsNoPort)
{
    const fd s = open_socket();
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(outcome(bind_to(s, addrs({"10.9.0.1", "10.9.0.2", "192.0.2.1"}, 0))),
                  "EADDRNOTAVAIL");
        EXPECT_TRUE(unbound(s));
    }
    // With one ephemeral port left, a port kept by a failure would be missed.
    const std::string one = std::to_string(next_port());
    const net::sysctl range("net/ipv4/ip_local_port_range", one + " " + one);
    EXPECT_EQ(outcome(bind_to(s, addrs({"10.9.0.1", "192.0.2.1"}, 0))), "EADDRNOTAVAIL");
    EXPECT_EQ(outcome(bind_to(s, addrs({"10.9.0.1", "10.9.0.2"}, 0))), "ok");
    EXPECT_EQ(std::to_string(sockname(s).port()), one);
    EXPECT_EQ(bind_outcome(addrs({"10.9.0.3"}, 0)), "EADDRINUSE");
}

TEST_F(Bind, AWildcardStandsAlone)
{
    for (const auto &a :
         {addresses{addr("0.0.0.0", port)} + v4(1), v4(2) + addresses{addr("0.0.0.0", port)}})
        EXPECT_EQ(bind_outcome(a), "EINVAL");
    EXPECT_TRUE(port_free(port));
    const fd s = open_socket();
    EXPECT_EQ(outcome(bind_to(s, addrs({"0.0.0.0"}, port))), "ok");
    EXPECT_EQ(sockname(s).port(), port);
    EXPECT_EQ(bind_outcome(v4(1)), "EADDRINUSE");
}

TEST_F(BindIpv6, AWildcardStandsAlone)
{
    const addresses any = addrs({"::"}, port);
    for (const auto &a : {any + v4(1), v6(2) + any, any + addrs({"0.0.0.0"}, port),
                          addrs({"0.0.0.0"}, port) + v6(1)})
        EXPECT_EQ(bind_outcome(a), "EINVAL");
    EXPECT_TRUE(port_free(port));
    const fd s = open_socket();
    EXPECT_EQ(outcome(bind_to(s, any)), "ok");
    EXPECT_EQ(sockname(s).port(), port);
    EXPECT_EQ(bind_outcome(v4(1)), "EADDRINUSE");
    EXPECT_EQ(bind_outcome(v6(1)), "EADDRINUSE");
}

TEST_F(Bind, PrivilegedPortsNeedTheCapability)
{
    port = 1023;
    EXPECT_EQ(bind_outcome(v4(2)), "ok");
    {
        const net::without_capability unprivileged(CAP_NET_BIND_SERVICE);
        const fd s = open_socket();
        EXPECT_EQ(outcome(bind_to(s, v4(2))), "EACCES");
        EXPECT_TRUE(unbound(s));
        EXPECT_EQ(outcome(bind_to(s, v4(6))), "EACCES") << "longer than sockaddr_storage";
        EXPECT_TRUE(unbound(s));
        port = 1024;
        EXPECT_EQ(outcome(bind_to(s, v4(2))), "ok");
        const net::sysctl start("net/ipv4/ip_unprivileged_port_start", "2000");
        port = 1999;
        EXPECT_EQ(bind_outcome(v4(2)), "EACCES");
        port = 2000;
        EXPECT_EQ(bind_outcome(v4(2)), "ok");
        port = 0;
        EXPECT_EQ(bind_outcome(v4(2)), "ok");
    }
    EXPECT_TRUE(port_free(1023));
    EXPECT_TRUE(port_free(1999));
}

TEST_F(BindIpv6, BindtodeviceHoldsForEachMemberAsOnOrdinarySockets)
{
    const auto on_device = [](int s, const char *device) {
        return outcome(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, device,
                                  static_cast<socklen_t>(strlen(device))));
    };
    for (const char *text :
         {"10.9.0.1", "10.8.0.1", "fd00:9::1", "fd00:8::1", "fe80::9:1%d0", "fe80::8:1%d1"}) {
        const address a = addr(text, port);
        const fd ordinary = open_socket(SOCK_STREAM, AF_INET6), s = open_socket(),
                 t = open_socket();
        for (const int each : {int{ordinary}, int{s}, int{t}})
            ASSERT_EQ(on_device(each, "d1"), "ok");
        const address mapped = a.is_v4() ? addr("::ffff:" + a.to_string(), port) : a;
        const std::string expected = outcome(bind_to(ordinary, mapped));
        if (expected == "ok") {
            EXPECT_EQ(outcome(bind_to(s, addresses{a})), "EADDRINUSE") << text;
            continue;
        }
        EXPECT_EQ(outcome(bind_to(s, addresses{a})), expected) << text;
        EXPECT_EQ(outcome(bind_to(t, addrs({"fd00:8::1"}, port) + addresses{a})), expected) << text;
        EXPECT_TRUE(unbound(t));
    }
    // Sockets of different devices don't stand in each other's way.
    port = next_port();
    const fd s = open_socket(), t = open_socket(), u = open_socket();
    ASSERT_EQ(on_device(s, "d0"), "ok");
    ASSERT_EQ(on_device(t, "d1"), "ok");
    ASSERT_EQ(on_device(u, "d1"), "ok");
    EXPECT_EQ(outcome(bind_to(s, addrs({"::"}, port))), "ok");
    EXPECT_EQ(outcome(bind_to(t, addrs({"::"}, port))), "ok");
    EXPECT_EQ(outcome(bind_to(u, addrs({"10.8.0.1", "fd00:8::1"}, port))), "EADDRINUSE");
}

TEST_F(Bind, NetworkNamespacesHoldForEachMember)
{
    // lo is all that another namespace has.
    const fd here(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    const fd s = [] {
        const net::netns elsewhere;
        return open_socket();
    }();
    const int back = setns(here, CLONE_NEWNET);
    ASSERT_EQ(outcome(back), "ok");
    EXPECT_EQ(outcome(bind_to(s, v4(2))), "EADDRNOTAVAIL");
    EXPECT_EQ(outcome(bind_to(s, addrs({"127.0.0.1", "10.9.0.1"}, port))), "EADDRNOTAVAIL");
    EXPECT_TRUE(unbound(s));
    EXPECT_EQ(outcome(bind_to(s, addrs({"127.0.0.1"}, port))), "ok");
    EXPECT_EQ(bind_outcome(v4(2)), "ok");
}

// --- Ordinary SCTP sockets -----------------------------------------------------------------------

TEST_F(Bind, OrdinaryInetSocketsTakeBundlesOfIpv4)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        for (const int n : {1, 5, 6, 64}) {
            const fd s = open_socket(type, AF_INET);
            ASSERT_EQ(outcome(bind_to(s, v4(n))), "ok") << n;
            EXPECT_EQ(sctp_local_set(s), sorted(v4(n)));
            EXPECT_EQ(sockname(s), v4(1)[0]);
        }
}

TEST_F(BindIpv6, OrdinaryInetSocketsRefuseIpv6Members)
{
    const fd s = open_socket(SOCK_STREAM, AF_INET);
    for (const addresses &a : {v6(1), v4(2) + v6(1), v6(1) + v4(2), v4(5) + v6(5)})
        EXPECT_EQ(outcome(bind_to(s, a)), "EAFNOSUPPORT");
    EXPECT_TRUE(port_free(port));
    EXPECT_EQ(outcome(bind_to(s, v4(2))), "ok");
}

TEST_F(BindIpv6, OrdinaryInet6SocketsTakeBundlesOfBoth)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        for (const int n : {1, 2, 32}) {
            const fd s = open_socket(type, AF_INET6);
            ASSERT_EQ(outcome(bind_to(s, v4(n) + v6(n))), "ok") << n;
            EXPECT_EQ(sctp_local_set(s), sorted(v4(n) + v6(n)));
        }
}

TEST_F(Bind, OrdinarySocketsBindAllOrNone)
{
    const fd owner = open_socket(SOCK_STREAM, AF_INET);
    ASSERT_EQ(outcome(bind_to(owner, addr("10.9.0.64", port))), "ok");
    const fd s = open_socket(SOCK_STREAM, AF_INET);
    EXPECT_EQ(outcome(bind_to(s, v4(3) + addrs({"10.9.0.64"}, port))), "EADDRINUSE");
    EXPECT_EQ(outcome(bind_to(s, v4(3) + addrs({"192.0.2.1"}, port))), "EADDRNOTAVAIL");
    EXPECT_EQ(sockname(s), addr("0.0.0.0", 0));
    EXPECT_EQ(outcome(bind_to(s, v4(3))), "ok");
    EXPECT_EQ(outcome(bind_to(s, v4(3))), "EINVAL");
    EXPECT_EQ(sctp_local_set(s), sorted(v4(3)));
}

// --- Names and options of a bound socket ---------------------------------------------------------

TEST_F(Bind, NamesAskedForAreTrimmedToTheBuffer)
{
    for (const int n : {1, 3, 5, 6, 64}) {
        port = next_port();
        const fd s = open_socket();
        ASSERT_EQ(outcome(bind_to(s, v4(n))), "ok");
        ASSERT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
        expect_bundle_names([&](sockaddr *a, socklen_t *l) { return getsockname(s, a, l); },
                            v4(1)[0], v4(n), every_size());
        EXPECT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 0)), "ok");
        EXPECT_EQ(sockname(s), v4(1)[0]);
    }
}

TEST_F(Bind, TheWholeSetIsTrimmedToTheBufferToo)
{
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, v4(64))), "ok");
    for (const std::size_t size :
         {0, 1, 7, 8, 31, 32, 55, 56, 128, 129, 152, 1543, 1544, 2056, 4096}) {
        bytes room(size + 8, std::byte{0xa5});
        auto length = static_cast<socklen_t>(size);
        const std::string got =
            outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_LOCAL_ADDRS, room.data(), &length));
        if (size < 8) {
            EXPECT_EQ(got, "EINVAL") << size;
            continue;
        }
        ASSERT_EQ(got, "ok") << size;
        const std::size_t count = std::min<std::size_t>(64, (size - 8) / 24);
        EXPECT_EQ(length, 8 + 24 * count) << size;
        const auto part = std::span(room).first(std::min<std::size_t>(length, size));
        EXPECT_EQ(bundle::to_string(bundle::validate(part, bundle::origin::kernel)), "well-formed");
        EXPECT_EQ(bundle::view(part).count(), count) << size;
        EXPECT_EQ(bundle::view(part).more(), count < 64) << size;
        EXPECT_TRUE(std::all_of(room.begin() + length, room.end(), [](std::byte b) {
            return b == std::byte{0xa5};
        })) << size;
    }
}

TEST_F(Bind, UnwritableMemoryForTheWholeSetIsEfault)
{
    const fd s = open_socket();
    ASSERT_EQ(outcome(bind_to(s, v4(64))), "ok");
    const net::guarded_memory memory;
    for (const std::size_t writable : {0, 8, 128, 129, 1000}) {
        socklen_t length = bundle::max_length;
        EXPECT_EQ(
            outcome(getsockopt(s, SOL_BUNDLE, BUNDLE_LOCAL_ADDRS, memory.last(writable), &length)),
            "EFAULT")
            << writable;
    }
    EXPECT_EQ(local_set(s).size(), 64U);
}

TEST_F(Bind, ListensOnAllMembers)
{
    const fd server = open_socket();
    ASSERT_EQ(outcome(bind_to(server, v4(6))), "ok");
    ASSERT_EQ(outcome(listen(server, 8)), "ok");
    for (const address &a : v4(6)) {
        const fd client = open_socket(SOCK_STREAM, AF_INET);
        EXPECT_EQ(outcome(connect_to(client, a)), "ok") << testing::PrintToString(a);
    }
}

} // namespace
