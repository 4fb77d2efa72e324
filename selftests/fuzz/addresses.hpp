// SPDX-License-Identifier: GPL-2.0
// Socket addresses for a fuzzer: well-formed ones that lead somewhere or nowhere, ones that are
// wrong in one place, and plain bytes.
#pragma once

#include "../sockets.hpp"
#include "choices.hpp"

namespace fuzz {

// What the namespace's dummy device has; see calls.cpp.
inline constexpr const char *own[] = {"10.9.0.1",  "10.9.0.2",  "10.9.0.3",  "10.9.0.4",
                                      "fd00:9::1", "fd00:9::2", "127.0.0.1", "::1"};
inline constexpr const char *foreign[] = {
    "10.9.0.99",       "203.0.113.1",     "fd00:9::99",   "2001:db8::1",
    "::ffff:10.9.0.1", "127.0.0.2",       "0.0.0.0",      "::",
    "224.0.0.1",       "ff02::1",         "10.9.255.255", "fe80::1",
    "::ffff:0.0.0.0",  "255.255.255.255", "::127.0.0.1"};
inline constexpr std::uint16_t ports[] = {7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008};

struct target {
    sctp::bytes data;
    socklen_t length = 0;
    bool malformed = false; // a bundle that must not be taken
};

inline bundle::address any_address(choices &c, std::uint16_t port, bool usual = false)
{
    return sctp::addr(!usual && c.chance(1, 3) ? c.element(foreign) : c.element(own), port);
}

inline std::uint16_t any_port(choices &c)
{
    return c.chance(1, 16) ? static_cast<std::uint16_t>(c.number()) : c.element(ports);
}

inline sctp::bytes any_bundle(choices &c, std::uint16_t port)
{
    bundle::socket_address result;
    const std::uint32_t n = c.chance(1, 8) ? 1 + c.below(bundle::max_addresses) : 1 + c.below(5);
    const bool several = c.chance(1, 6), usual = c.chance(2, 3);
    for (std::uint32_t i = 0; i < n; i++) {
        const bundle::address a =
            n > 8 ? sctp::range("10.9.1.", 64, port)[i] : any_address(c, port, usual);
        if (several && c.chance(1, 2))
            result.add_host(a);
        else
            result.add(a);
    }
    return sctp::raw(result);
}

// Changes one thing, most likely a field of a bundle's header or of one of its entries.
inline void damage(choices &c, sctp::bytes &data)
{
    std::size_t at = 2 * c.below(4);
    if (c.chance(1, 2)) {
        const std::size_t entry = 8 + 8 * c.below(static_cast<std::uint32_t>(data.size() / 8));
        at = entry + 2 * c.below(6);
    }
    if (at + 2 > data.size())
        return;
    std::uint16_t value = 0;
    std::memcpy(&value, &data[at], sizeof(value));
    switch (c.below(4)) {
    case 0:
        value = static_cast<std::uint16_t>(value + 1);
        break;
    case 1:
        value = static_cast<std::uint16_t>(value - 1);
        break;
    case 2:
        value = static_cast<std::uint16_t>(value ^ (1U << c.below(16)));
        break;
    default:
        value = static_cast<std::uint16_t>(c.number());
        break;
    }
    std::memcpy(&data[at], &value, sizeof(value));
}

inline target any_target(choices &c)
{
    target t;
    const std::uint16_t port = any_port(c);
    switch (c.below(10)) {
    default:
        t.data = any_bundle(c, port);
        break;
    case 6:
        t.data.resize(28);
        t.data.resize(any_address(c, port).store(t.data));
        break;
    case 7:
    case 8:
        t.data = any_bundle(c, port);
        for (std::uint32_t i = 0; i <= c.below(2); i++)
            damage(c, t.data);
        break;
    case 9:
        t.data.resize(c.below(300));
        for (std::byte &b : t.data)
            b = static_cast<std::byte>(c.below(256));
        if (t.data.size() >= 2 && c.chance(1, 2))
            std::memcpy(t.data.data(), "\x2e", 2); // AF_BUNDLE
        break;
    }
    t.length = static_cast<socklen_t>(t.data.size());
    if (c.chance(1, 8))
        t.length = c.chance(1, 2) ? t.length + 1 + c.below(64) : c.below(t.length + 1);
    if (c.chance(1, 64))
        t.length = c.number();
    sa_family_t family = AF_UNSPEC;
    if (t.data.size() >= sizeof(family))
        std::memcpy(&family, t.data.data(), sizeof(family));
    t.malformed = family == AF_BUNDLE && t.length >= sizeof(family) &&
                  (t.length > t.data.size() ||
                   bundle::validate(std::span(t.data).first(t.length)) != bundle::fault::none);
    return t;
}

} // namespace fuzz
