// SPDX-License-Identifier: GPL-2.0
// connect(2) with a bundle on one-to-one sockets, and the names that both ends then have.
#include "two_hosts.hpp"

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include <linux/io_uring.h>
#include <signal.h>
#include <sys/time.h>

namespace {

using namespace sctp;

// The server has 64 of each family on its third link.
constexpr int many = 64;

class Connect : public TwoHosts {
  protected:
    static void SetUpTestSuite()
    {
        TwoHosts::SetUpTestSuite();
        if (!hosts_)
            return;
        std::ostringstream more;
        for (int i = 1; i <= many; i++)
            more << "addr add 10.0.3." << std::dec << i
                 << "/24 dev v3\naddr add fd00:4::" << std::hex << i << "/64 dev v3 nodad\n";
        hosts().on_server([&] { net::ip(more.str()); });
        // What is sent into d0 is lost.
        net::ip("addr add 10.0.3.100/24 dev v3\naddr add fd00:4::100/64 dev v3 nodad\n"
                "link add d0 type dummy\n" +
                net::link_up("d0") +
                "addr add 10.0.9.1/24 dev d0\naddr add fd00:9::1/64 dev d0 nodad\n");
    }

    // Nobody answers there.
    addresses nowhere() const { return addrs({"10.0.9.2", "fd00:9::2"}, port); }

    // The state of a connection that somebody listens for.
    struct connection {
        fd listener, client, server;
    };
    connection established(bool client_binds = true) const
    {
        connection c{hosts().listener(servers), open_socket(), {}};
        if (client_binds && bind_to(c.client, clients) < 0)
            net::fail("the client's bind");
        if (connect_to(c.client, servers) < 0)
            net::fail("connect");
        c.server = accept(c.listener);
        return c;
    }
};

// Delays or loses what the client sends on some links, as long as it lives.
class netem {
  public:
    explicit netem(const std::string &what, std::vector<std::string> links = {"v1", "v2", "v3"})
        : links_(std::move(links))
    {
        tc("add", " netem " + what);
    }
    netem(const netem &) = delete;
    ~netem()
    {
        try {
            tc("del", "");
        } catch (const std::exception &e) {
            ADD_FAILURE() << e.what();
        }
    }

  private:
    void tc(const std::string &action, const std::string &what) const
    {
        std::string lines;
        for (const std::string &link : links_)
            lines += "qdisc " + action + " dev " + link + " root" + what + "\n";
        net::run({"tc", "-batch", "-"}, lines);
    }

    std::vector<std::string> links_;
};

// The peer's address that data goes to from now on.
int set_primary(int s, const address &to)
{
    sockaddr_storage name{};
    to.store(std::as_writable_bytes(std::span(&name, 1)));
    sctp_prim primary{};
    primary.ssp_addr = name;
    return set_option(s, IPPROTO_SCTP, SCTP_PRIMARY_ADDR, primary);
}

// Makes a socket give up on an address, at set-up, after a tenth of a second instead of three.
void hurry(int s, std::uint16_t attempts)
{
    sctp_rtoinfo timers{};
    timers.srto_initial = timers.srto_min = timers.srto_max = 100;
    sctp_initmsg init{};
    init.sinit_max_attempts = attempts;
    if (set_option(s, IPPROTO_SCTP, SCTP_RTOINFO, timers) < 0 ||
        set_option(s, IPPROTO_SCTP, SCTP_INITMSG, init) < 0)
        net::fail("SCTP's timers");
}

// Waits until the peer, having closed its end, is gone.
testing::AssertionResult association_ends(int s)
{
    const std::uint16_t local = sockname(s).port(), peer = peername(s).port();
    if (net::eventually([&] { return proc_assoc(local, peer).count == 0; }))
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << "the association is still there";
}

double seconds_since(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int socket_error(int s)
{
    return get_option(s, SOL_SOCKET, SO_ERROR);
}

int set_send_timeout(int s, int milliseconds)
{
    timeval limit{};
    limit.tv_sec = milliseconds / 1000;
    limit.tv_usec = milliseconds % 1000 * 1000;
    return set_option(s, SOL_SOCKET, SO_SNDTIMEO, limit);
}

std::atomic<int> signals_seen;

// SIGALRM once, after @milliseconds.
void signal_soon(int milliseconds, int flags)
{
    struct sigaction action {};
    action.sa_handler = [](int) { signals_seen++; };
    action.sa_flags = flags;
    sigaction(SIGALRM, &action, nullptr);
    signals_seen = 0;
    itimerval when{};
    when.it_value.tv_usec = milliseconds * 1000;
    setitimer(ITIMER_REAL, &when, nullptr);
}

// --- What is set up ------------------------------------------------------------------------------

TEST_F(Connect, OneCallSetsUpEveryPathOfTheBundle)
{
    const auto c = established();
    EXPECT_EQ(peer_set(c.client), sorted(servers));
    EXPECT_EQ(local_set(c.client), sorted(clients));
    EXPECT_EQ(peer_set(c.server), sorted(clients));
    EXPECT_EQ(local_set(c.server), sorted(servers));
    EXPECT_EQ(sctp_peer_set(c.client), sorted(servers));
    EXPECT_EQ(sctp_peer_set(c.server), sorted(clients));

    const auto here = proc_assoc(client_port, port);
    EXPECT_EQ(here.count, 1);
    EXPECT_EQ(here.local, sorted(clients));
    EXPECT_EQ(here.peer, sorted(servers));
    const auto there = hosts().on_server([&] { return proc_assoc(port, client_port); });
    EXPECT_EQ(there.count, 1);
    EXPECT_EQ(there.local, sorted(servers));
    EXPECT_EQ(there.peer, sorted(clients));
}

TEST_F(Connect, AnUnboundClientUsesItsAddressesOfTheSameScopes)
{
    const auto c = established(false);
    const std::uint16_t chosen = sockname(c.client).port();
    EXPECT_NE(chosen, 0);
    EXPECT_EQ(peer_set(c.client), sorted(servers));
    // Everything that this host has: no member is a link-local one or lo's.
    const addresses expected =
        two_hosts::client_addrs(chosen) +
        addrs({"10.0.3.100", "fd00:4::100", "10.0.9.1", "fd00:9::1"}, chosen);
    EXPECT_EQ(peer_set(c.server), sorted(expected));
}

TEST_F(Connect, CarriesDataBothWays)
{
    const auto c = established();
    std::array<char, 16> room{};
    ASSERT_EQ(send(c.client, "ping", 4, 0), 4);
    ASSERT_TRUE(net::wait_for(c.server, POLLIN));
    EXPECT_EQ(recv(c.server, room.data(), room.size(), 0), 4);
    ASSERT_EQ(send(c.server, "pong", 4, 0), 4);
    ASSERT_TRUE(net::wait_for(c.client, POLLIN));
    EXPECT_EQ(recv(c.client, room.data(), room.size(), 0), 4);
    EXPECT_EQ(std::string(room.data()), "pong");
}

TEST_F(Connect, TheLongestBundlesConnect)
{
    for (const addresses &all : {range("10.0.3.", many, port), range("fd00:4::", many, port),
                                 range("10.0.3.", 32, port) + range("fd00:4::", 32, port)}) {
        const fd listener = hosts().listener(all), client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, all)), "ok");
        EXPECT_EQ(peer_set(client), sorted(all));
        const fd server = accept(listener);
        EXPECT_EQ(local_set(server), sorted(all));
    }
}

