// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Names and services by getaddrinfo(3), as values; and what is wrong with a name that it refuses,
 * in words that tell what would be right.
 */
#pragma once

#include "json.hpp"

#include <bundle/bundle.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <netdb.h>
#include <sys/socket.h>

namespace tool {

/** What getaddrinfo(3) is asked. */
struct question {
    std::optional<std::string> name;
    std::string service;
    int family = AF_UNSPEC;
    int type = SOCK_STREAM;
    int protocol = 0;
    int flags = 0;
};

/** One entry of its answer. */
struct entry {
    int family, type, protocol;
    std::vector<std::byte> bytes; ///< ai_addr
    std::string canonical;        ///< ai_canonname, or empty

    [[nodiscard]] const ::sockaddr *data() const noexcept
    {
        return reinterpret_cast<const ::sockaddr *>(bytes.data());
    }
    [[nodiscard]] ::socklen_t size() const noexcept
    {
        return static_cast<::socklen_t>(bytes.size());
    }
    /** The members of a bundle, or the one address. */
    [[nodiscard]] std::vector<bundle::member> members() const;
    /** Everyone's. */
    [[nodiscard]] std::uint16_t port() const;
    /** "{192.0.2.1,2001:db8::1}" or "192.0.2.1". */
    [[nodiscard]] std::string to_string() const;
};

/** getaddrinfo(3) gave none. */
class name_error : public std::runtime_error {
  public:
    name_error(int code, const std::string &text) : std::runtime_error(text), code_(code) {}

    /** EAI_NONAME or another. */
    [[nodiscard]] int code() const noexcept { return code_; }
    /** Its symbol. */
    [[nodiscard]] std::string symbol() const;
    /** Both, for JSON. */
    [[nodiscard]] json to_json() const { return {{"code", symbol()}, {"message", what()}}; }

  private:
    int code_;
};

/**
 * Asks getaddrinfo(3).
 * @throw name_error if it has no answer; usage_error for a port number that can't be one.
 */
[[nodiscard]] std::vector<entry> resolve(const question &asked);

/** Whether a name is spelled as a bundle: in braces, or under .bundle.alt. */
[[nodiscard]] bool spelled_as_bundle(std::string_view name);

/**
 * What is wrong with a name in braces, by the grammar of bundles(5).
 * @return nothing if it is well-formed; its members may still not resolve.
 */
[[nodiscard]] std::optional<std::string> fault_in_braces(std::string_view name);

/** Whether the C library that this process runs on is the patched one. */
[[nodiscard]] bool library_knows_bundles();

/** Whether it also takes names of bundles, which a line in nsswitch.conf(5) switches on. */
[[nodiscard]] bool bundle_names_on();

} // namespace tool
