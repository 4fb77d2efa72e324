// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * bundle resolve: what getaddrinfo(3) gives a program for a name, in the order in which it would
 * try it.
 */

#include "command.hpp"
#include "json.hpp"
#include "names.hpp"
#include "text.hpp"

#include <iostream>
#include <map>
#include <memory>

#include <sys/socket.h>

namespace tool {

namespace {

struct options {
    std::string name, service;
    bool v4 = false, v6 = false, bundle = false, passive = false, json = false;
    std::string type = "stream";
};

const std::map<std::string, int> types{
    {"stream", SOCK_STREAM}, {"datagram", SOCK_DGRAM}, {"seqpacket", SOCK_SEQPACKET}, {"any", 0}};

json to_json(const entry &e, bool ports)
{
    json result{{"family", family_name(e.family)},
                {"type", type_name(e.type)},
                {"protocol", protocol_name(e.protocol)}};
    if (ports)
        result["port"] = e.port();
    result["length"] = e.bytes.size();
    if (!e.canonical.empty())
        result["canonical_name"] = e.canonical;
    for (const bundle::member &m : e.members())
        result["addresses"].push_back({{"family", family_name(m.addr.family())},
                                       {"address", m.addr.to_string()},
                                       {"host", m.host}});
    return result;
}

void print(const std::vector<entry> &entries, bool ports)
{
    table lines;
    for (const entry &e : entries) {
        lines.add({{family_name(e.family), e.family == AF_BUNDLE ? style::heading : style::plain},
                   type_name(e.type),
                   protocol_name(e.protocol),
                   ports ? std::to_string(e.port()) : "",
                   e.to_string()});
    }
    lines.print(std::cout, colourful(STDOUT_FILENO));
}

int run(const options &o)
{
    question asked;
    asked.name = o.name;
    // Without a port there would be no bundle, as programs fill it in later where they find IPv4
    // or IPv6: asked with one, and not shown.
    asked.service = o.service.empty() ? "1" : o.service;
    asked.family = o.v4 ? AF_INET : o.v6 ? AF_INET6 : o.bundle ? AF_BUNDLE : AF_UNSPEC;
    asked.type = types.at(o.type);
    asked.flags = (o.passive ? AI_PASSIVE : 0);
    json report{{"name", o.name}};
    report["service"] = if_known(!o.service.empty(), o.service);
    try {
        const std::vector<entry> entries = resolve(asked);
        report["entries"] = json::array();
        for (const entry &e : entries)
            report["entries"].push_back(to_json(e, !o.service.empty()));
        if (!o.json)
            print(entries, !o.service.empty());
        const bool any =
            std::ranges::any_of(entries, [](const entry &e) { return e.family == AF_BUNDLE; });
        if (!any && asked.family == AF_UNSPEC && asked.type != SOCK_DGRAM &&
            spelled_as_bundle(o.name))
            std::cerr << "bundle resolve: no bundle among these, as this process can't make its "
                         "socket: see 'bundle status'\n";
    } catch (const name_error &error) {
        if (!o.json)
            throw;
        report["error"] = error.to_json();
    }
    if (o.json)
        std::cout << report.dump(2) << '\n';
    return report.contains("error") ? status_failed : 0;
}

} // namespace

void add_resolve(CLI::App &app, action &chosen)
{
    const auto o = std::make_shared<options>();
    CLI::App *const command = app.add_subcommand("resolve", "show what getaddrinfo(3) gives");
    command->add_option("NAME", o->name, "a host name, an address, or the name of a bundle")
        ->required();
    command->add_option("SERVICE", o->service, "a port, or a name of /etc/services");
    auto *const v4 = command->add_flag("-4,--ipv4", o->v4, "IPv4 addresses alone");
    auto *const v6 = command->add_flag("-6,--ipv6", o->v6, "IPv6 addresses alone")->excludes(v4);
    command->add_flag("-b,--bundle", o->bundle, "ask for bundles, of ordinary names, too")
        ->excludes(v4)
        ->excludes(v6);
    command->add_flag("-p,--passive", o->passive, "as a server asks that will bind to it");
    command->add_option("-t,--type", o->type, "stream (the default), datagram, seqpacket or any")
        ->check(CLI::IsMember({"stream", "datagram", "seqpacket", "any"}));
    command->add_flag("--json", o->json, "print JSON");
    command->callback([o, &chosen] { chosen = [o] { return run(*o); }; });
}

} // namespace tool
