// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Output for people: aligned columns, colour on a terminal only, times. And numbers of the system's
 * headers as words, the same for people and for JSON.
 */
#pragma once

#include <chrono>
#include <ostream>
#include <string>
#include <vector>

namespace tool {

/** How a piece of text is to look. */
enum class style { plain, heading, good, bad, faint };

/** Whether @p fd is a terminal whose user hasn't asked for no colour (https://no-color.org). */
[[nodiscard]] bool colourful(int fd);

/** @return @p text in that style, if @p colour. */
[[nodiscard]] std::string paint(const std::string &text, style how, bool colour);

/** Rows of cells, printed in aligned columns with two spaces between them. */
class table {
  public:
    struct cell {
        cell(std::string t, style s = style::plain) : text(std::move(t)), how(s) {} // NOLINT
        cell(const char *t, style s = style::plain) : text(t), how(s) {}            // NOLINT

        std::string text;
        style how;
    };

    void add(std::vector<cell> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

    /** @param indent spaces before each row. */
    void print(std::ostream &out, bool colour, std::size_t indent = 0) const;

  private:
    std::vector<std::vector<cell>> rows_;
};

/** "bundle", "IPv4", "IPv6", or the number. */
[[nodiscard]] std::string family_name(int family);
/** "stream", "datagram", "seqpacket", "raw", or the number. */
[[nodiscard]] std::string type_name(int type);
/** As /etc/protocols has it: "sctp", "tcp"; "0", or the number. */
[[nodiscard]] std::string protocol_name(int protocol);
/** errno's symbol: "ECONNREFUSED". */
[[nodiscard]] std::string error_name(int error);

/** "40.4 ms", "4.00 s". */
[[nodiscard]] std::string duration(std::chrono::steady_clock::duration time);

/** Seconds, for JSON. */
[[nodiscard]] inline double seconds(std::chrono::steady_clock::duration time)
{
    return std::chrono::duration<double>(time).count();
}

/** "1 byte", "2 bytes". */
[[nodiscard]] std::string counted(std::uint64_t number, const std::string &noun);

} // namespace tool
