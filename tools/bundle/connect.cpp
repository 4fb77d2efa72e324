// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * bundle connect: a netcat that tries the entries of getaddrinfo(3) in order, as programs do, and
 * tells each address's fate and the time that it took.
 */

#include "command.hpp"
#include "json.hpp"
#include "names.hpp"
#include "session.hpp"
#include "system.hpp"

#include <iostream>
#include <memory>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

namespace tool {

namespace {

using clock = std::chrono::steady_clock;

/** How often a bundle's addresses are looked at while they are tried. */
constexpr std::chrono::milliseconds look{5};

struct options : session_options {
    std::string name, service;
    bool v4 = false, v6 = false, only_bundle = false, zero = false, json = false;
    double timeout = 0, settle = 1;
};

/**
 * Follows what becomes of a bundle's addresses, and reports each change. Once there is an
 * association, paths that nothing was heard from yet are asked by heartbeats.
 */
class watcher {
  public:
    /** @param patience how long a path has to answer a heartbeat. */
    watcher(clock::time_point start, clock::duration patience, const reporter &report)
        : start_(start), patience_(patience), report_(report)
    {}

    /** @param connected whether there is an association. */
    void update(int fd, bool connected)
    {
        const std::vector<fate> now = fates_of(fd);
        if (now.empty()) // the association is gone
            return;
        addresses_.resize(now.size());
        const std::vector<path> paths = connected ? paths_of(fd) : std::vector<path>();
        for (std::size_t i = 0; i < now.size(); i++) {
            fate next = now[i];
            next.heard = addresses_[i].what.heard;
            const auto p = std::ranges::find(paths, next.peer.with_port(0),
                                             [](const path &q) { return q.peer.with_port(0); });
            if (next.state == BUNDLE_PATH_CONFIRMED && !next.heard && p != paths.end())
                next.heard = hear(fd, addresses_[i], *p);
            note(addresses_[i], next);
        }
    }

    [[nodiscard]] bool settled() const
    {
        return std::ranges::all_of(addresses_, [](const followed &a) { return a.what.settled(); });
    }

    /** Those that nothing was heard of until now. */
    void give_up() const
    {
        for (const followed &a : addresses_)
            if (!a.what.settled())
                tell(a.what, clock::now() - start_);
    }

    [[nodiscard]] json to_json() const
    {
        auto list = json::array();
        for (const followed &a : addresses_)
            list.push_back({{"address", a.what.peer.to_string()},
                            {"fate", a.what.name()},
                            {"seconds", if_known(a.what.settled(), seconds(a.after))},
                            {"error", if_known(a.what.error != 0, error_name(a.what.error))}});
        return list;
    }

  private:
    struct followed {
        fate what;
        clock::duration after{};                  ///< when that was seen, since the start
        std::optional<clock::time_point> asked{}; ///< when a heartbeat was sent
    };

    /** Whether a path has answered; nothing while that can't be told. */
    std::optional<bool> hear(int fd, followed &a, const path &p) const
    {
        if (p.rtt)
            return true;
        if (!a.asked) {
            send_heartbeat(fd, p);
            a.asked = clock::now();
        } else if (clock::now() - *a.asked >= patience_) {
            // A round trip of less than a tick is measured as 0. The next heartbeat tells.
            send_heartbeat(fd, p);
            for (const path &q : paths_of(fd))
                if (q.peer == p.peer)
                    return q.state == SCTP_ACTIVE;
        }
        return std::nullopt;
    }

    void note(followed &a, const fate &next) const
    {
        if (next == a.what)
            return;
        const bool told = next.settled() && !(a.what.settled() && a.what.state == next.state);
        a.what = next;
        a.after = clock::now() - start_;
        if (told)
            tell(next, a.after);
    }

    void tell(const fate &f, clock::duration after) const
    {
        report_.event(after, f.peer.to_string(), f.text(),
                      f.good()      ? style::good
                      : f.settled() ? style::bad
                                    : style::faint);
    }

    clock::time_point start_;
    clock::duration patience_;
    const reporter &report_;
    std::vector<followed> addresses_;
};

/** An attempt to connect to one entry. */
struct attempt {
    descriptor socket; ///< none if it failed
    int error = 0;
    clock::duration time{};
    std::unique_ptr<watcher> watch; ///< of a bundle
};

int socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);
    must(::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), "SO_ERROR");
    return error;
}

/** @return errno's value. */
int wait_until_connected(int fd, clock::time_point end, watcher *watch)
{
    using std::chrono::milliseconds;
    const milliseconds most = watch != nullptr ? look : std::chrono::minutes{1};
    for (;;) {
        const auto left =
            std::clamp(std::chrono::ceil<milliseconds>(end - clock::now()), milliseconds{0}, most);
        ::pollfd polled{fd, POLLOUT, 0};
        const int ready = ::poll(&polled, 1, static_cast<int>(left.count()));
        if (ready < 0 && errno != EINTR)
            must(ready, "poll");
        if (watch != nullptr)
            watch->update(fd, false);
        if (ready > 0)
            return socket_error(fd);
        if (clock::now() >= end)
            return ETIMEDOUT;
    }
}

