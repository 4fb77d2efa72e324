// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * How long it takes to connect to a server of which some addresses are dead: they swallow packets.
 * Every way of connecting meets the same hosts (selftests/topology.hpp: a router between client and
 * server, round trip 20 ms) in one virtual machine that runs in virtual time. Prints CSV.
 */

#include "../selftests/topology.hpp"
#include "virtual_time.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include <netinet/sctp.h>

namespace {

using namespace sctp;

/** What came of connecting: a socket, or errno's name. */
struct outcome_of {
    std::string result;
    fd socket;
};

/** Addresses one after another, as programs do with what getaddrinfo(3) gives. */
outcome_of one_by_one(const addresses &to, int protocol)
{
    std::string result;
    for (const address &a : to) {
        fd socket = open_socket(SOCK_STREAM, AF_INET, protocol);
        result = outcome(connect_to(socket, a));
        if (result == "ok")
            return {result, std::move(socket)};
    }
    return {result, {}};
}

outcome_of sctp_one_by_one(const addresses &to)
{
    return one_by_one(to, IPPROTO_SCTP);
}

outcome_of tcp_one_by_one(const addresses &to)
{
    return one_by_one(to, IPPROTO_TCP);
}

outcome_of connectx(const addresses &to)
{
    fd socket = open_socket(SOCK_STREAM, AF_INET, IPPROTO_SCTP);
    std::vector<sockaddr_in> all(to.size());
    for (std::size_t i = 0; i < all.size(); i++)
        to[i].store(std::as_writable_bytes(std::span(&all[i], 1)));
    const std::string result = outcome(::sctp_connectx(
        socket, reinterpret_cast<sockaddr *>(all.data()), static_cast<int>(all.size()), nullptr));
    return {result, std::move(socket)};
}

/**
 * Happy Eyeballs (RFC 8305 section 5): the next address's connection attempt begins when one has
 * failed, or the Connection Attempt Delay after the one before; the first to succeed wins.
 */
outcome_of happy_eyeballs(const addresses &to)
{
    constexpr int delay = 250; // milliseconds, the RFC's recommendation
    std::string result;
    std::vector<fd> sockets;
    std::vector<pollfd> racing; // of the same order
    for (auto next = to.begin();;) {
        if (next != to.end()) {
            fd socket = open_socket(SOCK_STREAM | SOCK_NONBLOCK, AF_INET, IPPROTO_TCP);
            result = outcome(connect_to(socket, *next++));
            if (result == "ok")
                return {result, std::move(socket)};
            if (result != "EINPROGRESS")
                continue;
            racing.push_back({socket, POLLOUT, 0});
            sockets.push_back(std::move(socket));
        }
        if (racing.empty())
            return {result, {}};
        if (::poll(racing.data(), racing.size(), next != to.end() ? delay : -1) < 0)
            net::fail("poll");
        for (std::size_t i = 0; i < racing.size();) {
            if (racing[i].revents == 0) {
                i++;
                continue;
            }
            errno = get_option(racing[i].fd, SOL_SOCKET, SO_ERROR);
            result = outcome(errno == 0 ? 0 : -1);
            if (result == "ok") {
                nonblocking(sockets[i], false);
                return {result, std::move(sockets[i])};
            }
            const auto at = static_cast<std::ptrdiff_t>(i);
            racing.erase(racing.begin() + at);
            sockets.erase(sockets.begin() + at);
        }
    }
}

outcome_of with_bundle(const addresses &to)
{
    fd socket = open_socket();
    const std::string result = outcome(connect_to(socket, to));
    return {result, std::move(socket)};
}

/** A server that answers an INIT from the address to which it came, as bundle sockets do. */
fd bound_sctp(const addresses &at)
{
    fd socket = open_socket();
    if (bind_to(socket, at) < 0)
        net::fail("bind");
    return socket;
}

fd bound_tcp(const addresses &at)
{
    fd socket = open_socket(SOCK_STREAM, AF_INET, IPPROTO_TCP);
    if (bind_to(socket, addr("0.0.0.0", at.front().port())) < 0)
        net::fail("bind");
    return socket;
}

/** A way of connecting, and the server's side that it needs. */
struct way {
    const char *name;
    outcome_of (*connect)(const addresses &);
    fd (*bound)(const addresses &);
};

constexpr way ways[] = {
    {"sctp-loop", sctp_one_by_one, bound_sctp}, {"sctp-connectx", connectx, bound_sctp},
    {"tcp-loop", tcp_one_by_one, bound_tcp},    {"tcp-happy-eyeballs", happy_eyeballs, bound_tcp},
    {"bundle", with_bundle, bound_sctp},
};

/** IP packets that the current namespace has sent, as IP-MIB's ipOutRequests counts them. */
long packets_sent()
{
    std::istringstream lines(net::slurp("/proc/thread-self/net/snmp"));
    for (std::string names, values; std::getline(lines, names) && std::getline(lines, values);) {
        std::istringstream name(names), value(values);
        for (std::string n, v; name >> n && value >> v;)
            if (n == "Ip:" || n == "OutRequests") {
                if (n == "OutRequests" && names.starts_with("Ip:"))
                    return std::stol(v);
            }
    }
    throw std::runtime_error("no OutRequests");
}

/** What connecting took, until connect(2) or what stands for it returned. */
struct sample {
    std::string result;
    virtual_time::cost cost;
    long packets;
};

sample measure(const virtual_time::meter &meter, const routed &hosts, const way &w, int n)
{
    const addresses all = range("10.1.0.", n, next_port());
    const fd listener = hosts.server.in(hosts.client, [&] { return w.bound(all); });
    if (::listen(listener, 1) < 0)
        net::fail("listen");
    outcome_of got;
    const long before = packets_sent();
    const virtual_time::cost cost = meter([&] { got = w.connect(all); });
    const long packets = packets_sent() - before;
    // Ends with an ABORT or RST, so that nothing of it is left at the next measurement.
    if (got.socket >= 0)
        set_option(got.socket, SOL_SOCKET, SO_LINGER, linger{1, 0});
    got.socket.reset();
    ::sleep(1);
    return {got.result, cost, packets};
}

} // namespace

