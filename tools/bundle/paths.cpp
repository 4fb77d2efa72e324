// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * bundle paths: the live associations of all processes, by /proc/net/sctp, and what only their
 * sockets know (round-trip times, scopes), where they can be borrowed.
 */

#include "association.hpp"
#include "command.hpp"
#include "json.hpp"
#include "process.hpp"
#include "text.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>

namespace tool {

namespace {

struct options {
    long number = 0, pid = 0, port = 0; // 0: not given
    bool json = false;
};

struct association {
    int id = 0, state = 0;
    unsigned long inode = 0;
    long local_port = 0, peer_port = 0;
    std::vector<bundle::address> local;
    std::vector<path> paths;
    std::vector<fate> others; ///< addresses that were asked for, and are no paths
    std::vector<owner> owners;
    bool seen = false;    ///< its socket could be borrowed
    bool foreign = false; ///< of another network namespace
};

/** As SCTP's states are called in RFC 9260. */
std::string state_name(int state)
{
    constexpr const char *names[] = {
        "closed",           "cookie-wait",   "cookie-echoed",     "established",
        "shutdown-pending", "shutdown-sent", "shutdown-received", "shutdown-ack-sent"};
    return state >= 0 && static_cast<std::size_t>(state) < std::size(names) ? names[state]
                                                                            : std::to_string(state);
}

std::vector<std::string> words_of(const std::string &line)
{
    std::istringstream in(line);
    return {std::istream_iterator<std::string>(in), {}};
}

/** A line of /proc/net/sctp/assocs; nothing if it isn't one. */
std::optional<association> parse(const std::string &line)
{
    constexpr std::size_t state = 4, id = 6, inode = 10, local_port = 11, peer_port = 12,
                          addresses = 13;
    const std::vector<std::string> words = words_of(line);
    if (words.size() <= addresses || words[state] == "ST")
        return std::nullopt;
    association a;
    try {
        a.state = std::stoi(words[state]);
        a.id = std::stoi(words[id]);
        a.inode = std::stoul(words[inode]);
        a.local_port = std::stol(words[local_port]);
        a.peer_port = std::stol(words[peer_port]);
    } catch (const std::logic_error &) {
        throw std::runtime_error("/proc/net/sctp/assocs isn't as Linux 6.12 has it: " + line);
    }
    bool peer = false;
    for (std::size_t i = addresses; i < words.size(); i++) {
        if (words[i] == "<->") {
            peer = true;
            continue;
        }
        const bool primary = words[i].starts_with('*');
        const auto address = bundle::address::parse(words[i].substr(primary));
        if (!address)
            break; // the numbers that end the line
        if (peer)
            a.paths.push_back({address->plain(), SCTP_UNKNOWN, primary, {}, {}, *address});
        else
            a.local.push_back(address->plain());
    }
    return a;
}

/** The paths' states, from /proc/net/sctp/remaddr. Its RTO is in ticks of an unknown length. */
void add_states(std::vector<association> &all, const std::string &text)
{
    constexpr std::size_t id = 1, state = 7;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::vector<std::string> words = words_of(line);
        const auto peer = bundle::address::parse(words.empty() ? "" : words[0]);
        if (!peer || words.size() <= state)
            continue;
        for (association &a : all)
            for (path &p : a.paths)
                if (words[id] == std::to_string(a.id) && p.peer == peer->plain())
                    p.state = std::atoi(words[state].c_str());
    }
}

/** What the association's socket knows and /proc doesn't. */
void ask_socket(association &a)
{
    for (const owner &o : a.owners) {
        const descriptor socket = borrow(o);
        if (!socket)
            continue;
        std::vector<path> paths = paths_of(socket.get(), a.id);
        if (paths.empty())
            continue;
        a.seen = true;
        // A link-local address without its scope, as the peer lists it, is none for the socket.
        for (path &p : paths)
            for (const path &known : a.paths)
                if (p.state == SCTP_UNKNOWN && p.peer.with_port(0) == known.peer)
                    p.state = known.state;
        a.paths = std::move(paths);
        a.local = local_addresses_of(socket.get(), a.id);
        for (const fate &f : fates_of(socket.get()))
            if (std::ranges::none_of(a.paths, [&](const path &p) {
                    return p.peer.with_port(0) == f.peer.with_port(0);
                }))
                a.others.push_back(f);
        return;
    }
}

/** All associations of a network namespace, by its directory in /proc; nothing without SCTP. */
std::optional<std::vector<association>> associations_in(const std::string &directory)
{
    const auto text = read_file(directory + "/sctp/assocs");
    if (!text)
        return std::nullopt;
    std::vector<association> result;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);)
        if (auto a = parse(line))
            result.push_back(std::move(*a));
    add_states(result, read_file(directory + "/sctp/remaddr").value_or(""));
    return result;
}

bool has_owner(const association &a, long pid)
{
    return std::ranges::any_of(a.owners, [pid](const owner &o) { return o.pid == pid; });
}

bool wanted(const association &a, const options &o)
{
    const auto has_port = [&a](long port) { return a.local_port == port || a.peer_port == port; };
    return (o.number == 0 || has_owner(a, o.number) || has_port(o.number)) &&
           (o.pid == 0 || has_owner(a, o.pid)) && (o.port == 0 || has_port(o.port));
}

bool same_namespace(const std::string &a, const std::string &b)
{
    std::error_code error;
    return std::filesystem::equivalent(a + "/ns/net", b + "/ns/net", error);
}

