// SPDX-License-Identifier: GPL-2.0
// A fixture for tests of how associations are set up, over a router.
#pragma once

#include "sctp.hpp"
#include "topology.hpp"

#include <iterator>

namespace sctp {

inline socket_address hosts_of(std::initializer_list<addresses> hosts)
{
    socket_address all;
    for (const addresses &host : hosts) {
        all.add_host(host.front());
        for (std::size_t i = 1; i < host.size(); i++)
            all.add(host[i]);
    }
    return all;
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

    // Whether a namespace comes to have so many associations with this test's port, long before
    // an attempt would end by itself. Closed ones that a listening socket keeps for accept(2) don't
    // count.
    testing::AssertionResult associations_become(int wanted, const net::netns &where,
                                                 int milliseconds = 500) const
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
            return net::eventually(all_there, milliseconds) ? testing::AssertionSuccess()
                                                            : testing::AssertionFailure() << text;
        });
    }
};

} // namespace sctp