TEST_F(Connect, LengthsAroundEveryLimitOfTheSocketLayer)
{
    for (const int n : {1, 4, 5, 6, 63, 64}) {
        const addresses all = range("10.0.3.", n, port);
        bytes b = raw(socket_address(all));
        const std::size_t exact = b.size();
        b.resize(4096, std::byte{0xff});
        const fd listener = hosts().listener(all);
        for (const std::size_t length : {exact - 1, exact, std::size_t{2056}, std::size_t{4096}}) {
            const fd client = open_socket();
            const std::string got = outcome(connect_to(client, std::span(b).first(length)));
            EXPECT_EQ(got, length < exact ? "EINVAL" : "ok") << exact << " in " << length;
            if (got == "ok") {
                EXPECT_EQ(peer_set(client), sorted(all));
                accept(listener);
            }
        }
    }
}

TEST_F(Connect, DuplicatesAndMappedAddressesCountOnce)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    ASSERT_EQ(outcome(connect_to(client, addrs({"::ffff:10.0.1.2", "10.0.2.2", "10.0.1.2",
                                                "fd00:3::2", "::ffff:10.0.2.2", "fd00:3::2"},
                                               port))),
              "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
    EXPECT_EQ(peername(client).family(), AF_INET);
}

TEST_F(Connect, PlainAddressesStillConnect)
{
    const fd listener = hosts().listener(servers);
    for (const address &a : servers) {
        const fd client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, a)), "ok") << testing::PrintToString(a);
        EXPECT_EQ(peername(client), a);
        EXPECT_EQ(peer_set(client), sorted(servers)) << "the server's INIT ACK lists them all";
        accept(listener);
    }
}

TEST_F(Connect, OrdinarySctpSocketsTakeBundles)
{
    const fd listener = hosts().listener(servers, SOCK_STREAM, AF_INET6);
    const fd v6 = open_socket(SOCK_STREAM, AF_INET6);
    ASSERT_EQ(outcome(connect_to(v6, servers)), "ok");
    EXPECT_EQ(sctp_peer_set(v6), sorted(servers));
    EXPECT_EQ(peername(v6).plain(), servers[0]);
    const fd server = accept(listener);
    EXPECT_EQ(sctp_local_set(server), sorted(servers));

    const addresses v4 = range("10.0.3.", many, next_port());
    const fd v4_listener = hosts().listener(v4, SOCK_STREAM, AF_INET);
    for (const int n : {1, 5, 6, 64}) {
        const fd client = open_socket(SOCK_STREAM, AF_INET);
        ASSERT_EQ(outcome(connect_to(client, addresses(v4.begin(), v4.begin() + n))), "ok") << n;
        accept(v4_listener);
    }
}

TEST_F(Connect, OrdinaryInetSocketsRefuseIpv6Members)
{
    const fd listener = hosts().listener(servers);
    const fd client = open_socket(SOCK_STREAM, AF_INET);
    EXPECT_EQ(outcome(connect_to(client, servers)), "EAFNOSUPPORT");
    EXPECT_EQ(outcome(connect_to(client, addrs({"fd00:3::2"}, port))), "EAFNOSUPPORT");
    EXPECT_EQ(outcome(connect_to(client, addrs({"10.0.1.2", "10.0.2.2"}, port))), "ok");
}

// --- Scopes --------------------------------------------------------------------------------------

// Connects to @members in every order; each time the peer's addresses must be the same.
void every_order(addresses members, const fd &listener, const addresses &expected_of_client)
{
    const addresses all = sorted(members);
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), 0U);
    do {
        addresses a;
        std::string text;
        for (const std::size_t i : order) {
            a.push_back(members[i]);
            text += " " + members[i].to_string();
        }
        const fd client = open_socket();
        ASSERT_EQ(outcome(set_send_timeout(client, 2000)), "ok");
        const std::string got = outcome(connect_to(client, a));
        EXPECT_EQ(got, "ok") << text;
        if (got != "ok")
            continue;
        EXPECT_EQ(peer_set(client), all) << text;
        const fd server = accept(listener);
        const std::uint16_t chosen = sockname(client).port();
        addresses expected;
        for (const address &e : expected_of_client)
            expected.push_back(e.with_port(chosen));
        EXPECT_EQ(unscoped(peer_set(server)), unscoped(expected)) << text;
    } while (!testing::Test::HasFailure() && std::next_permutation(order.begin(), order.end()));
}

// Link-local, private, unique-local and global addresses, over one link of two hosts of their own.
struct all_scopes {
    all_scopes()
    {
        net::ip("link add x0 type veth peer name x0 netns " + server.name() + "\n" +
                net::link_up("x0"));
        server.in(client, [] {
            net::ip(net::link_up("x0") +
                    "addr add fe80::2/64 dev x0 nodad\n"
                    "addr add 10.5.0.2/24 dev x0\naddr add fd00:5::2/64 dev x0 nodad\n"
                    "addr add 2001:db8:5::2/64 dev x0 nodad\n");
        });
        two_hosts::wait_running({"x0"});
        net::ip("addr add fe80::1/64 dev x0 nodad\naddr add 10.5.0.1/24 dev x0\n"
                "addr add fd00:5::1/64 dev x0 nodad\naddr add 2001:db8:5::1/64 dev x0 nodad\n");
    }

    fd listener(std::initializer_list<const char *> names, std::uint16_t port, int family) const
    {
        return server.in(client, [&] {
            fd s = open_socket(SOCK_STREAM, family);
            EXPECT_EQ(outcome(bind_to(s, addrs(names, port))), "ok");
            EXPECT_EQ(outcome(listen(s, 8)), "ok");
            return s;
        });
    }

    net::netns server, client;
};

