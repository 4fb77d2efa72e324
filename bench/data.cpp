// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What a connection carries, and what becomes of it when its path is cut: a bundle socket, an SCTP
 * socket with one address, and TCP, all between the same hosts (selftests/topology.hpp: three links
 * between client and server) in one virtual machine that runs in virtual time. All time-outs are
 * the kernel's defaults. Prints CSV.
 */

#include "../selftests/topology.hpp"
#include "virtual_time.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <future>
#include <limits>
#include <thread>

namespace {

using namespace sctp;
using virtual_time::seconds;

/** A kind of socket, and what it is bound and connected to. */
struct kind {
    const char *name;
    int family;
    int protocol;
};

constexpr kind kinds[] = {
    {"bundle", AF_BUNDLE, IPPROTO_SCTP},
    {"sctp", AF_INET, IPPROTO_SCTP},
    {"tcp", AF_INET, IPPROTO_TCP},
};

/** Both ends of a connection. */
struct connection {
    fd client, server;
};

/**
 * Connects. A bundle has an address on every link, and its client none of its own choice, as
 * unchanged programs have; the others have the first link's alone.
 */
connection connected(const two_hosts &hosts, const kind &k)
{
    const addresses to = two_hosts::server_addrs(next_port());
    const bool is_bundle = k.family == AF_BUNDLE;
    const fd listener = hosts.on_server([&] {
        fd socket = open_socket(SOCK_STREAM, k.family, k.protocol);
        if ((is_bundle ? bind_to(socket, to) : bind_to(socket, to[0])) < 0)
            net::fail("the server's bind");
        if (::listen(socket, 1) < 0)
            net::fail("listen");
        return socket;
    });
    fd client = open_socket(SOCK_STREAM, k.family, k.protocol);
    if (!is_bundle && bind_to(client, two_hosts::client_addrs(0)[0]) < 0)
        net::fail("the client's bind");
    if ((is_bundle ? connect_to(client, to) : connect_to(client, to[0])) < 0)
        net::fail("connect");
    return {std::move(client), accept(listener)};
}

/** Ends a connection at once: nothing of it is left at the next measurement. */
void abort(connection c)
{
    set_option(c.client, SOL_SOCKET, SO_LINGER, linger{1, 0});
    c.client.reset();
    ::sleep(1);
}

// --- One direction, as fast as it goes
// ------------------------------------------------------------

/** A client that sends as fast as its socket takes it, and a server that reads. */
class transfer {
  public:
    explicit transfer(const connection &c)
        : ends_{pollfd{c.client, POLLOUT, 0}, pollfd{c.server, POLLIN, 0}}
    {
        nonblocking(c.client);
        nonblocking(c.server);
        last = seconds();
    }

    /** Goes on until a point in time, or until the client's end fails. */
    void run_until(double end)
    {
        static std::array<char, 16 * 1024> buffer;
        while (error.empty() && seconds() < end) {
            const auto left = static_cast<int>((end - seconds()) * 1000) + 1;
            if (::poll(ends_.data(), ends_.size(), left) < 0)
                net::fail("poll");
            if (ends_[1].revents != 0) {
                const ssize_t n = ::recv(ends_[1].fd, buffer.data(), buffer.size(), 0);
                if (n > 0)
                    arrived(static_cast<std::size_t>(n));
                else if (n == 0 || errno != EAGAIN)
                    ends_[1].fd = -1;
            }
            if (ends_[0].revents != 0 &&
                ::send(ends_[0].fd, buffer.data(), buffer.size(), MSG_NOSIGNAL) < 0 &&
                errno != EAGAIN)
                error = outcome(-1);
        }
    }

    std::size_t bytes = 0;
    double last;            ///< when the last bytes arrived
    double longest_gap = 0; ///< between bytes that arrived
    std::string error;      ///< of the client's send(2), once it has failed

  private:
    void arrived(std::size_t n)
    {
        const double now = seconds();
        longest_gap = std::max(longest_gap, now - last);
        last = now;
        bytes += n;
    }

