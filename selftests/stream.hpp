// SPDX-License-Identifier: GPL-2.0
// A fixture for tests of byte streams: connections between two hosts, and what goes over them.
#pragma once

#include "two_hosts.hpp"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

namespace sctp {

inline constexpr linger abort_on_close{1, 0};

// Bytes that tell if some are lost, doubled or out of order.
inline std::string pattern(std::size_t length)
{
    std::string result(length, '\0');
    std::uint32_t x = 1;
    for (char &c : result) {
        x = x * 1664525 + 1013904223;
        c = static_cast<char>(x >> 24);
    }
    return result;
}

inline ssize_t send_all(int fd, std::string_view data, int flags = 0)
{
    return ::send(fd, data.data(), data.size(), flags | MSG_NOSIGNAL);
}

// What one recv(2) gives, without waiting for long.
inline std::string received(int fd, std::size_t room = 1 << 20, int flags = 0)
{
    net::wait_for(fd, POLLIN, 2000);
    std::string result(room, '\0');
    const ssize_t n = ::recv(fd, result.data(), room, flags | MSG_DONTWAIT);
    if (n < 0)
        return std::string("error: ") + outcome(n);
    result.resize(static_cast<std::size_t>(n));
    return result;
}

// All until the end.
inline std::string received_to_end(int fd, std::size_t room = 1 << 20)
{
    std::string result;
    for (std::string part; net::wait_for(fd, POLLIN, 60000); result += part)
        if ((part = received(fd, room)).empty())
            return result;
        else if (part.starts_with("error: "))
            return part;
    return "no end";
}

inline int ioctl_int(int fd, unsigned long request)
{
    int result = -1;
    if (::ioctl(fd, request, &result) < 0)
        net::fail("ioctl");
    return result;
}

inline tcp_info stream_info(int fd)
{
    return get_option<tcp_info>(fd, IPPROTO_TCP, TCP_INFO);
}

class Stream : public TwoHosts {
  protected:
    struct ends {
        fd client, server;
    };
    static int nothing(int) { return 0; }

    // Both ends' sockets are prepared by their functions first.
    template <typename Prepare = int (*)(int), typename PrepareServer = int (*)(int)>
    ends connected(int client_family = AF_BUNDLE, int server_family = AF_BUNDLE,
                   Prepare prepare = nothing, PrepareServer prepare_server = nothing) const
    {
        const fd listening = hosts().on_server([&] {
            fd result = open_socket(SOCK_STREAM, server_family);
            if ((server_family == AF_BUNDLE ? bind_to(result, servers)
                                            : bind_to(result, servers[0])) < 0 ||
                prepare_server(result) < 0 || ::listen(result, 8) < 0)
                net::fail("the server");
            return result;
        });
        fd client = open_socket(SOCK_STREAM, client_family);
        if (prepare(client) < 0)
            net::fail("the client");
        if ((client_family == AF_BUNDLE && server_family == AF_BUNDLE ? connect_to(client, servers)
             : client_family == AF_BUNDLE ? connect_to(client, addresses{servers[0]})
                                          : connect_to(client, servers[0])) < 0)
            net::fail("connect");
        return {std::move(client), accept(listening)};
    }

    // One more connection, of another port.
    ends another(int client_family = AF_BUNDLE, int server_family = AF_BUNDLE)
    {
        port = next_port();
        servers = two_hosts::server_addrs(port);
        return connected(client_family, server_family);
    }

    // The association is gone at both ends.
    bool nothing_left(int milliseconds = 5000) const
    {
        const auto none = [] {
            std::istringstream lines(net::slurp("/proc/thread-self/net/sctp/assocs"));
            std::string line;
            std::getline(lines, line);
            return !std::getline(lines, line);
        };
        return net::eventually([&] { return none() && hosts().on_server(none); }, milliseconds);
    }
};

} // namespace sctp