TEST_F(Connect, MembersOfAllScopesConnectInEveryOrder)
{
    const all_scopes two;
    const auto names = {"fe80::2%x0", "10.5.0.2", "fd00:5::2", "2001:db8:5::2"};
    every_order(addrs(names, port), two.listener(names, port, AF_BUNDLE),
                addrs({"fe80::1", "10.5.0.1", "fd00:5::1", "2001:db8:5::1"}, 0));
}

TEST_F(Connect, WhoComesFromOutsideNamesNoAddressesInside)
{
    const all_scopes two;
    // The client lists all that it is bound to. Unique local addresses are global to SCTP.
    const net::sysctl all("net/sctp/addr_scope_policy", "0");
    using names = std::initializer_list<const char *>;
    const struct {
        names server;
        int family;
        names accepted;
    } cases[] = {
        {{"2001:db8:5::2"}, AF_BUNDLE, {"2001:db8:5::1", "fd00:5::1"}},
        {{"2001:db8:5::2", "::1"}, AF_BUNDLE, {"2001:db8:5::1", "fd00:5::1"}},
        {{"2001:db8:5::2", "10.5.0.2"}, AF_BUNDLE, {"2001:db8:5::1", "fd00:5::1", "10.5.0.1"}},
        // The source alone counts.
        {{"2001:db8:5::2", "10.5.0.2"}, AF_INET6, {"2001:db8:5::1", "fd00:5::1"}},
    };
    for (const auto &one : cases) {
        const fd listener = two.listener(one.server, port, one.family), client = open_socket();
        const auto own = {"2001:db8:5::1", "fd00:5::1", "10.5.0.1", "::1"};
        ASSERT_EQ(outcome(bind_to(client, addrs(own, client_port))), "ok");
        ASSERT_EQ(outcome(connect_to(client, addrs({"2001:db8:5::2"}, port))), "ok");
        EXPECT_EQ(unscoped(sctp_peer_set(accept(listener))),
                  sorted(addrs(one.accepted, client_port)));
        port = next_port();
        client_port = next_port();
    }
}

TEST_F(Connect, LoopbackMembersConnectInEveryOrder)
{
    const addresses own = addrs({"127.0.0.1", "::1", "10.0.1.1", "fd00:3::1"}, port);
    const fd listener = open_socket();
    ASSERT_EQ(outcome(bind_to(listener, own)), "ok");
    ASSERT_EQ(outcome(listen(listener, 32)), "ok");
    every_order(own, listener,
                addrs({"127.0.0.1", "::1", "10.0.1.1", "10.0.2.1", "fd00:3::1", "10.0.3.100",
                       "fd00:4::100", "10.0.9.1", "fd00:9::1"},
                      0));
}

// --- Names ---------------------------------------------------------------------------------------

TEST_F(Connect, NamesArePlainAndNeverMapped)
{
    const fd listener = hosts().listener(servers);
    const fd client = open_socket();
    ASSERT_EQ(outcome(bind_to(client, clients)), "ok");
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    ASSERT_TRUE(net::wait_for(listener, POLLIN));
    fd server;
    const address accepted = plain_name([&](sockaddr *a, socklen_t *n) {
        server = fd(::accept4(listener, a, n, SOCK_CLOEXEC));
        return int{server};
    });
    EXPECT_EQ(std::count(clients.begin(), clients.end(), accepted), 1);
    EXPECT_EQ(peername(server), accepted);
    EXPECT_EQ(sockname(server), servers[0]) << "the first bound address";

    const address peer = peername(client);
    EXPECT_EQ(std::count(servers.begin(), servers.end(), peer), 1);
    EXPECT_EQ(sockname(client), clients[0]) << "the first bound address";

    ASSERT_EQ(send(client, "xy", 2, 0), 2);
    EXPECT_EQ(message_from(server), accepted);
    ASSERT_EQ(send(server, "xy", 2, 0), 2);
    EXPECT_EQ(message_from(client), peer);
    EXPECT_EQ(plain_name([&](sockaddr *a, socklen_t *n) {
                  char c;
                  iovec part{&c, 1};
                  msghdr m{};
                  m.msg_name = a;
                  m.msg_namelen = *n;
                  m.msg_iov = &part;
                  m.msg_iovlen = 1;
                  const ssize_t got = recvmsg(client, &m, MSG_DONTWAIT);
                  *n = m.msg_namelen;
                  return got;
              }),
              peer);
}

TEST_F(Connect, NamesOfIpv6ArePlainToo)
{
    servers = addrs({"fd00:3::2"}, port);
    clients = addrs({"fd00:3::1"}, client_port);
    const auto c = established();
    EXPECT_EQ(peername(c.client), servers[0]);
    EXPECT_EQ(sockname(c.client), clients[0]);
    EXPECT_EQ(peername(c.server), clients[0]);
    EXPECT_EQ(sockname(c.server), servers[0]);
    ASSERT_EQ(send(c.client, "x", 1, 0), 1);
    EXPECT_EQ(message_from(c.server), clients[0]);
}

TEST_F(Connect, TheNameOfAnUnboundClientIsWhereItsPathStarts)
{
    const fd listener = hosts().listener(servers);
    const std::map<std::string, std::string> path{
        {"10.0.1.2", "10.0.1.1"}, {"10.0.2.2", "10.0.2.1"}, {"fd00:3::2", "fd00:3::1"}};
    for (const address &first : servers) {
        addresses a = servers;
        std::swap(a[0], *std::find(a.begin(), a.end(), first));
        const fd client = open_socket();
        ASSERT_EQ(outcome(connect_to(client, a)), "ok");
        EXPECT_EQ(sockname(client).to_string(), path.at(peername(client).to_string()));
        accept(listener);
    }
}

TEST_F(Connect, ThePeersNameStaysTheVerifiedOneWhereverDataComesFrom)
{
    const auto c = established();
    const address peer = peername(c.client);
    for (const address &to : clients) {
        ASSERT_EQ(outcome(set_primary(c.server, to)), "ok");
        ASSERT_EQ(send(c.server, "x", 1, 0), 1);
        EXPECT_EQ(message_from(c.client), peer) << "by way of " << testing::PrintToString(to);
        EXPECT_EQ(peername(c.client), peer);
    }
}

TEST_F(Connect, NamesStayWhenThePrimaryPathChanges)
{
    const auto c = established(false);
    const address peer = peername(c.client), local = sockname(c.client);
    for (const address &to : servers) {
        ASSERT_EQ(outcome(set_primary(c.client, to)), "ok");
        EXPECT_EQ(peername(c.client), peer) << testing::PrintToString(to);
        EXPECT_EQ(sockname(c.client), local) << testing::PrintToString(to);
    }
}

