// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Names by getaddrinfo(3), see names.hpp.
 */

#include "names.hpp"

#include "command.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <set>

namespace tool {

namespace {

/** The limits of names in braces, see bundles(5). */
constexpr std::size_t longest_name = 4096;

void check_service(const std::string &service)
{
    if (service.empty())
        throw usage_error("an empty service: give a port from 1 to 65535, or a name as in "
                          "/etc/services");
    unsigned port = 0;
    const char *end = service.data() + service.size();
    const auto [rest, error] = std::from_chars(service.data(), end, port);
    const bool number = std::ranges::all_of(service, [](char c) { return c >= '0' && c <= '9'; });
    if (number && (error != std::errc() || rest != end || port > 65535))
        throw usage_error("no port '" + service + "': they go up to 65535");
}

/** Why a name has no address, and what to do; empty if getaddrinfo(3)'s own words are all. */
std::string hint(const std::string &name)
{
    if (!spelled_as_bundle(name))
        return "";
    if (name.starts_with('{'))
        if (const auto fault = fault_in_braces(name))
            return ": " + *fault;
    if (!library_knows_bundles())
        return ": this C library doesn't know bundles; start the program by 'bundle run'";
    if (!bundle_names_on())
        return ": names of bundles are switched off; /etc/nsswitch.conf needs a line "
               "'bundles: files'";
    if (!name.starts_with('{'))
        return ": it wants a name of /etc/bundles before .bundle.alt, or addresses like "
               "192-0-2-1.2001-db8--1";
    return ": none of its members has an address";
}

} // namespace

std::vector<bundle::member> entry::members() const
{
    if (family == AF_BUNDLE) {
        std::vector<bundle::member> result;
        for (const bundle::member &m : bundle::view(bytes))
            result.push_back(m);
        return result;
    }
    const auto only = bundle::address::from(bytes);
    return only ? std::vector{bundle::member{*only, 0}} : std::vector<bundle::member>{};
}

std::uint16_t entry::port() const
{
    const auto all = members();
    return all.empty() ? std::uint16_t{0} : all.front().addr.port();
}

std::string entry::to_string() const
{
    const auto all = members();
    if (family == AF_BUNDLE)
        return bundle::to_string(all);
    return all.empty() ? "?" : all.front().addr.to_string();
}

std::string name_error::symbol() const
{
    constexpr struct {
        int code;
        const char *symbol;
    } symbols[] = {
        {EAI_BADFLAGS, "EAI_BADFLAGS"}, {EAI_NONAME, "EAI_NONAME"},
        {EAI_AGAIN, "EAI_AGAIN"},       {EAI_FAIL, "EAI_FAIL"},
        {EAI_FAMILY, "EAI_FAMILY"},     {EAI_SOCKTYPE, "EAI_SOCKTYPE"},
        {EAI_SERVICE, "EAI_SERVICE"},   {EAI_MEMORY, "EAI_MEMORY"},
        {EAI_SYSTEM, "EAI_SYSTEM"},     {EAI_OVERFLOW, "EAI_OVERFLOW"},
        {EAI_NODATA, "EAI_NODATA"},     {EAI_ADDRFAMILY, "EAI_ADDRFAMILY"},
    };
    for (const auto &s : symbols)
        if (s.code == code_)
            return s.symbol;
    return std::to_string(code_);
}

std::vector<entry> resolve(const question &asked)
{
    check_service(asked.service);
    ::addrinfo hints{};
    hints.ai_family = asked.family;
    hints.ai_socktype = asked.type;
    hints.ai_protocol = asked.protocol;
    hints.ai_flags = asked.flags;
    ::addrinfo *list = nullptr;
    const int code = ::getaddrinfo(asked.name ? asked.name->c_str() : nullptr,
                                   asked.service.c_str(), &hints, &list);
    if (code == EAI_SERVICE)
        throw name_error(code, "no service '" + asked.service +
                                   "': give a port from 1 to 65535, or a name as in "
                                   "/etc/services");
    if (code == EAI_FAMILY && asked.family == AF_BUNDLE)
        throw name_error(code, library_knows_bundles()
                                   ? "bundles are switched off; /etc/nsswitch.conf needs a line "
                                     "'bundles: files'"
                                   : "this C library doesn't know bundles; start the program by "
                                     "'bundle run'");
    if (code != 0) {
        const std::string name = asked.name.value_or("");
        const std::string text = code == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(code);
        throw name_error(code, "'" + name + "': " + text + hint(name));
    }
    const std::unique_ptr<::addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
    std::vector<entry> result;
    for (const ::addrinfo *ai = list; ai != nullptr; ai = ai->ai_next) {
        const auto *bytes = reinterpret_cast<const std::byte *>(ai->ai_addr);
        result.push_back({ai->ai_family,
                          ai->ai_socktype,
                          ai->ai_protocol,
                          {bytes, bytes + ai->ai_addrlen},
                          ai->ai_canonname != nullptr ? ai->ai_canonname : ""});
    }
    return result;
}

bool spelled_as_bundle(std::string_view name)
{
    constexpr std::string_view suffix = ".bundle.alt";
    if (name.ends_with('.'))
        name.remove_suffix(1);
    return name.starts_with('{') ||
           (name.size() > suffix.size() &&
            std::ranges::equal(name.substr(name.size() - suffix.size()), suffix,
                               [](char a, char b) { return (a | 0x20) == b || a == b; }));
}

std::optional<std::string> fault_in_braces(std::string_view name)
{
    if (name.size() > longest_name)
        return "a name may have " + std::to_string(longest_name) + " bytes at most";
    std::size_t depth = 0, members = 0;
    bool inside = false, closed = false; // a member's text, and a host that has just ended
    std::optional<bool> nested;
    for (const char c : name) {
        if (depth == 0 && (members > 0 || c != '{'))
            return members > 0 ? "there is something after the last brace"
                               : "it doesn't begin with a brace";
        const bool separator = c == ',' || c == ';';
        if (c == '{') {
            if (inside || closed || depth == 2)
                return depth == 2 ? "braces go two deep at most"
                                  : "a brace in the midst of a member";
            if (depth == 1 && !nested.value_or(true))
                return "either all members are in braces of their own or none is";
            if (depth == 1)
                nested = true;
            depth++;
        } else if (separator || c == '}') {
            if (!inside && !closed)
                return "there is an empty member";
            members += inside;
            inside = false;
            closed = c == '}' && depth == 2;
            depth -= c == '}';
        } else if (c != ' ' && c != '\t') {
            if (closed || (depth == 1 && nested.value_or(false)))
                return "either all members are in braces of their own or none is";
            if (depth == 1)
                nested = false;
            inside = true;
        }
    }
    if (depth > 0 || name.empty())
        return "a brace isn't closed";
    if (members > bundle::max_addresses)
        return "a bundle has " + std::to_string(bundle::max_addresses) + " members at most";
    return std::nullopt;
}

bool library_knows_bundles()
{
    const bundle::socket_address one{*bundle::address::parse("192.0.2.1", 1)};
    std::array<char, 64> host{};
    return ::getnameinfo(one.data(), one.size(), host.data(), host.size(), nullptr, 0,
                         NI_NUMERICHOST) == 0;
}

bool bundle_names_on()
{
    // A number, so that nobody else is asked, whatever the library.
    ::addrinfo hints{}, *list = nullptr;
    hints.ai_family = AF_BUNDLE;
    hints.ai_flags = AI_NUMERICHOST;
    if (::getaddrinfo("192.0.2.1", "1", &hints, &list) != 0)
        return false;
    ::freeaddrinfo(list);
    return true;
}

} // namespace tool
