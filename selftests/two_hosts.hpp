// SPDX-License-Identifier: GPL-2.0
// A fixture for tests that need a client and a server with three links between them.
#pragma once

#include "sctp.hpp"
#include "topology.hpp"

namespace sctp {

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
