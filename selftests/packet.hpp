// SPDX-License-Identifier: GPL-2.0
// What SCTP packets are made of (RFC 9260, section 3), for tests that make their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sctp {

inline constexpr std::uint8_t data_chunk = 0, init_chunk = 1, init_ack_chunk = 2, sack_chunk = 3,
                              heartbeat_chunk = 4, heartbeat_ack_chunk = 5, abort_chunk = 6,
                              shutdown_chunk = 7, shutdown_ack_chunk = 8, error_chunk = 9,
                              cookie_echo_chunk = 10, cookie_ack_chunk = 11,
                              shutdown_complete_chunk = 14, auth_chunk = 15,
                              asconf_ack_chunk = 0x80, reconf_chunk = 0x82,
                              forward_tsn_chunk = 0xc0, asconf_chunk = 0xc1;

// CRC32c, RFC 9260, appendix A.
inline std::uint32_t crc32c(std::span<const std::uint8_t> data)
{
    std::uint32_t crc = ~0U;
    for (const std::uint8_t byte : data) {
        crc ^= byte;
        for (int i = 0; i < 8; i++)
            crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
    }
    return ~crc;
}

inline void put16(std::vector<std::uint8_t> &v, std::size_t value)
{
    v.push_back(static_cast<std::uint8_t>(value >> 8));
    v.push_back(static_cast<std::uint8_t>(value));
}
inline void put32(std::vector<std::uint8_t> &v, std::uint32_t value)
{
    put16(v, value >> 16);
    put16(v, value & 0xffff);
}

inline std::vector<std::uint8_t> chunk(std::uint8_t type, const std::vector<std::uint8_t> &value)
{
    std::vector<std::uint8_t> result{type, 0};
    put16(result, 4 + value.size());
    result.insert(result.end(), value.begin(), value.end());
    result.resize((result.size() + 3) / 4 * 4);
    return result;
}

// A parameter of a chunk, or a cause of an ERROR or an ABORT.
inline std::vector<std::uint8_t> parameter(std::size_t type,
                                           const std::vector<std::uint8_t> &value = {})
{
    std::vector<std::uint8_t> result;
    put16(result, type);
    put16(result, 4 + value.size());
    result.insert(result.end(), value.begin(), value.end());
    result.resize((result.size() + 3) / 4 * 4);
    return result;
}

} // namespace sctp
