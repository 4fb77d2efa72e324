// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What the data path of a bundle socket costs above that of an AF_INET6 SCTP socket: instructions
 * for each megabyte (10^6 bytes), counted by the clock of a virtual machine that runs in virtual
 * time (qemu/vm --time=virtual). Exits 1 if a bundle socket needs above 1 % more, 4 where it can't
 * measure.
 *
 * Both kinds run the same code over the same address, ::1, in rounds that alternate, sender and
 * receiver in one thread: nothing is scheduled and nothing is ever idle.
 */

#include "../selftests/descriptor.hpp"
#include "virtual_time.hpp"

#include <bundle/bundle.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <linux/sctp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using virtual_time::seconds;

constexpr double limit_percent = 1;
constexpr double megabyte = 1e6;

/** Two ends of an association between ::1 and ::1. */
struct pair {
    descriptor client;
    descriptor server;

    /** Sends and receives messages of @p size bytes, one after another. */
    void transfer(std::size_t messages, std::size_t size) const
    {
        static std::array<char, 64 * 1024> buffer;
        for (std::size_t i = 0; i < messages; i++) {
            must(::send(client, buffer.data(), size, 0), "send");
            for (std::size_t got = 0; got < size;)
                got += static_cast<std::size_t>(
                    must(::recv(server, buffer.data(), buffer.size(), 0), "recv"));
        }
    }
};

descriptor make_socket(int family)
{
    descriptor fd(::socket(family, SOCK_STREAM, IPPROTO_SCTP), "socket");
    const int on = 1;
    // Every message goes out at once: none waits for an acknowledgement of the one before.
    must(::setsockopt(fd, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof(on)), "SCTP_NODELAY");
    return fd;
}

pair make_pair(int family)
{
    static std::uint16_t next_port = 5100; // the last one's association may still be closing
    const auto address = *bundle::address::parse("::1", next_port++);
    const bundle::socket_address bundled{address};
    alignas(::sockaddr_in6) std::array<std::byte, sizeof(::sockaddr_in6)> plain;
    address.store(plain);
    const bool is_bundle = family == AF_BUNDLE;
    const auto *name =
        is_bundle ? bundled.data() : reinterpret_cast<const ::sockaddr *>(plain.data());
    const auto length = is_bundle ? bundled.size() : static_cast<socklen_t>(plain.size());

    const descriptor listener = make_socket(family);
    must(::bind(listener, name, length), "bind");
    must(::listen(listener, 1), "listen");
    descriptor client = make_socket(family);
    must(::connect(client, name, length), "connect");
    return {std::move(client), {::accept(listener, nullptr, nullptr), "accept"}};
}

/** What one round took. */
struct sample {
    double instructions_per_megabyte;
    double idle; // part of the time in which this thread didn't run
};

/** What is measured. */
struct plan {
    // Every association costs something else, by up to a percent: take many.
    unsigned rounds = 16;
    std::size_t messages = 3000;
    double ns_per_instruction = 0;
};

sample measure(const plan &p, int family, std::size_t size)
{
    const pair sockets = make_pair(family);
    // The congestion window opens, and caches fill.
    sockets.transfer(p.messages / 4, size);
    const double began = seconds(CLOCK_MONOTONIC), ran = seconds(CLOCK_THREAD_CPUTIME_ID);
    sockets.transfer(p.messages, size);
    const double time = seconds(CLOCK_MONOTONIC) - began;
    const double busy = seconds(CLOCK_THREAD_CPUTIME_ID) - ran;
    const double megabytes = static_cast<double>(p.messages * size) / megabyte;
    return {time * 1e9 / p.ns_per_instruction / megabytes, 1 - busy / time};
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    const auto middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/** The medians of both kinds. */
struct comparison {
    double ipv6;
    double bundle;
    double idle;
};

/** Rounds alternate ABBA, so that a drift meets both alike. */
comparison compare(const plan &p, int family, std::size_t size)
{
    std::array<std::vector<double>, 2> taken;
    std::vector<double> idle;
    for (unsigned i = 0; i < 2 * p.rounds; i++) {
        const bool other = (i + i / 2) % 2;
        const sample s = measure(p, other ? family : AF_INET6, size);
        taken[other].push_back(s.instructions_per_megabyte);
        idle.push_back(s.idle);
    }
    return {median(taken[0]), median(taken[1]), median(idle)};
}

} // namespace

int main(int argc, char **argv)
{
    plan p;
    bool control = false;
    std::vector<std::size_t> sizes{100, 1000, 16000};
    CLI::App app{"what the data path of a bundle socket costs above that of an AF_INET6 one"};
    app.add_option("--rounds", p.rounds, "of each kind")->check(CLI::PositiveNumber);
    app.add_option("--messages", p.messages, "in a round")->check(CLI::PositiveNumber);
    app.add_option("--size", sizes, "bytes of a message; several")->check(CLI::Range(1, 65536));
    app.add_flag("--control", control, "AF_INET6 against itself: what the measurement leaves open");
    CLI11_PARSE(app, argc, argv);

    std::printf("TAP version 13\n");
    try {
        p.ns_per_instruction = virtual_time::ns_per_instruction();
        if (p.ns_per_instruction == 0) {
            std::printf("1..0 # SKIP time does not count instructions: qemu/vm --time=virtual\n");
            return 4;
        }
        if (!control && ::close(::socket(AF_BUNDLE, SOCK_STREAM, IPPROTO_SCTP)) < 0) {
            std::printf("1..0 # SKIP the kernel has no AF_BUNDLE\n");
            return 4;
        }
        std::printf("1..%zu\n", sizes.size());
        int status = 0, number = 0;
        for (const std::size_t size : sizes) {
            const auto [ipv6, bundle, idle] = compare(p, control ? AF_INET6 : AF_BUNDLE, size);
            const double percent = (bundle / ipv6 - 1) * 100;
            // Time in which something else ran would hide what this measures.
            const bool good = percent <= limit_percent && idle < 0.02;
            std::printf("# messages of %zu bytes: %.0f instructions for a megabyte on AF_INET6, "
                        "%.0f on %s: %+.2f %% (%.2f %% of the time not its own)\n"
                        "%sok %d messages of %zu bytes cost at most %.0f %% more\n",
                        size, ipv6, bundle, control ? "the same" : "AF_BUNDLE", percent, idle * 100,
                        good ? "" : "not ", ++number, size, limit_percent);
            std::fflush(stdout);
            if (!good)
                status = 1;
        }
        return status;
    } catch (const std::exception &e) {
        std::printf("Bail out! %s\n", e.what());
        return 1;
    }
}
