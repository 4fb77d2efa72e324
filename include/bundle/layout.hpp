// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * How a struct sockaddr_bundle lies in memory (section 5.1 of the paper): walking one, and judging
 * one by the rules by which the kernel does. Everything here is safe on any bytes at any alignment.
 */
#pragma once

#include "address.hpp"

#include <cerrno>
#include <iterator>

#include <linux/bundle.h>

namespace bundle {

/** The most addresses that one bundle holds. */
inline constexpr std::size_t max_addresses = BUNDLE_MAX_ADDRS;
/** Bytes of the longest bundle. */
inline constexpr std::size_t max_length = 2056;

static_assert(AF_BUNDLE == 46 && PF_BUNDLE == 46 && SOL_BUNDLE == 288 && SB_MORE == 1);
static_assert(max_addresses == 64 && BUNDLE_MAX_LEN == max_length);
static_assert(sizeof(::sockaddr_bundle) == 8 && alignof(::sockaddr_bundle) == 2);
static_assert(offsetof(::sockaddr_bundle, sb_family) == 0);
static_assert(offsetof(::sockaddr_bundle, sb_len) == 2);
static_assert(offsetof(::sockaddr_bundle, sb_count) == 4);
static_assert(offsetof(::sockaddr_bundle, sb_flags) == 6);
static_assert(sizeof(::sockaddr_bundle_entry) == 4 && alignof(::sockaddr_bundle_entry) == 2);
static_assert(offsetof(::sockaddr_bundle_entry, be_len) == 0);
static_assert(offsetof(::sockaddr_bundle_entry, be_host) == 2);
static_assert(sizeof(::sockaddr_in) == 16 && BUNDLE_ENTRY_SIZE(16) == 24);
static_assert(sizeof(::sockaddr_in6) == 28 && BUNDLE_ENTRY_SIZE(28) == 32);
static_assert(sizeof(::bundle_path) == 32 && offsetof(::bundle_path, bp_addr) == 0);
static_assert(offsetof(::bundle_path, bp_state) == 28 && offsetof(::bundle_path, bp_error) == 30);

/** Bytes of an entry whose address has @p length bytes, padding included. */
[[nodiscard]] constexpr std::size_t entry_size(std::size_t length) noexcept
{
    return BUNDLE_ENTRY_SIZE(length);
}

/** An address of a bundle, and which host it belongs to (section 5.5 of the paper). */
struct member {
    address addr;
    std::uint16_t host = 0;

    friend constexpr auto operator<=>(const member &, const member &) noexcept = default;
};

/**
 * The members of a bundle in memory that belongs to someone else: a forward range of `member`.
 *
 * Never reads outside the bytes given. It ends at the last entry, or before the first that isn't
 * whole or holds another family; validate() tells which.
 */
class view {
  public:
    class iterator {
      public:
        using value_type = member;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::forward_iterator_tag;

        iterator() noexcept = default;
        iterator(std::span<const std::byte> entries, std::size_t count) noexcept
            : rest_(entries), left_(count)
        {
            load();
        }

        [[nodiscard]] const member &operator*() const noexcept { return current_; }
        [[nodiscard]] const member *operator->() const noexcept { return &current_; }

        iterator &operator++() noexcept
        {
            rest_ = rest_.subspan(std::min(entry_size(current_.addr.size()), rest_.size()));
            left_--;
            load();
            return *this;
        }

        iterator operator++(int) noexcept
        {
            iterator before = *this;
            ++*this;
            return before;
        }

        friend bool operator==(const iterator &a, const iterator &b) noexcept
        {
            return a.left_ == b.left_ && (a.left_ == 0 || a.rest_.data() == b.rest_.data());
        }
        friend bool operator==(const iterator &i, std::default_sentinel_t) noexcept
        {
            return i.left_ == 0;
        }

      private:
        void load() noexcept
        {
            ::sockaddr_bundle_entry prefix{};
            if (left_ > 0 && rest_.size() >= sizeof(prefix)) {
                std::memcpy(&prefix, rest_.data(), sizeof(prefix));
                const auto tail = rest_.subspan(sizeof(prefix));
                if (prefix.be_len <= tail.size()) {
                    const auto addr = address::from(tail.first(prefix.be_len));
                    if (addr && addr->size() == prefix.be_len) {
                        current_ = {*addr, prefix.be_host};
                        return;
                    }
                }
            }
            left_ = 0;
        }

        std::span<const std::byte> rest_;
        std::size_t left_ = 0;
        member current_;
    };

    /** @param bytes what was received: a buffer cut to the length that the kernel returned. */
    explicit view(std::span<const std::byte> bytes) noexcept
    {
        if (bytes.size() < sizeof(header_))
            return;
        ::sockaddr_bundle header;
        std::memcpy(&header, bytes.data(), sizeof(header));
        if (header.sb_family != AF_BUNDLE || header.sb_len < sizeof(header))
            return;
        header_ = header;
        bytes_ = bytes.first(std::min<std::size_t>(bytes.size(), header.sb_len));
    }