TEST_F(Connect, ThePeersNameOutlivesTheAssociation)
{
    for (const bool client_closes : {true, false}) {
        auto c = established(false);
        fd &closing = client_closes ? c.client : c.server;
        const int other = client_closes ? c.server : c.client;
        const address peer = peername(other);
        closing.reset();
        const auto ends = [&] { return association_ends(other); };
        EXPECT_TRUE(client_closes ? hosts().on_server(ends) : ends());
        EXPECT_EQ(peername(other), peer);
    }
}

TEST_F(Connect, NamesAskedForAreTrimmedToTheBuffer)
{
    const auto c = established();
    for (const int s : {int{c.client}, int{c.server}})
        ASSERT_EQ(outcome(set_option(s, SOL_BUNDLE, BUNDLE_NAMES, 0)), "ok");
    const address peer = peername(c.client), local = sockname(c.client);
    ASSERT_EQ(outcome(set_option(c.client, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    ASSERT_EQ(send(c.server, "x", 1, 0), 1);
    ASSERT_TRUE(net::wait_for(c.client, POLLIN));
    const int s = c.client;
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getpeername(s, a, n); }, peer,
                        servers, every_size());
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getsockname(s, a, n); }, local,
                        clients, every_size());
    expect_bundle_names(
        [s](sockaddr *a, socklen_t *n) { return getsockopt(s, SOL_SOCKET, SO_PEERNAME, a, n); },
        peer, servers, every_size());
    expect_bundle_names(
        [s](sockaddr *a, socklen_t *n) {
            char byte;
            return recvfrom(s, &byte, 1, MSG_PEEK | MSG_DONTWAIT, a, n);
        },
        peer, servers, every_size());
    expect_bundle_names(
        [s](sockaddr *a, socklen_t *n) {
            char byte;
            iovec part{&byte, 1};
            msghdr m{};
            m.msg_name = a;
            m.msg_namelen = *n;
            m.msg_iov = &part;
            m.msg_iovlen = 1;
            const ssize_t got = recvmsg(s, &m, MSG_PEEK | MSG_DONTWAIT);
            *n = m.msg_namelen;
            return got;
        },
        peer, servers, every_size());
    expect_bundle_names(
        [s](sockaddr *a, socklen_t *n) {
            char byte;
            iovec part{&byte, 1};
            mmsghdr m{};
            m.msg_hdr.msg_name = a;
            m.msg_hdr.msg_namelen = *n;
            m.msg_hdr.msg_iov = &part;
            m.msg_hdr.msg_iovlen = 1;
            const int got = recvmmsg(s, &m, 1, MSG_PEEK | MSG_DONTWAIT, nullptr);
            *n = m.msg_hdr.msg_namelen;
            return got;
        },
        peer, servers, {0, 7, 8, 32, 56, 87, 88, 128});
}

TEST_F(Connect, NamesOfManyAddressesStayBelowASockaddrStorage)
{
    servers = range("fd00:4::", many, port);
    clients = addrs({"fd00:4::100"}, client_port);
    const auto c = established();
    const address peer = peername(c.client);
    ASSERT_EQ(outcome(set_option(c.client, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    ASSERT_EQ(send(c.server, "x", 1, 0), 1);
    ASSERT_TRUE(net::wait_for(c.client, POLLIN));
    const int s = c.client;
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getpeername(s, a, n); }, peer,
                        servers, every_size());
    expect_bundle_names(
        [s](sockaddr *a, socklen_t *n) {
            char byte;
            return recvfrom(s, &byte, 1, MSG_PEEK | MSG_DONTWAIT, a, n);
        },
        peer, servers, every_size());
}

TEST_F(Connect, AcceptGivesNamesAskedForAndHandsTheSettingDown)
{
    const fd listener = hosts().listener(servers);
    ASSERT_EQ(outcome(set_option(listener, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    std::vector<fd> kept;
    const auto connect_and_accept = [&](sockaddr *a, socklen_t *n) {
        kept.push_back(open_socket());
        if (bind_to(kept.back(), clients) < 0 || connect_to(kept.back(), servers) < 0 ||
            !net::wait_for(listener, POLLIN))
            return -1;
        kept.push_back(fd(::accept4(listener, a, n, SOCK_CLOEXEC)));
        const int server = kept.back();
        if (server >= 0) {
            EXPECT_EQ(get_option(server, SOL_BUNDLE, BUNDLE_NAMES), 1);
            EXPECT_EQ(get_option(server, SOL_SOCKET, SO_PROTOCOL), IPPROTO_SCTP);
        }
        // Another client takes the same addresses at another port.
        clients = two_hosts::client_addrs(next_port());
        return server;
    };
    // Each size is a connection; the client's port differs every time, so that names are checked
    // without it.
    for (const std::size_t size : {0, 1, 7, 8, 9, 31, 32, 33, 55, 56, 57, 87, 88, 89, 128, 140}) {
        const addresses asked = clients;
        const bytes name = name_in_buffer(connect_and_accept, size);
        if (size < 8) {
            EXPECT_TRUE(name.empty()) << size;
            continue;
        }
        EXPECT_EQ(bundle::to_string(bundle::validate(name, bundle::origin::kernel)), "well-formed");
        const bundle::view part(name);
        EXPECT_EQ(part.length(), name.size());
        EXPECT_EQ(part.more(), part.count() < asked.size()) << size;
        if (size >= 88) {
            EXPECT_TRUE(bundle::same_addresses(part, socket_address(asked))) << size;
        } else if (size < 32) {
            EXPECT_EQ(part.count(), 0U) << size;
        }
        for (const auto &m : part)
            EXPECT_EQ(std::count(asked.begin(), asked.end(), m.addr), 1);
    }
}

TEST_F(Connect, AcceptWithoutAskingGivesTheDefault)
{
    const auto c = established();
    EXPECT_EQ(get_option(c.server, SOL_BUNDLE, BUNDLE_NAMES), 0);
}

TEST_F(Connect, ThePeersWholeSetIsTrimmedToTheBuffer)
{
    const auto c = established();
    for (const std::size_t size : {0, 7, 8, 31, 32, 56, 87, 88, 2056}) {
        bytes room(size + 8, std::byte{0xa5});
        auto length = static_cast<socklen_t>(size);
        const std::string got =
            outcome(getsockopt(c.client, SOL_BUNDLE, BUNDLE_PEER_ADDRS, room.data(), &length));
        EXPECT_EQ(got, size < 8 ? "EINVAL" : "ok") << size;
        if (got != "ok")
            continue;
        ASSERT_LE(length, size);
        const auto part = std::span(room).first(length);
        EXPECT_EQ(bundle::to_string(bundle::validate(part, bundle::origin::kernel)), "well-formed");
        EXPECT_EQ(bundle::view(part).more(), bundle::view(part).count() < 3) << size;
    }
}

// --- States of a connect -------------------------------------------------------------------------

TEST_F(Connect, NonBlockingConnectsFinishInTheBackground)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    ASSERT_TRUE(net::wait_for(client, POLLOUT) & POLLOUT);
    EXPECT_EQ(socket_error(client), 0);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok") << "the first one since it succeeded";
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, TheOutcomeIsOwedAfterEalreadyAndAfterASignalToo)
{
    const fd listener = hosts().listener(servers);
    const netem slow("delay 150ms");
    const auto expect_outcome = [this](int client) {
        ASSERT_TRUE(net::wait_for(client, POLLOUT) & POLLOUT);
        EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
        EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    };
    const fd busy = open_socket();
    nonblocking(busy);
    EXPECT_EQ(outcome(connect_to(busy, servers)), "EINPROGRESS");
    EXPECT_EQ(outcome(connect_to(busy, servers)), "EALREADY");
    expect_outcome(busy);
    for (const int limit : {0, 5000}) {
        const fd client = open_socket();
        ASSERT_EQ(outcome(set_send_timeout(client, limit)), "ok");
        signal_soon(50, 0);
        EXPECT_EQ(outcome(connect_to(client, servers)), "EINTR") << limit;
        expect_outcome(client);
    }
}

TEST_F(Connect, AnAcceptedSocketOwesNoOutcomeOfItsListener)
{
    const fd listener = open_socket(), client = open_socket();
    nonblocking(listener);
    ASSERT_EQ(outcome(connect_to(listener, servers)), "EINPROGRESS");
    ASSERT_TRUE(net::wait_for(listener, POLLOUT));
    ASSERT_EQ(socket_error(listener), ECONNREFUSED);
    ASSERT_EQ(outcome(listen(listener, 8)), "ok");
    const address own = addr("10.0.1.1", sockname(listener).port());
    ASSERT_EQ(outcome(connect_to(client, addresses{own})), "ok");
    EXPECT_EQ(outcome(connect_to(accept(listener), servers)), "EISCONN");
}

TEST_F(Connect, AConnectedSocketSaysSo)
{
    const auto c = established();
    EXPECT_EQ(outcome(connect_to(c.client, servers)), "EISCONN");
    EXPECT_EQ(outcome(connect_to(c.client, servers[0])), "EISCONN");
    EXPECT_EQ(outcome(connect_to(c.server, clients)), "EISCONN");
    EXPECT_EQ(peer_set(c.client), sorted(servers));
    EXPECT_EQ(outcome(connect_to(c.listener, clients)), "EISCONN");
}

TEST_F(Connect, WhileOneIsUnderWayAnotherIsEalready)
{
    const fd client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, nowhere())), "EINPROGRESS");
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EALREADY");
    EXPECT_EQ(outcome(connect_to(client, servers)), "EALREADY");
    sockaddr_storage name;
    socklen_t length = sizeof(name);
    EXPECT_EQ(outcome(getpeername(client, reinterpret_cast<sockaddr *>(&name), &length)),
              "ENOTCONN");
    alignas(8) std::array<std::byte, bundle::max_length> room;
    length = room.size();
    EXPECT_EQ(outcome(getsockopt(client, SOL_BUNDLE, BUNDLE_PEER_ADDRS, room.data(), &length)),
              "ENOTCONN");
    EXPECT_EQ(socket_error(client), 0);
}

