// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What the kernel says of an association by its socket: addresses, paths, and what became of the
 * addresses that a connect(2) asked for.
 */
#pragma once

#include <bundle/bundle.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <linux/sctp.h>

namespace tool {

/** A path of an association, by the peer's address. */
struct path {
    bundle::address peer;
    int state = 0; ///< as in enum sctp_spinfo_state
    bool primary = false;
    std::optional<std::chrono::milliseconds> rtt; ///< smoothed; nothing if unknown
    std::optional<std::chrono::milliseconds> rto; ///< until a loss is assumed
    bundle::address spelled; ///< the peer's address as the socket's family has it
};

/** "active", "unconfirmed", "failing", "inactive" or "unknown", or the number. */
[[nodiscard]] std::string path_state_name(int state);

/**
 * The paths of an SCTP socket's association.
 * @param id the association's, on a one-to-many socket.
 * @return none if there is no association any more.
 */
[[nodiscard]] std::vector<path> paths_of(int fd, ::sctp_assoc_t id = 0);

/** The same for the local addresses. */
[[nodiscard]] std::vector<bundle::address> local_addresses_of(int fd, ::sctp_assoc_t id = 0);

/**
 * Sends a heartbeat on a path of a one-to-one socket. If one has been sent that way before and
 * isn't acknowledged yet, the kernel takes it for lost, and the path is no longer SCTP_ACTIVE.
 */
void send_heartbeat(int fd, const path &to);

/**
 * Whether the peer of a stream socket takes nothing more, for all that SCTP says: its association
 * is ending, or has ended. Of other sockets it isn't known, and false.
 */
[[nodiscard]] bool peer_has_closed(int fd);

/** What became of an address that a connect(2) with a bundle asked for. */
struct fate {
    bundle::address peer;
    int state = BUNDLE_PATH_TRYING; ///< as in enum bundle_path_state
    int error = 0;                  ///< errno's value that ended it, or 0
    /**
     * Whether a path has answered. A peer's address that the caller has named counts as confirmed
     * (RFC 9260 section 5.4) before anything was heard from there.
     */
    std::optional<bool> heard;

    /** Whether nothing more is to be expected. */
    [[nodiscard]] bool settled() const noexcept
    {
        return state != BUNDLE_PATH_TRYING && (state != BUNDLE_PATH_CONFIRMED || heard.has_value());
    }
    /** Whether it is of use. */
    [[nodiscard]] bool good() const noexcept
    {
        return state == BUNDLE_PATH_WON || (state == BUNDLE_PATH_CONFIRMED && heard == true);
    }
    /** For JSON: "won", "answered", "refused". */
    [[nodiscard]] std::string name() const;
    /** For people: "answered first", "refused". */
    [[nodiscard]] std::string text() const;

    friend bool operator==(const fate &, const fate &) = default;
};

/** In the order asked; none if the socket isn't one of AF_BUNDLE, or has asked for nothing. */
[[nodiscard]] std::vector<fate> fates_of(int fd);

} // namespace tool
