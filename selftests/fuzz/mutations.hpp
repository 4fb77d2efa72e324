// SPDX-License-Identifier: GPL-2.0
// What a man in the middle does to IP packets that carry SCTP: loses, changes and makes them.
// Checksums are put right afterwards, as a packet with a wrong one gets nowhere.
#pragma once

#include "../packet.hpp"
#include "../sockets.hpp"
#include "choices.hpp"

#include <algorithm>

#include <netinet/ip.h>

namespace fuzz {

using octets = std::vector<std::uint8_t>;

inline constexpr std::size_t sctp_header = 12;

inline std::uint16_t get16(const octets &p, std::size_t at)
{
    return at + 2 <= p.size() ? static_cast<std::uint16_t>(p[at] << 8 | p[at + 1])
                              : std::uint16_t{0};
}
inline void set16(octets &p, std::size_t at, std::size_t value)
{
    if (at + 2 > p.size())
        return;
    p[at] = static_cast<std::uint8_t>(value >> 8);
    p[at + 1] = static_cast<std::uint8_t>(value);
}
inline std::size_t padded(std::size_t n)
{
    return (n + 3) / 4 * 4;
}

// One packet, from its IP header on.
struct datagram {
    octets all;

    [[nodiscard]] bool v6() const { return !all.empty() && all[0] >> 4 == 6; }
    // Where SCTP's header is; the packet's end if it has none.
    [[nodiscard]] std::size_t start() const
    {
        if (all.size() < 20)
            return all.size();
        const std::size_t at = v6() ? 40 : (all[0] & 15U) * 4U;
        const std::uint8_t protocol = v6() ? all[6] : all[9];
        return protocol == IPPROTO_SCTP && at + sctp_header <= all.size() ? at : all.size();
    }
    [[nodiscard]] bool sctp() const { return start() < all.size(); }

    struct part {
        std::size_t at, length; // without padding
    };
    // Its chunks, as far as they make sense.
    [[nodiscard]] std::vector<part> chunks() const
    {
        return parts(start() + sctp_header, all.size());
    }
    // Is there an INIT, INIT ACK or another that consists of parameters?
    [[nodiscard]] bool has_parameters() const
    {
        return std::ranges::any_of(chunks(),
                                   [&](const part &one) { return fixed_part(all[one.at]) != 0; });
    }
    // The parameters of such a chunk, or what looks like some in another.
    [[nodiscard]] std::vector<part> parameters(const part &chunk) const
    {
        const std::size_t fixed = std::max<std::size_t>(fixed_part(all[chunk.at]), 4);
        return parts(chunk.at + fixed, std::min(chunk.at + chunk.length, all.size()));
    }

    void insert(std::size_t at, const octets &what)
    {
        at = std::min(at, all.size());
        all.insert(all.begin() + static_cast<long>(at), what.begin(), what.end());
    }
    [[nodiscard]] octets copy(const part &p) const
    {
        const std::size_t end = std::min(p.at + padded(p.length), all.size());
        return {all.begin() + static_cast<long>(p.at), all.begin() + static_cast<long>(end)};
    }
    void remove(const part &p)
    {
        const std::size_t end = std::min(p.at + padded(p.length), all.size());
        all.erase(all.begin() + static_cast<long>(p.at), all.begin() + static_cast<long>(end));
    }

    // Lengths and checksums that fit what is there.
    void repair(bool crc = true)
    {
        const std::size_t s = start();
        if (v6()) {
            set16(all, 4, all.size() - 40);
        } else if (all.size() >= 20) {
            set16(all, 2, all.size());
            set16(all, 10, 0);
            std::uint32_t sum = 0;
            for (std::size_t i = 0; i + 1 < (all[0] & 15U) * 4U; i += 2)
                sum += get16(all, i);
            sum = (sum >> 16) + (sum & 0xffff);
            set16(all, 10, ~(sum + (sum >> 16)) & 0xffff);
        }
        if (!crc || s >= all.size())
            return;
        std::fill_n(all.begin() + static_cast<long>(s) + 8, 4, std::uint8_t{0});
        const std::uint32_t sum = sctp::crc32c(std::span(all).subspan(s));
        for (std::size_t i = 0; i < 4; i++)
            all[s + 8 + i] = static_cast<std::uint8_t>(sum >> (8 * i));
    }

  private:
    // What comes before the parameters of a chunk of this type; 0 if it has none.
    static std::size_t fixed_part(std::uint8_t type)
    {
        switch (type) {
        case sctp::init_chunk:
        case sctp::init_ack_chunk:
            return 20;
        case sctp::asconf_chunk:
        case sctp::asconf_ack_chunk:
            return 8;
        case sctp::reconf_chunk:
        case sctp::abort_chunk:
        case sctp::error_chunk:
            return 4;
        default:
            return 0;
        }
    }

