// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * A bundle as a value: built from addresses, handed to socket calls, compared and printed. Include
 * this one; it brings the rest of the library.
 *
 *     bundle::socket_address server{*bundle::address::parse("192.0.2.1", 80),
 *                                   *bundle::address::parse("2001:db8::1", 80)};
 *     connect(fd, server.data(), server.size());
 */
#pragma once

#include "layout.hpp"

#include <initializer_list>
#include <vector>

namespace bundle {

/** Prints the members in the paper's notation (its table 1), hosts in braces of their own. */
template <typename Members>
[[nodiscard]] std::string to_string(const Members &members)
{
    bool several = false;
    for (const member &m : members)
        several |= m.host != 0;
    std::string text = several ? "{{" : "{";
    std::optional<std::uint16_t> host;
    for (const member &m : members) {
        if (host)
            text += several && m.host != *host ? "},{" : ",";
        host = m.host;
        text += m.addr.to_string();
    }
    return text + (several ? "}}" : "}");
}

/** Whether both ranges hold the same addresses, in whatever order and of whichever hosts. */
template <typename A, typename B>
[[nodiscard]] bool same_addresses(const A &a, const B &b)
{
    const auto sorted = [](const auto &members) {
        std::vector<address> result;
        for (const member &m : members)
            result.push_back(m.addr);
        std::sort(result.begin(), result.end());
        result.erase(std::unique(result.begin(), result.end()), result.end());
        return result;
    };
    return sorted(a) == sorted(b);
}

/**
 * A struct sockaddr_bundle, always well-formed once it has an address: the members' ports are kept
 * equal (the first one's), hosts count up from 0 in the order in which they are added, and padding
 * is zero. Holds its 2056 bytes itself; nothing is allocated.
 */
class socket_address {
  public:
    /** No addresses yet: no kernel takes it. */
    socket_address() noexcept { store_header(); }

    /** One host's addresses. Those beyond max_addresses are left out. */
    socket_address(std::initializer_list<address> addresses) noexcept : socket_address()
    {
        for (const address &a : addresses)
            add(a);
    }

    /** One host's addresses, of any range. Those beyond max_addresses are left out. */
    template <typename Addresses>
    requires std::same_as<std::iter_value_t<decltype(std::begin(std::declval<Addresses>()))>,
                          address>
    explicit socket_address(const Addresses &addresses) noexcept : socket_address()
    {
        for (const address &a : addresses)
            add(a);
    }

    /**
     * Adds an address to the last host. The first one's port is everyone's.
     * @return false, and nothing done, if max_addresses are there already.
     */
    bool add(const address &a) noexcept { return append(a, host_); }

    /** Adds the first address of another host, to be tried after those before (section 5.5). */
    bool add_host(const address &a) noexcept
    {
        return append(a, static_cast<std::uint16_t>(count() == 0 ? 0 : host_ + 1));
    }

    /** For bind(2), connect(2) and their like, with size(). */
    [[nodiscard]] const ::sockaddr *data() const noexcept
    {
        return reinterpret_cast<const ::sockaddr *>(bytes_.data());
    }
    /** sb_len: bytes in use. */
    [[nodiscard]] ::socklen_t size() const noexcept { return length_; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept
    {
        return std::span(bytes_).first(length_);
    }
    /** The number of addresses. */
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    /** Everyone's port, in host byte order; 0 without an address. */
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    [[nodiscard]] view::iterator begin() const noexcept { return view(bytes()).begin(); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

    /** The same members in the same order, of the same hosts. */
    friend bool operator==(const socket_address &a, const socket_address &b) noexcept
    {
        return std::ranges::equal(a.bytes(), b.bytes());
    }

  private:
    bool append(const address &a, std::uint16_t host) noexcept
    {
        if (count_ == max_addresses)
            return false;
        if (count_ == 0)
            port_ = a.port();
        const ::sockaddr_bundle_entry prefix{static_cast<std::uint16_t>(a.size()), host};
        const auto entry = std::span(bytes_).subspan(length_, entry_size(a.size()));
        std::memcpy(entry.data(), &prefix, sizeof(prefix));
        a.with_port(port_).store(entry.subspan(sizeof(prefix)));
        length_ = static_cast<std::uint16_t>(length_ + entry.size());
        host_ = host;
        count_++;
        store_header();
        return true;
    }

    void store_header() noexcept
    {
        const ::sockaddr_bundle header{AF_BUNDLE, length_, count_, 0};
        std::memcpy(bytes_.data(), &header, sizeof(header));
    }

    alignas(8) std::array<std::byte, max_length> bytes_{};
    std::uint16_t length_ = sizeof(::sockaddr_bundle);
    std::uint16_t count_ = 0;
    std::uint16_t host_ = 0;
    std::uint16_t port_ = 0;
};

/** As to_string() of the members of a bundle in memory. */
[[nodiscard]] inline std::string to_string(std::span<const std::byte> bytes)
{
    return to_string(view(bytes));
}

} // namespace bundle
