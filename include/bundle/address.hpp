// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * One IPv4 or IPv6 address with its port: a member of a bundle, as a value that can be parsed,
 * compared and printed. The layout of a bundle itself is in layout.hpp.
 */
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace bundle {

/**
 * An IPv4 or IPv6 address, its port, and for IPv6 its scope.
 *
 * Two addresses are equal when they would reach the same endpoint: same family, bytes, port and
 * scope. The IPv6 flow label is no part of an address here, and is written as 0. An IPv4-mapped
 * IPv6 address is kept as it is; plain() turns it into IPv4.
 */
class address {
  public:
    /** 0.0.0.0, port 0. */
    constexpr address() noexcept = default;

    explicit address(const ::sockaddr_in &sin) noexcept : port_(ntohs(sin.sin_port))
    {
        std::memcpy(bytes_.data(), &sin.sin_addr, 4);
    }

    explicit address(const ::sockaddr_in6 &sin6) noexcept
        : family_(AF_INET6), port_(ntohs(sin6.sin6_port)), scope_(sin6.sin6_scope_id)
    {
        std::memcpy(bytes_.data(), &sin6.sin6_addr, 16);
    }

    /**
     * Reads a sockaddr_in or sockaddr_in6 at the start of @p bytes, at any alignment.
     * @return nothing if @p bytes is too short for its family, or if the family is another.
     */
    [[nodiscard]] static std::optional<address> from(std::span<const std::byte> bytes) noexcept
    {
        ::sa_family_t family = AF_UNSPEC;
        if (bytes.size() >= sizeof(family))
            std::memcpy(&family, bytes.data(), sizeof(family));
        if (family == AF_INET && bytes.size() >= sizeof(::sockaddr_in))
            return address(read<::sockaddr_in>(bytes));
        if (family == AF_INET6 && bytes.size() >= sizeof(::sockaddr_in6))
            return address(read<::sockaddr_in6>(bytes));
        return std::nullopt;
    }

    /**
     * Reads a numeric address: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`, `fe80::1%2`.
     * @param port in host byte order.
     * @return nothing if @p text is anything else, or names an interface that isn't there.
     */
    [[nodiscard]] static std::optional<address> parse(std::string_view text, std::uint16_t port = 0)
    {
        address result;
        result.port_ = port;
        const auto percent = text.find('%');
        const std::string host(text.substr(0, percent));
        if (host.size() != std::min(percent, text.size()) || host.find('\0') != host.npos)
            return std::nullopt;
        if (percent == text.npos && ::inet_pton(AF_INET, host.c_str(), result.bytes_.data()) == 1)
            return result;
        if (::inet_pton(AF_INET6, host.c_str(), result.bytes_.data()) != 1)
            return std::nullopt;
        result.family_ = AF_INET6;
        if (percent != text.npos) {
            const std::string zone(text.substr(percent + 1));
            const char *end = zone.data() + zone.size();
            const auto [rest, error] = std::from_chars(zone.data(), end, result.scope_);
            if (error != std::errc() || rest != end)
                result.scope_ = ::if_nametoindex(zone.c_str());
            if (result.scope_ == 0)
                return std::nullopt;
        }
        return result;
    }

    /** AF_INET or AF_INET6. */
    [[nodiscard]] constexpr int family() const noexcept { return family_; }
    [[nodiscard]] constexpr bool is_v4() const noexcept { return family_ == AF_INET; }
    [[nodiscard]] constexpr bool is_v6() const noexcept { return family_ == AF_INET6; }
    /** In host byte order. */
    [[nodiscard]] constexpr std::uint16_t port() const noexcept { return port_; }
    /** The interface's index, or 0; always 0 for IPv4. */
    [[nodiscard]] constexpr std::uint32_t scope_id() const noexcept { return scope_; }

    [[nodiscard]] constexpr address with_port(std::uint16_t port) const noexcept
    {
        address result = *this;
        result.port_ = port;
        return result;
    }

    [[nodiscard]] constexpr address with_scope_id(std::uint32_t scope) const noexcept
    {
        address result = *this;
        result.scope_ = is_v6() ? scope : 0;
        return result;
    }

    [[nodiscard]] constexpr bool is_v4_mapped() const noexcept
    {
        constexpr std::array<std::uint8_t, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        return is_v6() && std::equal(prefix.begin(), prefix.end(), bytes_.begin());
    }

    /** The address as the kernel takes it: IPv4-mapped IPv6 becomes IPv4. */
    [[nodiscard]] constexpr address plain() const noexcept
    {
        if (!is_v4_mapped())
            return *this;
        address result;
        result.port_ = port_;
        std::copy(bytes_.begin() + 12, bytes_.end(), result.bytes_.begin());
        return result;
    }

    /** Bytes of the sockaddr that store() writes: 16 or 28. */
    [[nodiscard]] constexpr std::size_t size() const noexcept
    {
        return is_v4() ? sizeof(::sockaddr_in) : sizeof(::sockaddr_in6);
    }

    /**
     * Writes a sockaddr_in or sockaddr_in6 to the start of @p out, at any alignment.
     * @return the bytes written, or 0 if @p out is shorter than size().
     */
    std::size_t store(std::span<std::byte> out) const noexcept
    {
        if (out.size() < size())
            return 0;
        if (is_v4()) {
            ::sockaddr_in sin{};
            sin.sin_family = AF_INET;
            sin.sin_port = htons(port_);
            std::memcpy(&sin.sin_addr, bytes_.data(), 4);
            std::memcpy(out.data(), &sin, sizeof(sin));
        } else {
            ::sockaddr_in6 sin6{};
            sin6.sin6_family = AF_INET6;
            sin6.sin6_port = htons(port_);
            sin6.sin6_scope_id = scope_;
            std::memcpy(&sin6.sin6_addr, bytes_.data(), 16);
            std::memcpy(out.data(), &sin6, sizeof(sin6));
        }
        return size();
    }

    /** The address without its port; a scope by its interface's name, else by number. */
    [[nodiscard]] std::string to_string() const
    {
        std::array<char, INET6_ADDRSTRLEN> text{};
        ::inet_ntop(family_, bytes_.data(), text.data(), text.size());
        std::string result = text.data();
        if (scope_ != 0) {
            std::array<char, IF_NAMESIZE> name{};
            result += '%';
            result += ::if_indextoname(scope_, name.data()) ? std::string(name.data())
                                                            : std::to_string(scope_);
        }
        return result;
    }

    friend constexpr auto operator<=>(const address &, const address &) noexcept = default;

  private:
    template <typename Sockaddr>
    [[nodiscard]] static Sockaddr read(std::span<const std::byte> bytes) noexcept
    {
        Sockaddr result;
        std::memcpy(&result, bytes.data(), sizeof(result));
        return result;
    }

    ::sa_family_t family_ = AF_INET;
    std::uint16_t port_ = 0;
    std::uint32_t scope_ = 0;
    std::array<std::uint8_t, 16> bytes_{}; // an IPv4 address in the first four, the rest 0
};

} // namespace bundle
