// SPDX-License-Identifier: GPL-2.0
// A client and two servers with a router between them, each in a network namespace of its own, ways
// to kill addresses, and a fixture for tests of how associations are set up.
#pragma once

#include "two_hosts.hpp"

#include <iterator>

namespace sctp {

inline constexpr int many = 64; // addresses of the first server, of each family
inline constexpr double round_trip = 0.020;

// A client and servers, each in a namespace of its own, and a router between them, so that what
// is dead swallows packets, or answers them, as something far away does:
//
//	client 10.0.0.1 --- router --- server   10.1.0.1 ... 10.1.0.64, fd01::1 ... fd01::40
//	                          \--- other    10.2.0.1 ... 10.2.0.4
//
// All have link-local addresses, as hosts with addresses elsewhere ask for neighbours with these.
// The router's link to the client delays what goes to it by a round trip.
class routed {
  public:
    routed()
    {
        for (const auto &[host, link] : {std::pair(&server, "s"), std::pair(&other, "o")})
            router.in(router, [&, host = host, link = std::string(link)] {
                net::ip("link add " + link + " type veth peer name r netns " + host->name() +
                        "\nlink set " + link + " up\n");
            });
        router.in(router, [&] {
            net::ip("link add c type veth peer name r netns " + client.name() +
                    "\nlink set c up\n");
        });
        leaf(server, "10.0.1", "fd00:1::");
        leaf(other, "10.0.2", "fd00:2::");
        leaf(client, "10.0.0", "fd00::");
        server.in(client, [] {
            std::ostringstream lines;
            for (int i = 1; i <= many; i++)
                lines << "addr add 10.1.0." << std::dec << i
                      << "/32 dev lo\naddr add fd01::" << std::hex << i << "/128 dev lo nodad\n";
            net::ip(lines.str());
        });
        other.in(client, [] {
            std::string lines;
            for (const char *i : {"1", "2", "3", "4"})
                lines += std::string("addr add 10.2.0.") + i + "/32 dev lo\n";
            net::ip(lines);
        });
        for (const net::netns *host : {&server, &other, &router})
            host->in(client, [] {
                // No limits on ICMP errors, as much as it takes.
                net::spill("/proc/sys/net/ipv4/icmp_ratelimit", "0");
                net::spill("/proc/sys/net/ipv4/icmp_msgs_burst", "10000");
                net::spill("/proc/sys/net/ipv6/icmp/ratelimit", "0");
            });
        router.in(client, [] {
            net::spill("/proc/sys/net/ipv4/ip_forward", "1");
            net::spill("/proc/sys/net/ipv6/conf/all/forwarding", "1");
            two_hosts::wait_running({"c", "s", "o"});
            net::ip("addr add 10.0.0.2/24 dev c\naddr add 10.0.1.2/24 dev s\n"
                    "addr add 10.0.2.2/24 dev o\naddr add fd00::2/64 dev c nodad\n"
                    "addr add fd00:1::2/64 dev s nodad\naddr add fd00:2::2/64 dev o nodad\n"
                    "route add 10.1.0.0/16 via 10.0.1.1\nroute add 10.2.0.0/16 via 10.0.2.1\n"
                    "route add fd01::/64 via fd00:1::1\n");
            net::run({"tc", "qdisc", "add", "dev", "c", "root", "netem", "delay", "20ms", "limit",
                      "10000"});
        });
        client.enter();
        // Neighbours are found by asking, which takes a round trip of its own.
        for (const auto &[to, family] :
             {std::pair("10.1.0.1", AF_INET), {"10.2.0.1", AF_INET}, {"fd01::1", AF_INET6}})
            if (outcome(connect_to(open_socket(SOCK_STREAM, family), addr(to, 1))) !=
                "ECONNREFUSED")
                net::fail(std::string("the way to ") + to);
    }

    // Lines for ip(8) at the router.
    void route(const std::string &lines) const
    {
        router.in(client, [&] { net::ip(lines); });
    }

    net::netns server, other, router, client; // in this order: the thread ends in the client's

  private:
    void leaf(const net::netns &host, const std::string &v4, const std::string &v6) const
    {
        host.in(client, [&] {
            net::ip("link set r up\n");
            two_hosts::wait_running({"r"});
            net::ip("addr add " + v4 + ".1/24 dev r\naddr add " + v6 + "1/64 dev r nodad\n" +
                    "route add default via " + v4 + ".2\nroute add default via " + v6 + "2\n");
        });
    }
};

// A rule set of nftables in a namespace as long as it lives.
class filter {
  public:
    filter(const net::netns &where, const net::netns &home, const std::string &rules,
           const std::string &hook = "prerouting")
        : where_(where), home_(home)
    {
        where_.in(home_, [&] {
            net::run({"nft", "-f", "-"}, "table inet setup {\n chain c {\n  type filter hook " +
                                             hook + " priority raw\n" + rules + "\n }\n}\n");
        });
    }
    filter(const filter &) = delete;
    ~filter()
    {
        where_.in(home_, [] { net::run({"nft", "delete table inet setup"}); });
    }

  private:
    const net::netns &where_, &home_;
};

inline double now()
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

class Setup : public HostsTest<routed> {
  protected:
    fd listener(const net::netns &where, const addresses &a, int type = SOCK_STREAM) const
    {
        return where.in(hosts().client, [&] { return listen_at(a, type); });
    }
    fd listener(const addresses &a) const { return listener(hosts().server, a); }

    addresses server(int n) const { return range("10.1.0.", n, port); }
    addresses other(int n) const { return range("10.2.0.", n, port); }

    struct outcome_of {
        std::string result;
        double seconds;
        fd socket;
    };
    // What connect(2) says, and after how long.
    static outcome_of timed_connect(const socket_address &to, fd socket = open_socket())
    {
        const double start = now();
        const std::string result = outcome(connect_to(socket, to));
        return {result, now() - start, std::move(socket)};
    }
    static outcome_of timed_connect(const addresses &to, fd socket = open_socket())
    {
        return timed_connect(socket_address(to), std::move(socket));
    }

    static long counted(const std::string &name) { return counters()[name]; }

    // Whether a namespace comes to have so many associations with this test's port. Closed ones
    // that a listening socket keeps for accept(2) don't count.
    testing::AssertionResult associations_become(int wanted, const net::netns &where) const
    {
        return where.in(hosts().client, [&] {
            std::string text;
            const auto all_there = [&] {
                std::istringstream lines(text = net::slurp("/proc/thread-self/net/sctp/assocs"));
                int found = 0;
                for (std::string line; std::getline(lines, line);) {
                    std::istringstream in(line);
                    const std::vector<std::string> words{std::istream_iterator<std::string>(in),
                                                         {}};
                    const std::string wanted_port = std::to_string(port);
                    found += words.at(4) != "0" &&
                             (words.at(11) == wanted_port || words.at(12) == wanted_port);
                }
                return found == wanted;
            };
            return net::eventually(all_there, 20000) ? testing::AssertionSuccess()
                                                     : testing::AssertionFailure() << text;
        });
    }
};

// The router swallows what goes to these addresses.
class dead {
  public:
    dead(const routed &hosts, const addresses &which) : hosts_(hosts), which_(which)
    {
        change("add");
    }
    dead(const dead &) = delete;
    ~dead() { change("del"); }

  private:
    void change(const std::string &action) const
    {
        std::string lines;
        for (const address &a : which_)
            lines += "route " + action + " blackhole " + a.to_string() + "\n";
        if (!lines.empty())
            hosts_.route(lines);
    }

    const routed &hosts_;
    addresses which_;
};

} // namespace sctp
