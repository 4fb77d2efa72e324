// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Output for people, see text.hpp.
 */

#include "text.hpp"

#include <bundle/bundle.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <sstream>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tool {

bool colourful(int fd)
{
    const char *no_colour = std::getenv("NO_COLOR");
    return ::isatty(fd) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

std::string paint(const std::string &text, style how, bool colour)
{
    constexpr const char *codes[] = {"", "\033[1m", "\033[32m", "\033[31m", "\033[2m"};
    if (!colour || how == style::plain || text.empty())
        return text;
    return codes[static_cast<int>(how)] + text + "\033[m";
}

void table::print(std::ostream &out, bool colour, std::size_t indent) const
{
    std::vector<std::size_t> widths;
    for (const auto &row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); i++)
            widths[i] = std::max(widths[i], row[i].text.size());
    }
    for (const auto &row : rows_) {
        std::size_t owed = indent; // spaces, written only if something follows
        for (std::size_t i = 0; i < row.size(); i++) {
            if (!row[i].text.empty()) {
                out << std::string(owed, ' ') << paint(row[i].text, row[i].how, colour);
                owed = 0;
            }
            owed += widths[i] - row[i].text.size() + 2;
        }
        out << '\n';
    }
}

std::string family_name(int family)
{
    switch (family) {
    case AF_BUNDLE:
        return "bundle";
    case AF_INET:
        return "IPv4";
    case AF_INET6:
        return "IPv6";
    default:
        return std::to_string(family);
    }
}

std::string type_name(int type)
{
    switch (type) {
    case SOCK_STREAM:
        return "stream";
    case SOCK_DGRAM:
        return "datagram";
    case SOCK_SEQPACKET:
        return "seqpacket";
    case SOCK_RAW:
        return "raw";
    default:
        return std::to_string(type);
    }
}

std::string protocol_name(int protocol)
{
    switch (protocol) {
    case IPPROTO_SCTP:
        return "sctp";
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    default:
        return std::to_string(protocol);
    }
}

std::string error_name(int error)
{
    const char *name = ::strerrorname_np(error);
    return name != nullptr ? name : std::to_string(error);
}

std::string duration(std::chrono::steady_clock::duration time)
{
    std::ostringstream text;
    const double s = seconds(time);
    if (s < 1)
        text << std::fixed << std::setprecision(1) << s * 1e3 << " ms";
    else
        text << std::fixed << std::setprecision(2) << s << " s";
    return text.str();
}

std::string counted(std::uint64_t number, const std::string &noun)
{
    return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

} // namespace tool
