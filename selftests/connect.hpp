// SPDX-License-Identifier: GPL-2.0
// What the tests of connect(2) and of what comes after it share.
#pragma once

#include "two_hosts.hpp"

namespace sctp {

// The server has many addresses of each family on its third link.
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

// The peer's address that data goes to from now on.
inline int set_primary(int s, const address &to)
{
    sockaddr_storage name{};
    to.store(std::as_writable_bytes(std::span(&name, 1)));
    sctp_prim primary{};
    primary.ssp_addr = name;
    return set_option(s, IPPROTO_SCTP, SCTP_PRIMARY_ADDR, primary);
}

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

} // namespace sctp