TEST_F(Connect, ASendTimeoutBoundsTheCall)
{
    const fd client = open_socket();
    ASSERT_EQ(outcome(set_send_timeout(client, 100)), "ok");
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EINPROGRESS");
    EXPECT_GE(seconds_since(start), 0.09);
    EXPECT_LT(seconds_since(start), 3);
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EALREADY") << "it is still under way";
}

TEST_F(Connect, AFlagOfTheFileMayChangeWhileOneIsUnderWay)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 50ms");
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    nonblocking(client, false);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok") << "a blocking one waits on";
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
}

TEST_F(Connect, ASignalInterruptsAndAnotherCallWaitsOn)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 150ms");
    signal_soon(50, 0);
    EXPECT_EQ(outcome(connect_to(client, servers)), "EINTR");
    EXPECT_EQ(signals_seen, 1);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, ASignalThatRestartsCallsIsNotNoticed)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 150ms");
    signal_soon(50, SA_RESTART);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(signals_seen, 1);
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, ASignalWithASendTimeoutInterruptsEvenIfItRestartsCalls)
{
    // As TCP does: a restarted call would wait the whole time again.
    const fd client = open_socket();
    ASSERT_EQ(outcome(set_send_timeout(client, 5000)), "ok");
    signal_soon(50, SA_RESTART);
    EXPECT_EQ(outcome(connect_to(client, nowhere())), "EINTR");
    EXPECT_EQ(signals_seen, 1);
}

TEST_F(Connect, NobodyListeningIsEconnrefused)
{
    const fd client = open_socket();
    EXPECT_EQ(outcome(connect_to(client, servers)), "ECONNREFUSED");
    EXPECT_EQ(socket_error(client), 0) << "the call has told";
    EXPECT_EQ(proc_assoc(sockname(client).port(), port).count, 0);
    // The socket is good for another attempt.
    const fd listener = hosts().listener(servers);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, ARefusalReachesSocketErrorOfANonBlockingConnect)
{
    const fd client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    EXPECT_TRUE(net::wait_for(client, POLLOUT) & (POLLERR | POLLHUP));
    EXPECT_EQ(socket_error(client), ECONNREFUSED);
}

TEST_F(Connect, ARefusalReachesTheNextConnectIfNobodyReadSocketError)
{
    const fd client = open_socket();
    nonblocking(client);
    ASSERT_EQ(outcome(connect_to(client, servers)), "EINPROGRESS");
    EXPECT_TRUE(net::wait_for(client, POLLOUT) & (POLLERR | POLLHUP));
    EXPECT_EQ(outcome(connect_to(client, servers)), "ECONNREFUSED");
}

TEST_F(Connect, OverlappingConnectsOfTwoSocketsBothSucceed)
{
    const fd listener = hosts().listener(servers), a = open_socket(), b = open_socket();
    nonblocking(a);
    nonblocking(b);
    const addresses reversed(servers.rbegin(), servers.rend());
    ASSERT_EQ(outcome(connect_to(a, servers)), "EINPROGRESS");
    ASSERT_EQ(outcome(connect_to(b, reversed)), "EINPROGRESS");
    for (const int s : {int{a}, int{b}}) {
        ASSERT_TRUE(net::wait_for(s, POLLOUT));
        EXPECT_EQ(socket_error(s), 0);
        EXPECT_EQ(peer_set(s), sorted(servers));
    }
}

