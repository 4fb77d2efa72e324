// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * bundle listen: the other end of a netcat, on a bundle and on its addresses one by one, so that
 * programs that fall back to TCP get there, too.
 */

#include "command.hpp"
#include "names.hpp"
#include "session.hpp"
#include "system.hpp"

#include <array>
#include <iostream>
#include <memory>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace tool {

namespace {

using clock = std::chrono::steady_clock;

struct options : session_options {
    std::vector<std::string> where; // [NAME] SERVICE
    bool keep = false, only_bundle = false;
    double timeout = 0;
};

/** What getaddrinfo(3) has no name for: every address, in one bundle. */
entry every_address(std::uint16_t port)
{
    const bool v6 = ::access("/proc/net/if_inet6", F_OK) == 0;
    const bundle::socket_address all{*bundle::address::parse(v6 ? "::" : "0.0.0.0", port)};
    const auto bytes = all.bytes();
    return {AF_BUNDLE, SOCK_STREAM, IPPROTO_SCTP, {bytes.begin(), bytes.end()}, ""};
}

std::vector<entry> places(const options &o)
{
    question asked;
    asked.service = o.where.back();
    asked.flags = AI_PASSIVE;
    if (o.where.size() == 2) {
        asked.name = o.where.front();
        if (o.only_bundle)
            asked.family = AF_BUNDLE;
        return resolve(asked);
    }
    std::vector<entry> result = resolve(asked);
    const entry all = every_address(result.front().port());
    if (o.only_bundle)
        return {all};
    result.insert(result.begin(), all);
    return result;
}

/** A listening socket, or none, and then errno's value. */
descriptor open_listener(const entry &e)
{
    descriptor result(::socket(e.family, e.type | SOCK_NONBLOCK | SOCK_CLOEXEC, e.protocol));
    const int on = 1;
    if (!result)
        return {};
    // SCTP has its own idea of reuse, which lets two servers have one port.
    if (e.protocol == IPPROTO_TCP)
        ::setsockopt(result.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    // 0.0.0.0 has a socket of its own.
    if (e.family == AF_INET6)
        ::setsockopt(result.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (::bind(result.get(), e.data(), e.size()) < 0 || ::listen(result.get(), 8) < 0)
        return {};
    return result;
}

struct listener {
    descriptor socket;
    int protocol;
};

std::vector<listener> open_listeners(const options &o, const reporter &report)
{
    std::vector<listener> result;
    int error = 0;
    const std::vector<entry> all = places(o);
    for (const entry &e : all) {
        if (e.port() == 0)
            throw usage_error("port 0 is nobody's: they go from 1 to 65535");
        const std::string text =
            e.to_string() + " port " + std::to_string(e.port()) + ", " + protocol_name(e.protocol);
        descriptor socket = open_listener(e);
        if (socket) {
            report.line("listening on " + text, style::heading);
            result.push_back({std::move(socket), e.protocol});
            continue;
        }
        error = errno;
        report.line("not listening on " + text + ": " + std::strerror(error), style::bad);
    }
    if (result.empty()) {
        errno = error;
        must(-1, "listening");
    }
    return result;
}

/** Who has connected, and when. */
struct guest {
    descriptor socket;
    int protocol;
    bundle::address peer;
};

/** Waits for a connection; none when the time is up. */
std::optional<guest> next_guest(const std::vector<listener> &listeners, double timeout)
{
    const auto end = clock::now() + to_milliseconds(timeout);
    std::vector<::pollfd> polled;
    for (const listener &l : listeners)
        polled.push_back({l.socket.get(), POLLIN, 0});
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now());
        if (timeout > 0 && left.count() <= 0)
            return std::nullopt;
        const int ready =
            ::poll(polled.data(), polled.size(), timeout > 0 ? static_cast<int>(left.count()) : -1);
        if (ready < 0 && errno != EINTR)
            must(ready, "poll");
        for (std::size_t i = 0; i < polled.size() && ready > 0; i++) {
            if (polled[i].revents == 0)
                continue;
            ::sockaddr_storage name{};
            socklen_t length = sizeof(name);
            descriptor socket(::accept4(polled[i].fd, reinterpret_cast<::sockaddr *>(&name),
                                        &length, SOCK_CLOEXEC));
            if (!socket) // it may have gone again
                continue;
            const auto peer =
                bundle::address::from(std::as_bytes(std::span(&name, 1)).first(length));
            return guest{std::move(socket), listeners[i].protocol,
                         peer.value_or(bundle::address())};
        }
    }
}

/** Reports how a guest's paths change, until all are known to work or not to. */
class path_watcher {
  public:
    path_watcher(int fd, const reporter &report) : fd_(fd), report_(report), known_(paths_of(fd)) {}

    bool operator()()
    {
        std::vector<path> now = paths_of(fd_);
        for (const path &p : now)
            if (std::ranges::none_of(
                    known_, [&p](const path &k) { return k.peer == p.peer && k.state == p.state; }))
                report_.event(clock::now() - start_, p.peer.to_string(), path_state_name(p.state),
                              p.state == SCTP_ACTIVE ? style::good : style::plain);
        known_ = std::move(now);
        return std::ranges::any_of(known_,
                                   [](const path &p) { return p.state == SCTP_UNCONFIRMED; });
    }

  private:
    int fd_;
    const reporter &report_;
    clock::time_point start_ = clock::now();
    std::vector<path> known_;
};

int run(const options &o)
{
    const reporter report(o.quiet);
    const std::vector<listener> listeners = open_listeners(o, report);
    for (;;) {
        const auto start = clock::now();
        const auto who = next_guest(listeners, o.timeout);
        if (!who)
            throw std::runtime_error("nobody has connected in " +
                                     duration(to_milliseconds(o.timeout)));
        report.event(clock::now() - start, who->peer.to_string(),
                     "port " + std::to_string(who->peer.port()) + " has connected, " +
                         protocol_name(who->protocol),
                     style::good);
        if (who->protocol == IPPROTO_SCTP)
            report.paths(who->socket.get());
        std::function<bool()> watch;
        if (who->protocol == IPPROTO_SCTP && !o.quiet)
            watch = path_watcher(who->socket.get(), report);
        try {
            const int status = converse(who->socket.get(), o, report, watch);
            if (!o.keep)
                return status;
        } catch (const std::exception &error) {
            if (!o.keep)
                throw;
            std::cerr << "bundle listen: " << error.what() << '\n'; // and on to the next one
        }
    }
}

} // namespace

void add_listen(CLI::App &app, action &chosen)
{
    const auto o = std::make_shared<options>();
    CLI::App *const command =
        app.add_subcommand("listen", "accept a connection, report its paths, and relay as netcat");
    command
        ->add_option("[NAME] SERVICE", o->where,
                     "where to listen: a bundle's name (every local address), and a port")
        ->required()
        ->expected(1, 2);
    command->add_flag("-b,--bundle", o->only_bundle, "on bundles alone, not with TCP as well");
    command->add_flag("-k,--keep", o->keep, "accept one after another, until killed");
    add_seconds(*command, "-w,--timeout", o->timeout, "to wait for a connection");
    add_session_options(*command, *o);
    command->callback([o, &chosen] { chosen = [o] { return run(*o); }; });
}

} // namespace tool