attempt try_entry(const entry &e, const options &o, const reporter &report)
{
    attempt result;
    report.line(e.to_string() + " port " + std::to_string(e.port()) + ", " +
                    protocol_name(e.protocol),
                style::heading);
    const auto start = clock::now();
    const auto end = o.timeout > 0 ? start + to_milliseconds(o.timeout) : clock::time_point::max();
    if (e.family == AF_BUNDLE)
        result.watch = std::make_unique<watcher>(start, to_milliseconds(o.settle), report);
    descriptor socket(::socket(e.family, e.type | SOCK_NONBLOCK | SOCK_CLOEXEC, e.protocol));
    if (!socket)
        result.error = errno;
    else if (::connect(socket.get(), e.data(), e.size()) < 0 && errno != EINPROGRESS)
        result.error = errno;
    else
        result.error = wait_until_connected(socket.get(), end, result.watch.get());
    result.time = clock::now() - start;
    if (result.watch && socket) {
        result.watch->update(socket.get(), result.error == 0);
        if (result.error != 0)
            result.watch->give_up();
    }
    report.event(result.time, e.family == AF_BUNDLE ? "the bundle" : e.to_string(),
                 result.error == 0 ? "connected" : std::strerror(result.error),
                 result.error == 0 ? style::good : style::bad);
    if (result.error == 0)
        result.socket = std::move(socket);
    return result;
}

json to_json(const entry &e, const attempt &a)
{
    json result{{"family", family_name(e.family)}, {"protocol", protocol_name(e.protocol)},
                {"address", e.to_string()},        {"port", e.port()},
                {"connected", a.error == 0},       {"seconds", seconds(a.time)}};
    result["error"] = if_known(a.error != 0, error_name(a.error));
    if (a.watch)
        result["addresses"] = a.watch->to_json();
    return result;
}

/** Gives the addresses that haven't answered yet the time for it. */
void settle(const attempt &a, double patience)
{
    const auto end = clock::now() + 2 * to_milliseconds(patience);
    bool over = false;
    // The last look comes after the end: the process may have been stopped meanwhile.
    while (!a.watch->settled() && !over) {
        ::poll(nullptr, 0, look.count());
        over = clock::now() >= end;
        a.watch->update(a.socket.get(), true);
    }
    a.watch->give_up();
}

int use(const attempt &a, const options &o, const reporter &report)
{
    if (o.zero) {
        if (a.watch)
            settle(a, o.settle);
        return 0;
    }
    const int status = converse(a.socket.get(), o, report, [&a] {
        if (a.watch)
            a.watch->update(a.socket.get(), true);
        return a.watch && !a.watch->settled();
    });
    if (a.watch)
        a.watch->give_up();
    return status;
}

/** What came of all attempts: the exit status, or errno's value of the last one. */
struct conclusion {
    int status = status_failed, error = 0;
};

conclusion try_all(const std::vector<entry> &entries, const options &o, const reporter &report,
                   json &attempts)
{
    conclusion result;
    for (const entry &e : entries) {
        if (e.port() == 0)
            throw usage_error("port 0 is nobody's: they go from 1 to 65535");
        const attempt a = try_entry(e, o, report);
        result.error = a.error;
        if (a.error == 0)
            result.status = use(a, o, report);
        attempts.push_back(to_json(e, a));
        if (a.error == 0)
            break;
    }
    return result;
}

int run(const options &o)
{
    const reporter report(o.quiet || o.json);
    question asked;
    asked.name = o.name;
    asked.service = o.service;
    asked.family = o.v4 ? AF_INET : o.v6 ? AF_INET6 : o.only_bundle ? AF_BUNDLE : AF_UNSPEC;
    json all{{"name", o.name}, {"service", o.service}, {"connected", false}};
    all["attempts"] = json::array();
    conclusion end;
    try {
        const auto start = clock::now();
        const std::vector<entry> entries = resolve(asked);
        report.event(clock::now() - start, o.name, counted(entries.size(), "result"));
        end = try_all(entries, o, report, all["attempts"]);
        all["connected"] = end.error == 0;
    } catch (const name_error &error) {
        if (!o.json)
            throw;
        all["error"] = error.to_json();
    }
    if (o.json)
        std::cout << all.dump(2) << '\n';
    else if (end.error != 0)
        throw std::runtime_error(
            "no address of '" + o.name +
            "' could be connected to; the last error: " + std::strerror(end.error));
    return end.status;
}

} // namespace

void add_connect(CLI::App &app, action &chosen)
{
    const auto o = std::make_shared<options>();
    CLI::App *const command =
        app.add_subcommand("connect", "connect, tell each address's fate, and relay as netcat");
    command->add_option("NAME", o->name, "a host name, an address, or the name of a bundle")
        ->required();
    command->add_option("SERVICE", o->service, "a port, or a name of /etc/services")->required();
    auto *const v4 = command->add_flag("-4,--ipv4", o->v4, "IPv4 addresses alone");
    auto *const v6 = command->add_flag("-6,--ipv6", o->v6, "IPv6 addresses alone")->excludes(v4);
    command->add_flag("-b,--bundle", o->only_bundle, "by bundles alone, of ordinary names, too")
        ->excludes(v4)
        ->excludes(v6);
    add_seconds(*command, "-w,--timeout", o->timeout, "of each attempt to connect");
    auto *const zero =
        command->add_flag("-z,--report", o->zero, "connect and report, but relay nothing");
    add_seconds(*command, "--settle", o->settle,
                "how long the other addresses have to answer, once connected (1)");
    command->add_flag("--json", o->json, "with -z, print the report as JSON")->needs(zero);
    add_session_options(*command, *o);
    command->callback([o, &chosen] { chosen = [o] { return run(*o); }; });
}

} // namespace tool