TEST_F(Connect, OverlappingConnectsOfTwoThreadsBothSucceed)
{
    const fd listener = hosts().listener(servers);
    constexpr int rounds = 5;
    std::atomic<int> connected = 0;
    const auto connect_all = [&] {
        for (int i = 0; i < rounds; i++) {
            const fd s = open_socket();
            set_send_timeout(s, 5000);
            connected += connect_to(s, servers) == 0;
        }
    };
    std::thread other(connect_all);
    connect_all();
    other.join();
    EXPECT_EQ(connected, 2 * rounds);
}

TEST_F(Connect, TwoThreadsOnOneSocketMakeOneAssociation)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    const netem slow("delay 50ms");
    ASSERT_EQ(outcome(set_send_timeout(client, 5000)), "ok");
    std::string first, second;
    std::thread other([&] { first = outcome(connect_to(client, servers)); });
    second = outcome(connect_to(client, servers));
    other.join();
    for (const std::string &got : {first, second})
        EXPECT_TRUE(got == "ok" || got == "EISCONN" || got == "EALREADY") << got;
    EXPECT_TRUE(first == "ok" || second == "ok");
    EXPECT_EQ(proc_assoc(sockname(client).port(), port).count, 1);
    accept(listener);
    EXPECT_FALSE(net::wait_for(listener, POLLIN, 100)) << "a second association";
}

TEST_F(Connect, ClosingWhileOneIsUnderWayLeavesNothing)
{
    for (int i = 0; i < 5; i++) {
        const fd client = open_socket();
        ASSERT_EQ(outcome(bind_to(client, addrs({"10.0.9.1", "fd00:9::1"}, client_port))), "ok");
        nonblocking(client);
        ASSERT_EQ(outcome(connect_to(client, nowhere())), "EINPROGRESS");
    }
    EXPECT_TRUE(net::eventually([&] { return proc_assoc(client_port, port).count == 0; }));
    EXPECT_TRUE(net::eventually([&] { return bool{port_free(client_port)}; }));
}

// --- Errors --------------------------------------------------------------------------------------

TEST_F(Connect, RefusesWhatIsMalformedAndChangesNothing)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    auto inputs = malformed(servers[0], servers[1]);
    inputs.push_back({"no bytes", raw(socket_address(servers)), "EINVAL", 0});
    inputs.push_back({"one byte", raw(socket_address(servers)), "EINVAL", 1});
    for (const auto &input : inputs) {
        EXPECT_EQ(outcome(connect_to(client, input.data, input.addrlen)), input.error)
            << input.what;
        EXPECT_TRUE(unbound(client)) << input.what;
    }
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, RefusesWhatIsMalformedOnOrdinarySctpSockets)
{
    const fd listener = hosts().listener(servers);
    for (const int family : {AF_INET, AF_INET6}) {
        const fd client = open_socket(SOCK_STREAM, family);
        for (const auto &input : malformed(servers[0], servers[1]))
            EXPECT_EQ(outcome(connect_to(client, input.data, input.addrlen)), input.error)
                << input.what;
        EXPECT_EQ(outcome(connect_to(client, addrs({"10.0.1.2", "10.0.2.2"}, port))), "ok");
    }
}

TEST_F(Connect, UnusableMembersAreEinval)
{
    const fd client = open_socket();
    for (const char *bad : {"224.0.0.1", "255.255.255.255", "ff02::1%v1", "fe80::2"})
        for (const addresses &a :
             {servers + addrs({bad}, port), addrs({bad}, port) + servers, addrs({bad}, port)}) {
            EXPECT_EQ(outcome(connect_to(client, a)), "EINVAL") << bad;
            EXPECT_TRUE(unbound(client)) << bad;
        }
}

TEST_F(Connect, UnreadableMemoryIsEfaultAndChangesNothing)
{
    const net::guarded_memory memory;
    const addresses all = range("10.0.3.", many, port);
    const fd listener = hosts().listener(all), client = open_socket();
    const bytes b = raw(socket_address(all));
    const auto length = static_cast<socklen_t>(b.size());
    for (const std::size_t readable : {std::size_t{0}, std::size_t{2}, std::size_t{8},
                                       std::size_t{128}, std::size_t{129}, b.size() - 1}) {
        std::byte *at = memory.last(readable);
        std::copy_n(b.begin(), readable, at);
        EXPECT_EQ(outcome(connect_to(client, std::span(at, readable), length)), "EFAULT")
            << readable;
        EXPECT_TRUE(unbound(client));
    }
    std::byte *at = memory.last(bundle::max_length);
    std::copy(b.begin(), b.end(), at);
    EXPECT_EQ(outcome(connect_to(client, std::span(at, b.size()), 0x7fffffff)), "ok");
    EXPECT_EQ(peer_set(client), sorted(all));
}

TEST_F(Connect, UnspecIsNotSupported)
{
    const fd client = open_socket();
    sockaddr nothing{};
    nothing.sa_family = AF_UNSPEC;
    EXPECT_EQ(outcome(::connect(client, &nothing, sizeof(nothing))), "EOPNOTSUPP");
}

TEST_F(Connect, OtherFamiliesKeepTheirLimit)
{
    bytes b(4096);
    for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
        put(b, 0, static_cast<std::size_t>(family));
        EXPECT_EQ(outcome(connect_to(open_socket(), std::span(b).first(129))), "EINVAL") << family;
        EXPECT_EQ(outcome(connect_to(open_socket(SOCK_STREAM, AF_INET6), b)), "EINVAL") << family;
    }
    const addresses six = range("10.0.3.", 6, port);
    for (const int family : {AF_INET, AF_INET6}) {
        const fd tcp = open_socket(SOCK_STREAM, family, 0),
                 udp = open_socket(SOCK_DGRAM, family, 0);
        EXPECT_EQ(outcome(connect_to(tcp, servers)), "EAFNOSUPPORT");
        EXPECT_EQ(outcome(connect_to(udp, servers)), "EAFNOSUPPORT");
        EXPECT_EQ(outcome(connect_to(tcp, six)), "EINVAL");
        EXPECT_EQ(outcome(connect_to(udp, six)), "EINVAL");
        EXPECT_EQ(outcome(sendto(udp, six)), "EINVAL");
    }
}

// --- BUNDLE_PATHS --------------------------------------------------------------------------------

struct path {
    address addr;
    int state, error;
};