    std::array<pollfd, 2> ends_;
};

/** Bytes in a second, once the congestion window is open. */
double rate(const two_hosts &hosts, const kind &k, double duration)
{
    connection c = connected(hosts, k);
    transfer t(c);
    t.run_until(seconds() + duration / 2);
    t.bytes = 0;
    const double began = seconds();
    t.run_until(began + duration);
    const double result = static_cast<double>(t.bytes) / (seconds() - began);
    abort(std::move(c));
    return result;
}

// --- Requests
// -------------------------------------------------------------------------------------

/** Requests in a second: 64 bytes and as many in answer, one after another, by two threads. */
double requests(const two_hosts &hosts, const kind &k, int count)
{
    connection c = connected(hosts, k);
    std::array<char, 64> request{};
    std::jthread server([&] {
        std::array<char, 64> answer{};
        while (::recv(c.server, answer.data(), answer.size(), 0) > 0)
            if (::send(c.server, answer.data(), answer.size(), MSG_NOSIGNAL) < 0)
                break;
    });
    double began = 0;
    for (int i = -10; i < count; i++) { // the first few don't count
        if (i == 0)
            began = seconds();
        if (::send(c.client, request.data(), request.size(), MSG_NOSIGNAL) < 0 ||
            ::recv(c.client, request.data(), request.size(), 0) <= 0)
            net::fail("a request");
    }
    const double result = count / (seconds() - began);
    abort({std::move(c.client), {}});
    return result;
}

// --- A path that is cut
// ---------------------------------------------------------------------------

/** Gives all links 20 Mbit/s and a round trip of 20 ms. */
void limit_links(const two_hosts &hosts)
{
    std::string lines;
    for (const char *link : {"v1", "v2", "v3"})
        lines +=
            std::string("qdisc add dev ") + link + " root netem rate 20mbit delay 10ms limit 100\n";
    for (const net::netns *host : {&hosts.server, &hosts.client})
        host->in(hosts.client, [&] { net::run({"tc", "-batch", "-"}, lines); });
}

/** Swallows the IP packets that come in over a link, at both ends, as long as it lives. */
class broken {
  public:
    broken(const two_hosts &hosts, const std::string &link)
        : client_(hosts.client, hosts.client, "iifname " + link + " drop"),
          server_(hosts.server, hosts.client, "iifname " + link + " drop")
    {}

  private:
    filter client_, server_;
};

/** What becomes of a transfer whose path is cut. */
struct stall {
    double seconds;     ///< until bytes arrive again, or until the client's end fails
    std::string result; ///< "ok", or how it fails
};

/**
 * Cuts the path that a transfer uses, by losing everything in both directions.
 * @param outage how long, in seconds; infinity: for good.
 */
stall cut(const two_hosts &hosts, const kind &k, double outage)
{
    constexpr double limit = 3600;
    connection c = connected(hosts, k);
    const addresses servers = two_hosts::server_addrs(peername(c.client).port());
    const auto used = std::ranges::find(servers, peername(c.client)) - servers.begin();
    const std::string link = "v" + std::to_string(used + 1);
    transfer t(c);
    t.run_until(seconds() + 2);

    // In a thread of its own, as nft(8) takes a while in which the transfer goes on.
    const auto meanwhile = [&](auto change) {
        auto done = std::async(std::launch::async, change);
        while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
            t.run_until(seconds() + 0.001);
        done.get();
    };
    std::optional<broken> path;
    t.longest_gap = 0;
    meanwhile([&] { path.emplace(hosts, link); });
    const double began = t.last;
    while (t.error.empty() && seconds() - began < limit) {
        if (path && seconds() - began >= outage)
            meanwhile([&] { path.reset(); });
        t.run_until(seconds() + 0.5);
        const bool goes_on = t.longest_gap > 0.2 && seconds() - t.last < 0.2;
        if (goes_on && (!path || !std::isfinite(outage)))
            break;
    }
    const stall result =
        t.error.empty() ? stall{t.longest_gap, "ok"} : stall{seconds() - began, t.error};
    abort(std::move(c));
    return result;
}

void print(const char *what, const kind &k, unsigned run, const char *unit, double value,
           const std::string &result = "ok")
{
    std::printf("%s,%s,%u,%s,%.6f,%s\n", what, k.name, run, unit, value, result.c_str());
    std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv)
{
    unsigned runs = 3;
    double duration = 4, outage = 30;
    int count = 2000;
    CLI::App app{"what bundle sockets, SCTP with one address and TCP carry, and what becomes of it "
                 "when the path is cut"};
    app.add_option("--runs", runs, "of each kind")->check(CLI::Range(1, 100));
    app.add_option("--duration", duration, "seconds in which a rate is taken")
        ->check(CLI::Range(0.1, 1000.0));
    app.add_option("--requests", count, "one after another")->check(CLI::Range(1, 1000000));
    app.add_option("--outage", outage, "seconds for which a path is cut")
        ->check(CLI::Range(1.0, 100.0));
    CLI11_PARSE(app, argc, argv);

    try {
        const two_hosts hosts;
        const virtual_time::meter meter;
        for (const kind &k : kinds) { // caches fill
            rate(hosts, k, 0.1);
            requests(hosts, k, 10);
        }
        std::printf("measure,socket,run,unit,value,result\noutage,,,s,%g,\n", outage);
        for (unsigned run = 1; run <= runs; run++)
            for (const kind &k : kinds) {
                print("rate-cpu", k, run, "MB/s", 1e-6 * rate(hosts, k, duration / 10));
                print("requests-cpu", k, run, "1/s", requests(hosts, k, count));
            }
        limit_links(hosts);
        for (unsigned run = 1; run <= runs; run++)
            for (const kind &k : kinds) {
                print("rate-link", k, run, "MB/s", 1e-6 * rate(hosts, k, duration));
                print("requests-link", k, run, "1/s", requests(hosts, k, count / 20 + 1));
                for (const auto &[what, length] :
                     {std::pair("stall", outage),
                      std::pair("stall-for-good", std::numeric_limits<double>::infinity())}) {
                    const auto [time, result] = cut(hosts, k, length);
                    print(what, k, run, "s", time, result);
                }
            }
        return 0;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "data: %s\n", e.what());
        return 1;
    }
}