    [[nodiscard]] std::vector<part> parts(std::size_t at, std::size_t end) const
    {
        std::vector<part> result;
        while (at + 4 <= end) {
            const std::size_t length = get16(all, at + 2);
            if (length < 4)
                break;
            result.push_back({at, length});
            at += padded(length);
        }
        return result;
    }
};

inline octets some_octets(choices &c, std::uint32_t most)
{
    octets result(c.below(most + 1));
    std::uint32_t seed = c.number();
    for (std::uint8_t &b : result)
        b = static_cast<std::uint8_t>((seed = seed * 1664525 + 1013904223) >> 24);
    return result;
}

// A parameter, of a kind that SCTP knows or not.
inline octets any_parameter(choices &c)
{
    octets value;
    const std::size_t type =
        c.one_of<std::size_t>({5, 6, 7, 9, 11, 12, 13, 0x8000, 0x8002, 0x8003, 0x8004, 0x8008,
                               0xc000, 0xc001, 0xc002, 0xc004, 0xc006, c.number() & 0xffff});
    if (type == 5) {
        sctp::put32(value, c.one_of<std::uint32_t>({0x0a080001, 0x0a090001, 0x0a090002, 0x7f000001,
                                                    0xe0000001, 0xffffffff, 0, c.number()}));
    } else if (type == 6) {
        value.resize(16);
        value[0] = c.one_of<std::uint8_t>({0xfd, 0xfe, 0xff, 0});
        value[1] = c.one_of<std::uint8_t>({0x09, 0x80, 0x02, 0});
        value[15] = static_cast<std::uint8_t>(c.below(4));
    } else if (type == 0xc001 || type == 0xc002 || type == 0xc004) {
        sctp::put32(value, c.number()); // and the address that ASCONF is about
        const octets inner = sctp::parameter(5, {10, 9, 0, static_cast<std::uint8_t>(c.below(9))});
        value.insert(value.end(), inner.begin(), inner.end());
    } else if (type == 0xc006) {
        sctp::put32(value, c.chance(1, 2) ? 0x42554e44 : c.number());
    } else {
        value = some_octets(c, 40);
    }
    return sctp::parameter(type, value);
}

// A chunk of any type, with a value that may make sense.
inline octets any_chunk(choices &c)
{
    const std::uint8_t type = c.one_of<std::uint8_t>({sctp::data_chunk,
                                                      sctp::init_chunk,
                                                      sctp::init_ack_chunk,
                                                      sctp::sack_chunk,
                                                      4,
                                                      5,
                                                      sctp::abort_chunk,
                                                      sctp::shutdown_chunk,
                                                      sctp::shutdown_ack_chunk,
                                                      sctp::error_chunk,
                                                      sctp::cookie_echo_chunk,
                                                      sctp::cookie_ack_chunk,
                                                      12,
                                                      13,
                                                      sctp::shutdown_complete_chunk,
                                                      sctp::auth_chunk,
                                                      0x40,
                                                      sctp::asconf_ack_chunk,
                                                      sctp::reconf_chunk,
                                                      sctp::forward_tsn_chunk,
                                                      sctp::asconf_chunk,
                                                      0xc2,
                                                      static_cast<std::uint8_t>(c.below(256))});
    octets value;
    switch (type) {
    case sctp::init_chunk:
    case sctp::init_ack_chunk:
        for (int i = 0; i < 2; i++)
            sctp::put32(value, c.chance(1, 8) ? c.number() : 65536);
        sctp::put32(value, c.chance(1, 8) ? c.number() : 0x000a000a);
        sctp::put32(value, c.number());
        for (std::uint32_t n = c.below(4); n > 0; n--) {
            const octets one = any_parameter(c);
            value.insert(value.end(), one.begin(), one.end());
        }
        break;
    case sctp::abort_chunk:
    case sctp::error_chunk:
        if (c.chance(3, 4))
            value = sctp::parameter(1 + c.below(13), some_octets(c, 12));
        break;
    case sctp::asconf_chunk:
    case sctp::asconf_ack_chunk:
    case sctp::reconf_chunk: {
        const std::uint32_t serial = c.number();
        if (type != sctp::reconf_chunk) // which has none
            sctp::put32(value, serial);
        for (std::uint32_t n = 1 + c.below(2); n > 0; n--) {
            const octets one = any_parameter(c);
            value.insert(value.end(), one.begin(), one.end());
        }
        break;
    }
    default:
        value = some_octets(c, 60);
        break;
    }
    octets result = sctp::chunk(type, value);
    result[1] = static_cast<std::uint8_t>(c.chance(1, 2) ? c.below(16) : 3);
    return result;
}

// An ICMP error of some kind that quotes the packet, as its receiver or a router would send it.
inline datagram icmp_error(choices &c, const datagram &quoted)
{
    datagram result;
    const bool v6 = quoted.v6();
    octets &all = result.all;
    all.assign(quoted.all.begin(), quoted.all.begin() + (v6 ? 40 : 20));
    const std::size_t size = v6 ? 16 : 4, from = v6 ? 8 : 12;
    for (std::size_t i = 0; i < size; i++)
        std::swap(all[from + i], all[from + size + i]);
    if (v6)
        all[6] = IPPROTO_ICMPV6;
    else {
        all[0] = 0x45;
        all[9] = IPPROTO_ICMP;
    }
    octets message{static_cast<std::uint8_t>(v6 ? 1 + c.below(4) : c.one_of({3, 11, 12, 5, 4})),
                   static_cast<std::uint8_t>(c.below(16)), 0, 0};
    sctp::put32(message, c.one_of<std::uint32_t>({0, 600, 68, 1280, c.number()}));
    const std::size_t most = c.chance(1, 4) ? c.below(60) : 200;
    message.insert(message.end(), quoted.all.begin(),
                   quoted.all.begin() + static_cast<long>(std::min(most, quoted.all.size())));
    message.resize((message.size() + 1) / 2 * 2);
    std::uint32_t sum = 0;
    if (v6) {
        for (std::size_t i = 8; i < 40; i += 2)
            sum += get16(all, i);
        sum += static_cast<std::uint32_t>(message.size()) + IPPROTO_ICMPV6;
    }
    for (std::size_t i = 0; i < message.size(); i += 2)
        sum += get16(message, i);
    while (sum >> 16 != 0)
        sum = (sum >> 16) + (sum & 0xffff);
    set16(message, 2, ~sum & 0xffff);
    all.insert(all.end(), message.begin(), message.end());
    result.repair();
    return result;
}

} // namespace fuzz