std::vector<path> paths(int s)
{
    std::array<bundle_path, 64> room{};
    socklen_t length = sizeof(room);
    if (getsockopt(s, SOL_BUNDLE, BUNDLE_PATHS, room.data(), &length) < 0)
        net::fail("BUNDLE_PATHS");
    if (length % sizeof(bundle_path) != 0)
        throw std::runtime_error("a part of an entry");
    std::vector<path> result;
    for (std::size_t i = 0; i < length / sizeof(bundle_path); i++) {
        const auto a = address::from(std::as_bytes(std::span(room[i].bp_addr)));
        if (!a)
            throw std::runtime_error("a path without an address");
        result.push_back({*a, room[i].bp_state, room[i].bp_error});
    }
    return result;
}

TEST_F(Connect, PathsTellWhichAddressWon)
{
    const auto c = established();
    const auto got = paths(c.client);
    ASSERT_EQ(got.size(), servers.size());
    int won = 0;
    for (std::size_t i = 0; i < got.size(); i++) {
        EXPECT_EQ(got[i].addr, servers[i]) << "in the order asked";
        EXPECT_EQ(got[i].error, 0);
        if (got[i].state == BUNDLE_PATH_WON) {
            won++;
            EXPECT_EQ(got[i].addr, peername(c.client));
        } else {
            EXPECT_EQ(got[i].state, BUNDLE_PATH_CONFIRMED);
        }
    }
    EXPECT_EQ(won, 1);
}

TEST_F(Connect, PathsTellWhatBecameOfEachWhenTheFirstIsDead)
{
    const fd listener = hosts().listener(servers);
    const netem dead("loss 100%", {"v1"});
    for (const std::size_t i : {1, 2}) {
        const address alive = servers[i];
        const fd client = open_socket();
        hurry(client, 8);
        ASSERT_EQ(outcome(connect_to(client, addresses{servers[0], nowhere()[0], alive})), "ok");
        EXPECT_EQ(peername(client), alive);
        EXPECT_EQ(sockname(client).to_string(), clients[i].to_string());
        auto got = paths(client);
        ASSERT_EQ(got.size(), 3U);
        // RFC 9260, section 5.4: what the program gave needs no confirmation.
        EXPECT_EQ(got[0].state, BUNDLE_PATH_CONFIRMED) << "the winner has it, too";
        EXPECT_EQ(got[1].state, BUNDLE_PATH_DROPPED) << "the winner has no such address";
        EXPECT_EQ(got[2].state, BUNDLE_PATH_WON);
        accept(listener).reset();
        EXPECT_TRUE(association_ends(client));
        EXPECT_EQ(peername(client), alive);
        got = paths(client);
        ASSERT_EQ(got.size(), 3U);
        EXPECT_EQ(got[2].state, BUNDLE_PATH_WON) << "it is remembered";
    }
}

TEST_F(Connect, PathsTellWhoDidNotAnswer)
{
    const fd client = open_socket();
    hurry(client, 1);
    ASSERT_EQ(outcome(connect_to(client, nowhere())), "ETIMEDOUT");
    const auto got = paths(client);
    ASSERT_EQ(got.size(), nowhere().size());
    for (const path &p : got) {
        EXPECT_EQ(p.state, BUNDLE_PATH_TIMED_OUT);
        EXPECT_EQ(p.error, ETIMEDOUT);
    }
}

TEST_F(Connect, PathsTellWhoRefused)
{
    const fd client = open_socket();
    ASSERT_EQ(outcome(connect_to(client, servers)), "ECONNREFUSED");
    const auto got = paths(client);
    ASSERT_EQ(got.size(), servers.size());
    int refused = 0;
    for (std::size_t i = 0; i < got.size(); i++) {
        EXPECT_EQ(got[i].addr, servers[i]);
        EXPECT_NE(got[i].state, BUNDLE_PATH_WON);
        EXPECT_NE(got[i].state, BUNDLE_PATH_CONFIRMED);
        if (got[i].state == BUNDLE_PATH_REFUSED) {
            refused++;
            EXPECT_EQ(got[i].error, ECONNREFUSED);
        }
    }
    EXPECT_GE(refused, 1);
}

TEST_F(Connect, PathsAreTrimmedToWholeEntries)
{
    const auto c = established();
    for (const std::size_t size : {0, 31, 32, 63, 64, 95, 96, 128}) {
        std::array<std::byte, 256> room;
        room.fill(std::byte{0xa5});
        auto length = static_cast<socklen_t>(size);
        const std::string got =
            outcome(getsockopt(c.client, SOL_BUNDLE, BUNDLE_PATHS, room.data(), &length));
        if (size < sizeof(bundle_path)) {
            EXPECT_EQ(got, "EINVAL") << size;
            continue;
        }
        EXPECT_EQ(got, "ok") << size;
        EXPECT_EQ(length, std::min<std::size_t>(size / 32, 3) * 32) << size;
        EXPECT_EQ(room[length], std::byte{0xa5}) << size;
    }
}

// --- io_uring ------------------------------------------------------------------------------------

// A ring for one request at a time.
class uring {
  public:
    uring()
    {
        io_uring_params params{};
        ring_ = fd(static_cast<int>(syscall(__NR_io_uring_setup, 4, &params)));
        if (ring_ < 0)
            net::fail("io_uring_setup");
        submitted_ =
            map(params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
        completed_ =
            map(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
        entries_ = reinterpret_cast<io_uring_sqe *>(
            map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
        params_ = params;
    }

    // The request's result, as of a system call.
    long operator()(const io_uring_sqe &request)
    {
        auto *tail = reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.tail);
        const unsigned index =
            *tail & *reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.ring_mask);
        entries_[index] = request;
        reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.array)[index] = index;
        std::atomic_ref(*tail).store(*tail + 1, std::memory_order_release);
        if (syscall(__NR_io_uring_enter, int{ring_}, 1, 0, 0, nullptr, 0) != 1)
            net::fail("io_uring_enter");
        auto *head = reinterpret_cast<unsigned *>(completed_ + params_.cq_off.head);
        auto *end = reinterpret_cast<unsigned *>(completed_ + params_.cq_off.tail);
        if (!net::wait_for(ring_, POLLIN) ||
            std::atomic_ref(*end).load(std::memory_order_acquire) == *head)
            throw std::runtime_error("io_uring: nothing completed");
        const auto &done = reinterpret_cast<io_uring_cqe *>(
            completed_ + params_.cq_off.cqes)[*head & *reinterpret_cast<unsigned *>(
                                                          completed_ + params_.cq_off.ring_mask)];
        const int result = done.res;
        std::atomic_ref(*head).store(*head + 1, std::memory_order_release);
        errno = result < 0 ? -result : 0;
        return result < 0 ? -1 : result;
    }