/** Those of our own network namespace, and of that of the process asked for. */
std::optional<std::vector<association>> find(const options &o)
{
    auto result = associations_in("/proc/self/net");
    const long pid = o.pid != 0 ? o.pid : o.number;
    const std::string process = "/proc/" + std::to_string(pid);
    if (pid != 0 && ::access(process.c_str(), F_OK) == 0 &&
        !same_namespace("/proc/self", process)) {
        if (auto more = associations_in(process + "/net")) {
            if (!result)
                result.emplace();
            for (association &a : *more)
                a.foreign = true;
            std::ranges::move(*more, std::back_inserter(*result));
        }
    }
    if (!result)
        return result;
    const auto owners = socket_owners();
    for (association &a : *result) {
        const auto [begin, end] = owners.equal_range(a.inode);
        for (auto i = begin; i != end && a.inode != 0; ++i)
            a.owners.push_back(i->second);
    }
    std::erase_if(*result, [&o](const association &a) { return !wanted(a, o); });
    std::ranges::for_each(*result, ask_socket);
    return result;
}

/** Interfaces of another namespace have no names here, but their numbers may be others'. */
std::string text_of(const association &a, const bundle::address &address)
{
    if (!a.foreign || address.scope_id() == 0)
        return address.to_string();
    return address.with_scope_id(0).to_string() + "%" + std::to_string(address.scope_id());
}

json milliseconds(const std::optional<std::chrono::milliseconds> &time)
{
    return time ? json(time->count()) : json();
}

json to_json(const association &a)
{
    json result{{"state", state_name(a.state)},
                {"id", a.id},
                {"local_port", a.local_port},
                {"peer_port", a.peer_port}};
    for (const char *list : {"processes", "local", "paths", "others"})
        result[list] = json::array();
    for (const owner &o : a.owners)
        result["processes"].push_back({{"pid", o.pid}, {"name", o.name}, {"fd", o.fd}});
    for (const bundle::address &l : a.local)
        result["local"].push_back(text_of(a, l));
    for (const path &p : a.paths)
        result["paths"].push_back({{"address", text_of(a, p.peer)},
                                   {"state", path_state_name(p.state)},
                                   {"primary", p.primary},
                                   {"rtt_ms", milliseconds(p.rtt)},
                                   {"rto_ms", milliseconds(p.rto)}});
    for (const fate &f : a.others)
        result["others"].push_back({{"address", text_of(a, f.peer)}, {"fate", f.name()}});
    return result;
}

void print(const association &a, bool colour)
{
    const std::string who = a.owners.empty()
                                ? "nobody's that can be seen"
                                : a.owners[0].name + ", PID " + std::to_string(a.owners[0].pid);
    std::cout << paint(who, style::heading, colour) << ": " << state_name(a.state) << ", port "
              << a.local_port << " to " << a.peer_port << '\n';
    table lines;
    for (const bundle::address &l : a.local)
        lines.add({"local", text_of(a, l)});
    for (const path &p : a.paths) {
        const style how = p.state == SCTP_ACTIVE     ? style::good
                          : p.state == SCTP_INACTIVE ? style::bad
                                                     : style::plain;
        lines.add({"path",
                   text_of(a, p.peer),
                   {path_state_name(p.state), how},
                   p.rtt ? "RTT " + duration(*p.rtt) : "",
                   p.rto ? "RTO " + duration(*p.rto) : "",
                   p.primary ? "primary" : ""});
    }
    for (const fate &f : a.others)
        lines.add({"asked", text_of(a, f.peer), {f.text(), style::bad}});
    lines.print(std::cout, colour, 2);
}

int run(const options &o)
{
    const bool filtered = o.number != 0 || o.pid != 0 || o.port != 0;
    const auto found = find(o);
    if (o.json) {
        json report{{"sctp", found.has_value()}, {"associations", json::array()}};
        for (const association &a : found.value_or(std::vector<association>{}))
            report["associations"].push_back(to_json(a));
        std::cout << report.dump(2) << '\n';
        return filtered && (!found || found->empty()) ? status_failed : 0;
    }
    if (!found || found->empty()) {
        std::cerr << (filtered ? "no such association" : "no associations")
                  << (found ? "" : ": the kernel has no SCTP loaded, see 'bundle status'") << '\n';
        return filtered ? status_failed : 0;
    }
    const bool colour = colourful(STDOUT_FILENO);
    for (const association &a : *found)
        print(a, colour);
    if (std::ranges::any_of(*found, [](const association &a) { return !a.seen; }))
        std::cerr << "Round-trip times and scopes of sockets that aren't yours are for root.\n";
    return 0;
}

} // namespace

void add_paths(CLI::App &app, action &chosen)
{
    const auto o = std::make_shared<options>();
    CLI::App *const command =
        app.add_subcommand("paths", "show live associations: their paths, states, RTT");
    const CLI::Range pids(1, 4194304), ports(1, 65535);
    command->add_option("PID|PORT", o->number, "those of this process, or of this port")
        ->check(pids);
    command->add_option("--pid", o->pid, "those of this process")->option_text("PID")->check(pids);
    command->add_option("--port", o->port, "those of this port, on either side")
        ->option_text("PORT")
        ->check(ports);
    command->add_flag("--json", o->json, "print JSON");
    command->callback([o, &chosen] { chosen = [o] { return run(*o); }; });
}

} // namespace tool
