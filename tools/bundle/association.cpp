// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Associations by socket options, see association.hpp.
 */

#include "association.hpp"

#include <array>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>

namespace tool {

namespace {

/** A list of addresses in the form of SCTP_GET_PEER_ADDRS: as the socket's family has them. */
std::vector<bundle::address> addresses_of(int fd, int option, ::sctp_assoc_t id)
{
    // SCTP has no limit on an association's addresses, but an INIT has only 64 KiB for them.
    std::vector<std::byte> room(sizeof(::sctp_getaddrs) + 65536);
    std::memcpy(room.data(), &id, sizeof(id));
    auto length = static_cast<socklen_t>(room.size());
    std::vector<bundle::address> result;
    if (::getsockopt(fd, IPPROTO_SCTP, option, room.data(), &length) < 0)
        return result;
    ::sctp_getaddrs header;
    std::memcpy(&header, room.data(), sizeof(header));
    auto rest = std::span<const std::byte>(room).subspan(sizeof(header));
    for (std::uint32_t i = 0; i < header.addr_num; i++) {
        const auto a = bundle::address::from(rest);
        if (!a)
            break;
        result.push_back(*a);
        rest = rest.subspan(a->size());
    }
    return result;
}

std::optional<::sctp_status> status_of(int fd, ::sctp_assoc_t id)
{
    ::sctp_status status{};
    status.sstat_assoc_id = id;
    socklen_t length = sizeof(status);
    if (::getsockopt(fd, IPPROTO_SCTP, SCTP_STATUS, &status, &length) < 0)
        return std::nullopt;
    return status;
}

/** As it is usually written: IPv4 unmapped, and a scope only where one is needed. */
bundle::address usual(const bundle::address &a)
{
    return a.to_string().starts_with("fe80:") ? a : a.plain().with_scope_id(0);
}

bundle::address address_in(const ::sockaddr_storage &storage)
{
    return usual(
        bundle::address::from(std::as_bytes(std::span(&storage, 1))).value_or(bundle::address()));
}

} // namespace

std::string path_state_name(int state)
{
    switch (state) {
    case SCTP_INACTIVE:
        return "inactive";
    case SCTP_PF:
        return "failing";
    case SCTP_ACTIVE:
        return "active";
    case SCTP_UNCONFIRMED:
        return "unconfirmed";
    case SCTP_UNKNOWN:
        return "unknown";
    default:
        return std::to_string(state);
    }
}

std::vector<path> paths_of(int fd, ::sctp_assoc_t id)
{
    std::vector<path> result;
    const auto status = status_of(fd, id);
    if (!status)
        return result;
    // Members of packed structures have no references.
    const ::sockaddr_storage primary = status->sstat_primary.spinfo_address;
    for (const bundle::address &a : addresses_of(fd, SCTP_GET_PEER_ADDRS, id)) {
        ::sctp_paddrinfo info{};
        ::sockaddr_storage storage{};
        a.store(std::as_writable_bytes(std::span(&storage, 1)));
        info.spinfo_assoc_id = id;
        info.spinfo_address = storage;
        socklen_t length = sizeof(info);
        path p{usual(a), SCTP_UNKNOWN, usual(a) == address_in(primary), {}, {}, a};
        if (::getsockopt(fd, IPPROTO_SCTP, SCTP_GET_PEER_ADDR_INFO, &info, &length) == 0) {
            p.state = info.spinfo_state;
            if (info.spinfo_srtt != 0)
                p.rtt = std::chrono::milliseconds(info.spinfo_srtt);
            p.rto = std::chrono::milliseconds(info.spinfo_rto);
        }
        result.push_back(p);
    }
    return result;
}

std::vector<bundle::address> local_addresses_of(int fd, ::sctp_assoc_t id)
{
    std::vector<bundle::address> result;
    for (const bundle::address &a : addresses_of(fd, SCTP_GET_LOCAL_ADDRS, id))
        result.push_back(usual(a));
    return result;
}

void send_heartbeat(int fd, const path &to)
{
    ::sctp_paddrparams what{};
    ::sockaddr_storage storage{};
    to.spelled.store(std::as_writable_bytes(std::span(&storage, 1)));
    what.spp_address = storage;
    what.spp_flags = SPP_HB_DEMAND;
    ::setsockopt(fd, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &what, sizeof(what));
}

bool peer_has_closed(int fd)
{
    const auto status = status_of(fd, 0);
    return status ? status->sstat_state != SCTP_ESTABLISHED : errno == EINVAL;
}

std::string fate::name() const
{
    switch (state) {
    case BUNDLE_PATH_TRYING:
        return "trying";
    case BUNDLE_PATH_WON:
        return "won";
    case BUNDLE_PATH_CONFIRMED:
        return !heard ? "path" : *heard ? "answered" : "silent";
    case BUNDLE_PATH_REFUSED:
        return "refused";
    case BUNDLE_PATH_UNREACHABLE:
        return "unreachable";
    case BUNDLE_PATH_TIMED_OUT:
        return "silent";
    case BUNDLE_PATH_DROPPED:
        return "dropped";
    default:
        return std::to_string(state);
    }
}

std::string fate::text() const
{
    switch (state) {
    case BUNDLE_PATH_TRYING:
        return "no answer";
    case BUNDLE_PATH_WON:
        return "answered first";
    case BUNDLE_PATH_CONFIRMED:
        return !heard ? "a path, nothing heard" : *heard ? "answered" : "silent";
    case BUNDLE_PATH_REFUSED:
        return "refused";
    case BUNDLE_PATH_UNREACHABLE:
        return error == ENETUNREACH || error == EHOSTUNREACH || error == 0
                   ? "no route"
                   : std::string("no route: ") + std::strerror(error);
    case BUNDLE_PATH_TIMED_OUT:
        return "silent";
    case BUNDLE_PATH_DROPPED:
        return "not an address of the peer";
    default:
        return std::to_string(state);
    }
}

std::vector<fate> fates_of(int fd)
{
    std::array<::bundle_path, bundle::max_addresses> room{};
    socklen_t length = sizeof(room);
    std::vector<fate> result;
    if (::getsockopt(fd, SOL_BUNDLE, BUNDLE_PATHS, room.data(), &length) < 0)
        return result;
    for (const ::bundle_path &p : std::span(room).first(length / sizeof(::bundle_path)))
        if (const auto a = bundle::address::from(std::as_bytes(std::span(p.bp_addr))))
            result.push_back({*a, p.bp_state, p.bp_error, {}});
    return result;
}

} // namespace tool