    static io_uring_sqe request(int operation, int s, const void *address, std::uint64_t second)
    {
        io_uring_sqe sqe{};
        sqe.opcode = static_cast<std::uint8_t>(operation);
        sqe.fd = s;
        sqe.addr = reinterpret_cast<std::uintptr_t>(address);
        sqe.off = second;
        return sqe;
    }

  private:
    std::byte *map(std::size_t size, off_t offset) const
    {
        void *p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring_, offset);
        if (p == MAP_FAILED)
            net::fail("mmap of a ring");
        return static_cast<std::byte *>(p);
    }

    fd ring_;
    std::byte *submitted_, *completed_;
    io_uring_sqe *entries_;
    io_uring_params params_;
};

TEST_F(Connect, IoUringTakesBundlesThatFitASockaddrStorage)
{
    const fd listener = hosts().listener(servers), client = open_socket();
    uring ring;
    const socket_address b(servers);
    EXPECT_EQ(outcome(ring(uring::request(IORING_OP_CONNECT, client, b.data(), b.size()))), "ok");
    EXPECT_EQ(peer_set(client), sorted(servers));
}

TEST_F(Connect, IoUringRefusesLongerBundles)
{
    const fd client = open_socket();
    uring ring;
    for (const int n : {6, 64}) {
        const socket_address b(range("10.0.3.", n, port));
        EXPECT_EQ(outcome(ring(uring::request(IORING_OP_CONNECT, client, b.data(), b.size()))),
                  "EINVAL");
        EXPECT_TRUE(unbound(client));
    }
    const fd listener = hosts().listener(servers);
    EXPECT_EQ(outcome(connect_to(client, servers)), "ok");
}

TEST_F(Connect, IoUringSendsToBundlesThatFitASockaddrStorage)
{
    uring ring;
    for (const int n : {5, 6, 64}) {
        const addresses all = range("10.0.3.", n, port);
        const socket_address b(all);
        const fd server = hosts().listener(all, SOCK_SEQPACKET);
        const fd client = open_socket(SOCK_SEQPACKET);
        char byte = 'x';
        iovec part{&byte, 1};
        msghdr m{};
        m.msg_name = const_cast<sockaddr *>(b.data());
        m.msg_namelen = b.size();
        m.msg_iov = &part;
        m.msg_iovlen = 1;
        auto sqe = uring::request(IORING_OP_SENDMSG, client, &m, 0);
        sqe.len = 1;
        EXPECT_EQ(outcome(ring(sqe)), n <= 5 ? "ok" : "EINVAL") << n;
        EXPECT_EQ(associations(client).size(), n <= 5 ? 1U : 0U) << n;
        port = next_port();
    }
}

TEST_F(Connect, IoUringGivesNamesNoLongerThanTheBuffer)
{
    const fd listener = hosts().listener(servers);
    ASSERT_EQ(outcome(set_option(listener, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    uring ring;
    std::vector<fd> kept;
    for (const std::size_t size : {7, 8, 32, 60, 88, 140}) {
        kept.push_back(open_socket());
        clients = two_hosts::client_addrs(next_port());
        ASSERT_EQ(outcome(bind_to(kept.back(), clients)), "ok");
        ASSERT_EQ(outcome(connect_to(kept.back(), servers)), "ok");
        ASSERT_TRUE(net::wait_for(listener, POLLIN));
        fd server;
        const auto accept_name = [&](sockaddr *a, socklen_t *n) {
            server = fd(static_cast<int>(ring(uring::request(
                IORING_OP_ACCEPT, listener, a, reinterpret_cast<std::uintptr_t>(n)))));
            return int{server};
        };
        const bytes name = name_in_buffer(accept_name, size);
        EXPECT_EQ(name.size(), size < 8    ? 0U
                               : size < 32 ? 8U
                               : size < 56 ? 32U
                               : size < 88 ? 56U
                                           : 88U);
        ASSERT_EQ(send(kept.back(), "x", 1, 0), 1);
        ASSERT_TRUE(net::wait_for(server, POLLIN));
        const auto message_name = [&](sockaddr *a, socklen_t *n) {
            char byte;
            iovec part{&byte, 1};
            msghdr m{};
            m.msg_name = a;
            m.msg_namelen = *n;
            m.msg_iov = &part;
            m.msg_iovlen = 1;
            auto sqe = uring::request(IORING_OP_RECVMSG, server, &m, 0);
            sqe.len = 1;
            sqe.msg_flags = MSG_PEEK | MSG_DONTWAIT;
            const long got = ring(sqe);
            *n = m.msg_namelen;
            return got;
        };
        EXPECT_EQ(name_in_buffer(message_name, size), name) << size;
        kept.push_back(std::move(server));
    }
}

TEST_F(Connect, IoUringsRepeatedRecvmsgGivesWholeEntries)
{
    const auto c = established();
    ASSERT_EQ(outcome(set_option(c.client, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    for (const std::size_t size : {7, 8, 32, 60, 88, 128}) {
        uring ring;
        alignas(8) std::array<std::byte, 512> room{};
        auto give = uring::request(IORING_OP_PROVIDE_BUFFERS, 1, room.data(), 0);
        give.len = room.size();
        ASSERT_EQ(outcome(ring(give)), "ok");
        ASSERT_EQ(send(c.server, "x", 1, 0), 1);
        ASSERT_TRUE(net::wait_for(c.client, POLLIN));
        msghdr m{};
        m.msg_namelen = static_cast<socklen_t>(size);
        auto sqe = uring::request(IORING_OP_RECVMSG, c.client, &m, 0);
        sqe.len = 1;
        sqe.ioprio = IORING_RECV_MULTISHOT;
        sqe.flags = IOSQE_BUFFER_SELECT;
        ASSERT_EQ(outcome(ring(sqe)), "ok");
        io_uring_recvmsg_out got;
        std::memcpy(&got, room.data(), sizeof(got));
        const std::size_t whole = size < 8    ? 0
                                  : size < 32 ? 8
                                  : size < 56 ? 32
                                  : size < 88 ? 56
                                              : 88;
        EXPECT_EQ(got.namelen, whole) << size;
        if (whole != 0) {
            const auto name = std::span(room).subspan(sizeof(got), whole);
            EXPECT_EQ(bundle::to_string(bundle::validate(name, bundle::origin::kernel)),
                      "well-formed")
                << size;
            EXPECT_EQ(bundle::view(name).length(), whole) << size;
        }
    }
}

} // namespace