int main(int argc, char **argv)
{
    std::vector<int> counts{1, 2, 3, 8};
    unsigned runs = 3;
    CLI::App app{"how long it takes to connect to a server some of whose addresses are dead"};
    app.add_option("--addresses", counts, "how many the server has; several")
        ->check(CLI::Range(1, many))
        ->delimiter(',');
    app.add_option("--runs", runs, "of each kind")->check(CLI::Range(1, 100));
    CLI11_PARSE(app, argc, argv);

    try {
        const virtual_time::meter meter;
        const int most = *std::ranges::max_element(counts);
        const routed hosts(most);
        for (const way &w : ways) // caches fill
            measure(meter, hosts, w, 1);
        std::printf("way,addresses,dead,run,result,seconds,packets,instructions\n");
        // What the instructions of the others contain in any case.
        const virtual_time::cost nothing = meter([] { ::sleep(300); });
        std::printf("none,0,0,1,ok,%.6f,0,%.0f\n", nothing.seconds, nothing.instructions);
        for (int k = 0; k <= most; k++) {
            const dead silent(hosts, range("10.1.0.", k, 0));
            for (const int n : counts) {
                if (k > n)
                    continue;
                for (const way &w : ways)
                    for (unsigned run = 1; run <= runs; run++) {
                        const auto [result, cost, packets] = measure(meter, hosts, w, n);
                        std::printf("%s,%d,%d,%u,%s,%.6f,%ld,%.0f\n", w.name, n, k, run,
                                    result.c_str(), cost.seconds, packets, cost.instructions);
                        std::fflush(stdout);
                    }
            }
        }
        return 0;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "connect: %s\n", e.what());
        return 1;
    }
}
