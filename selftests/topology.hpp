// SPDX-License-Identifier: GPL-2.0
// Hosts for tests and benchmarks, each in a network namespace of its own, and ways to kill their
// addresses. The thread is in the client's namespace; a socket stays in the one in which it was
// made, so one thread drives both ends.
#pragma once

#include "sockets.hpp"

#include <net/if.h>
#include <sys/ioctl.h>

namespace sctp {

// A client and a server, joined by three links:
//
// Link      client        server
// v1        10.0.1.1      10.0.1.2
// v2        10.0.2.1      10.0.2.2
// v3        fd00:3::1     fd00:3::2
class two_hosts {
  public:
    two_hosts()
    {
        std::string links, up;
        for (const char *v : {"v1", "v2", "v3"}) {
            links += std::string("link add ") + v + " type veth peer name " + v + " netns " +
                     server.name() + "\n" + net::link_up(v);
            up += net::link_up(v);
        }
        client.enter();
        net::ip(links);
        server.in(client, [&] {
            net::ip(up + "addr add 10.0.1.2/24 dev v1\naddr add 10.0.2.2/24 dev v2\n"
                         "addr add fd00:3::2/64 dev v3 nodad\n");
        });
        // The client's ends came up without a carrier; packets are lost until it is noticed.
        wait_running({"v1", "v2", "v3"});
        net::ip("addr add 10.0.1.1/24 dev v1\naddr add 10.0.2.1/24 dev v2\n"
                "addr add fd00:3::1/64 dev v3 nodad\n");
    }

    template <typename F>
    auto on_server(F f) const
    {
        return server.in(client, f);
    }

    // A socket of the server's, bound to @where and listening.
    fd listener(const addresses &where, int type = SOCK_STREAM, int family = AF_BUNDLE) const
    {
        return on_server([&] { return listen_at(where, type, family); });
    }

    static addresses client_addrs(std::uint16_t port)
    {
        return addrs({"10.0.1.1", "10.0.2.1", "fd00:3::1"}, port);
    }
    static addresses server_addrs(std::uint16_t port)
    {
        return addrs({"10.0.1.2", "10.0.2.2", "fd00:3::2"}, port);
    }

    net::netns server, client; // in this order: the thread ends up in the client's

    static void wait_running(std::initializer_list<const char *> links)
    {
        const fd any(::socket(AF_UNIX, SOCK_DGRAM, 0));
        for (const char *link : links) {
            ifreq request{};
            std::strncpy(request.ifr_name, link, IFNAMSIZ - 1);
            if (!net::eventually([&] {
                    return ioctl(any, SIOCGIFFLAGS, &request) == 0 &&
                           (request.ifr_flags & IFF_RUNNING) != 0;
                }))
                throw std::runtime_error(std::string(link) + " does not come up");
        }
    }
};

inline constexpr int many = 64; // addresses that a bundle can hold
inline constexpr double round_trip = 0.020;

// A client and servers, each in a namespace of its own, and a router between them, so that what
// is dead swallows packets, or answers them, as something far away does:
//
//	client 10.0.0.1 --- router --- server   10.1.0.1 ... 10.1.0.N, fd01::1 ... fd01::N
//	                          \--- other    10.2.0.1 ... 10.2.0.4
//
// N is 64 unless given. All have link-local addresses, as hosts with addresses elsewhere ask for
// neighbours with these. The router's link to the client delays what goes to it by a round trip.
class routed {
  public:
    explicit routed(int n = many)
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
        server.in(client, [&] {
            std::ostringstream lines;
            for (int i = 1; i <= n; i++)
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

// A host of whom nothing is heard as long as it lives.
class mute : filter {
  public:
    mute(const net::netns &where, const net::netns &home)
        : filter(where, home, "meta l4proto sctp drop", "output")
    {}
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