    [[nodiscard]] iterator begin() const noexcept
    {
        return bytes_.empty() ? iterator() : iterator(bytes_.subspan(sizeof(header_)), count());
    }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

    /** The number of entries that the header claims; 0 if there is no header. */
    [[nodiscard]] std::size_t count() const noexcept { return header_.sb_count; }
    /** The length that the header claims, in bytes; 0 if there is no header. */
    [[nodiscard]] std::size_t length() const noexcept { return header_.sb_len; }
    /** Whether the kernel left entries out for want of room. */
    [[nodiscard]] bool more() const noexcept { return (header_.sb_flags & SB_MORE) != 0; }
    /** sb_flags as they are. */
    [[nodiscard]] std::uint16_t flags() const noexcept { return header_.sb_flags; }

  private:
    std::span<const std::byte> bytes_;
    ::sockaddr_bundle header_{};
};

/** Which rule of the layout a bundle breaks. */
enum class fault {
    none,
    too_short,     ///< shorter than the header, or than sb_len
    not_a_bundle,  ///< sb_family isn't AF_BUNDLE
    bad_length,    ///< sb_len isn't a multiple of 8, or is outside 8 .. max_length
    bad_flags,     ///< sb_flags has bits that this direction doesn't know
    bad_count,     ///< sb_count is 0 or above max_addresses
    entry_overrun, ///< an entry reaches beyond sb_len
    entry_family,  ///< an address that is neither IPv4 nor IPv6
    entry_length,  ///< be_len doesn't match the family inside
    entry_host,    ///< be_host doesn't count up from 0 in order
    port_mismatch, ///< two members have different ports
    excess,        ///< sb_len reaches beyond the last entry
};

/** @return a short text, for messages. */
[[nodiscard]] constexpr std::string_view to_string(fault f) noexcept
{
    constexpr std::string_view text[] = {
        "well-formed",
        "shorter than its header or sb_len",
        "sb_family is not AF_BUNDLE",
        "sb_len is out of range or not a multiple of 8",
        "unknown sb_flags",
        "sb_count is 0 or too large",
        "an entry reaches beyond sb_len",
        "a family other than IPv4 and IPv6",
        "be_len does not match the family",
        "be_host is not counted up from 0",
        "the ports differ",
        "sb_len reaches beyond the last entry",
    };
    return text[static_cast<std::size_t>(f)];
}

/** @return the error that the kernel gives for this fault: 0, EINVAL or EAFNOSUPPORT. */
[[nodiscard]] constexpr int to_errno(fault f) noexcept
{
    return f == fault::none ? 0 : f == fault::entry_family ? EAFNOSUPPORT : EINVAL;
}

/** Whose bundle it is: only the kernel may set SB_MORE, and with it leave every entry out. */
enum class origin { user, kernel };

/**
 * Judges a bundle as the kernel would, except for what depends on the socket.
 * @param bytes the socket address, of the call's addrlen; may be longer than sb_len.
 * @return the first rule broken, from the header to the last entry.
 */
[[nodiscard]] inline fault validate(std::span<const std::byte> bytes,
                                    origin from = origin::user) noexcept
{
    ::sockaddr_bundle header;
    if (bytes.size() < sizeof(header))
        return fault::too_short;
    std::memcpy(&header, bytes.data(), sizeof(header));
    if (header.sb_family != AF_BUNDLE)
        return fault::not_a_bundle;
    if (header.sb_len % 8 != 0 || header.sb_len < sizeof(header) || header.sb_len > max_length)
        return fault::bad_length;
    if (header.sb_len > bytes.size())
        return fault::too_short;
    const bool more = from == origin::kernel && header.sb_flags == SB_MORE;
    if (header.sb_flags != 0 && !more)
        return fault::bad_flags;
    if ((header.sb_count == 0 && !more) || header.sb_count > max_addresses)
        return fault::bad_count;

    auto rest = bytes.first(header.sb_len).subspan(sizeof(header));
    std::optional<std::uint16_t> port;
    unsigned host = 0;
    for (unsigned i = 0; i < header.sb_count; i++) {
        ::sockaddr_bundle_entry prefix;
        ::sa_family_t family;
        if (rest.size() < sizeof(prefix) + sizeof(family))
            return fault::entry_overrun;
        std::memcpy(&prefix, rest.data(), sizeof(prefix));
        if (entry_size(prefix.be_len) > rest.size())
            return fault::entry_overrun;
        std::memcpy(&family, rest.data() + sizeof(prefix), sizeof(family));
        if (family != AF_INET && family != AF_INET6)
            return fault::entry_family;
        const auto addr = address::from(rest.subspan(sizeof(prefix), prefix.be_len));
        if (!addr || addr->size() != prefix.be_len)
            return fault::entry_length;
        if (prefix.be_host != host && (i == 0 || prefix.be_host != host + 1))
            return fault::entry_host;
        host = prefix.be_host;
        if (port.value_or(addr->port()) != addr->port())
            return fault::port_mismatch;
        port = addr->port();
        rest = rest.subspan(entry_size(prefix.be_len));
    }
    return rest.empty() ? fault::none : fault::excess;
}

} // namespace bundle
