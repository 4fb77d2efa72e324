// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What a netcat does once it is connected: standard input to the socket, the socket to standard
 * output, each direction until its own end.
 */
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace tool {

struct relay_options {
    bool input = true;                 ///< read standard input; else it counts as empty
    bool shutdown = true;              ///< tell the peer of its end by shutdown(2)
    std::chrono::milliseconds idle{0}; ///< give up if nothing moves for so long; 0: never
    /** Called at least every 100 ms while it says that it has something to wait for. */
    std::function<bool()> watch;
};

struct relayed {
    std::uint64_t sent = 0, received = 0; ///< bytes
    std::uint64_t lost = 0;               ///< bytes of standard input that the peer didn't take
    bool idle = false;                    ///< ended for nothing moved
};

/**
 * Relays until both directions have ended, or the connection has.
 * @param fd a connected stream socket; becomes non-blocking.
 * @throw std::system_error for an error of the connection, or of standard input or output.
 */
relayed relay(int fd, const relay_options &options);

} // namespace tool
