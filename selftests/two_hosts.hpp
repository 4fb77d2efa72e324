// SPDX-License-Identifier: GPL-2.0
// A client and a server, each in a network namespace of its own, joined by three links. The thread
// is in the client's namespace; a socket stays in the one in which it was made, so one thread
// drives both ends.
#pragma once

#include "sctp.hpp"

#include <net/if.h>
#include <sys/ioctl.h>

namespace sctp {

// A socket of the current namespace, bound to @where and listening.
inline fd listen_at(const addresses &where, int type = SOCK_STREAM, int family = AF_BUNDLE)
{
    fd result = open_socket(type, family);
    if (bind_to(result, where) < 0)
        net::fail("the server's bind");
    if (::listen(result, 128) < 0)
        net::fail("listen");
    return result;
}

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

// The next connection of a listening socket, with a limit. Throws if there is none.
inline fd accept(int listener)
{
    if (!net::wait_for(listener, POLLIN))
        throw std::runtime_error("nobody connected");
    fd result(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (result < 0)
        net::fail("accept");
    return result;
}

// A fixture that has its hosts for all tests of the suite, each of which begins in the client's
// namespace, and for each test a port of its own.
template <typename Hosts>
class HostsTest : public testing::Test {
  protected:
    static void SetUpTestSuite()
    {
        if (net::is_root() && net::have_ipv6())
            hosts_ = std::make_unique<Hosts>();
    }
    static void TearDownTestSuite() { hosts_.reset(); }

    void SetUp() override
    {
        if (!net::is_root())
            GTEST_SKIP() << "needs root, to make network namespaces";
        if (!net::have_ipv6())
            GTEST_SKIP() << "needs IPv6, which is off";
        ASSERT_TRUE(hosts_);
        hosts_->client.enter();
        port = next_port();
    }

    static const Hosts &hosts() { return *hosts_; }

    std::uint16_t port = 0;
    static inline std::unique_ptr<Hosts> hosts_;
};

// A fixture that has both hosts, and their addresses with ports of each test's own.
class TwoHosts : public HostsTest<two_hosts> {
  protected:
    static void SetUpTestSuite()
    {
        HostsTest::SetUpTestSuite();
        if (!hosts_)
            return;
        // A guest with every checker on may take that long for 64 addresses.
        net::spill("/proc/sys/net/sctp/bundle_connect_timeout", "60000");
    }

    void SetUp() override
    {
        HostsTest::SetUp();
        client_port = next_port();
        servers = two_hosts::server_addrs(port);
        clients = two_hosts::client_addrs(client_port);
    }

    std::uint16_t client_port = 0;
    addresses servers, clients;
};

} // namespace sctp
