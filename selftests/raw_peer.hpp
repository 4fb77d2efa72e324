// SPDX-License-Identifier: GPL-2.0
// A host's SCTP made of raw packets, whose answers a test chooses.
#pragma once

#include "packet.hpp"
#include "routed.hpp"

#include <netinet/ip.h>

namespace sctp {

struct packet {
    address from, to; // with their ports
    std::uint32_t tag = 0;
    std::vector<std::uint8_t> chunks;

    [[nodiscard]] std::uint8_t type() const { return chunks.at(0); }
    [[nodiscard]] std::uint32_t word(std::size_t at) const
    {
        std::uint32_t value = 0;
        std::memcpy(&value, &chunks.at(at), sizeof(value));
        return ntohl(value);
    }
    // A parameter's value, of an INIT or an INIT ACK.
    [[nodiscard]] std::vector<std::uint8_t> parameter(std::uint32_t type) const
    {
        for (std::size_t at = 20;;) {
            const std::size_t length = word(at) & 0xffff;
            if (word(at) >> 16 == type)
                return {chunks.begin() + static_cast<long>(at) + 4,
                        chunks.begin() + static_cast<long>(at + length)};
            at += (length + 3) / 4 * 4;
        }
    }
};

inline constexpr std::size_t state_cookie = 7, random_numbers = 0x8002, chunk_list = 0x8003,
                             hmac_algorithms = 0x8004, supported_extensions = 0x8008,
                             partial_reliability = 0xc000;

// What goes into an INIT ACK; the defaults are a good one.
struct init_ack {
    std::uint32_t tag = 0x01020304;
    std::uint32_t window = 65536;
    std::uint16_t streams = 10;
    bool cookie = true;
    std::size_t cut = 0; // bytes that the length promises and that aren't there
    addresses listed{};
    std::vector<std::vector<std::uint8_t>> more{}; // parameters

    [[nodiscard]] std::vector<std::uint8_t> chunk(std::uint8_t type = init_ack_chunk) const
    {
        std::vector<std::uint8_t> value;
        put32(value, tag);
        put32(value, window);
        put16(value, streams);
        put16(value, streams);
        put32(value, 1000);
        for (const address &a : listed) {
            put16(value, 5);
            put16(value, 8);
            put32(value, ntohl(inet_addr(a.to_string().c_str())));
        }
        for (const auto &one : more)
            value.insert(value.end(), one.begin(), one.end());
        if (cookie) {
            const auto one = parameter(state_cookie, std::vector<std::uint8_t>(8));
            value.insert(value.end(), one.begin(), one.end());
        }
        auto result = sctp::chunk(type, value);
        result.resize(result.size() - cut);
        return result;
    }
};

// A host's SCTP by raw packets. The kernel's own there is kept from answering.
class raw_peer {
  public:
    raw_peer(const net::netns &where, const net::netns &home, std::uint16_t port)
        : port_(port),
          silence_(where, home, "meta mark != 1 sctp chunk abort exists drop", "output")
    {
        where.in(home, [&] {
            socket_ = fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_SCTP));
            const int on = 1;
            if (socket_ < 0 || setsockopt(socket_, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) < 0 ||
                setsockopt(socket_, SOL_SOCKET, SO_MARK, &on, sizeof(on)) < 0)
                net::fail("raw socket");
        });
    }

    // The next packet to its port whose first chunk is of this type, if there is one.
    std::optional<packet> hear(std::uint8_t type, int milliseconds)
    {
        for (;;) {
            if (!net::wait_for(socket_, POLLIN, milliseconds))
                return {};
            std::array<std::uint8_t, 4096> room{};
            const ssize_t n = recv(socket_, room.data(), room.size(), 0);
            iphdr ip{};
            if (n < static_cast<ssize_t>(sizeof(ip) + 16))
                continue;
            std::memcpy(&ip, room.data(), sizeof(ip));
            const std::size_t at = ip.ihl * 4U;
            const auto text = [](in_addr_t a) { return std::string(inet_ntoa({a})); };
            const auto port = [&](std::size_t i) {
                return static_cast<std::uint16_t>(room.at(i) << 8 | room.at(i + 1));
            };
            packet p{addr(text(ip.saddr), port(at)), addr(text(ip.daddr), port(at + 2)), 0, {}};
            p.tag = static_cast<std::uint32_t>(port(at + 4)) << 16 | port(at + 6);
            p.chunks.assign(room.begin() + static_cast<long>(at) + 12, room.begin() + n);
            if (p.to.port() != port_)
                continue; // of an association that a test before has left
            heard[p.type()]++;
            if (p.type() == type)
                return p;
        }
    }

    bool hears(std::uint8_t type, int milliseconds) { return hear(type, milliseconds).has_value(); }
    packet next(std::uint8_t type, int milliseconds = 5000)
    {
        const auto result = hear(type, milliseconds);
        if (!result)
            throw std::runtime_error("no chunk of type " + std::to_string(type));
        return *result;
    }

    void send(const packet &p)
    {
        std::vector<std::uint8_t> segment;
        put16(segment, p.from.port());
        put16(segment, p.to.port());
        put32(segment, p.tag);
        put32(segment, 0);
        segment.insert(segment.end(), p.chunks.begin(), p.chunks.end());
        const std::uint32_t crc = crc32c(segment);
        for (int i = 0; i < 4; i++)
            segment.at(8 + static_cast<std::size_t>(i)) = static_cast<std::uint8_t>(crc >> (8 * i));

        iphdr ip{};
        ip.version = 4;
        ip.ihl = 5;
        ip.ttl = 64;
        ip.protocol = IPPROTO_SCTP;
        ip.saddr = inet_addr(p.from.to_string().c_str());
        ip.daddr = inet_addr(p.to.to_string().c_str());
        std::vector<std::uint8_t> all(sizeof(ip));
        std::memcpy(all.data(), &ip, sizeof(ip));
        all.insert(all.end(), segment.begin(), segment.end());
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = ip.daddr;
        if (sendto(socket_, all.data(), all.size(), 0, reinterpret_cast<sockaddr *>(&to),
                   sizeof(to)) < 0)
            net::fail("raw send");
    }

    // Replies to a packet, from where it went to.
    void reply(const packet &to, std::uint32_t tag, const std::vector<std::uint8_t> &chunks)
    {
        send({to.to, to.from, tag, chunks});
    }
    void answer(const packet &init, const init_ack &with = {})
    {
        reply(init, init.word(4), with.chunk());
    }

    std::map<std::uint8_t, int> heard; // how many packets of each first chunk

  private:
    std::uint16_t port_;
    filter silence_;
    fd socket_;
};

} // namespace sctp
