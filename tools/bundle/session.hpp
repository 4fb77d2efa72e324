// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What bundle connect and bundle listen share: their options about relaying, and what they report
 * on standard error, line by line with the time since the start.
 */
#pragma once

#include "association.hpp"
#include "relay.hpp"
#include "text.hpp"

#include <CLI/CLI.hpp>
#include <chrono>
#include <string>

namespace tool {

/** Options of both, and what becomes of them. */
struct session_options {
    bool quiet = false, no_stdin = false, no_shutdown = false;
    double idle = 0; ///< seconds
};

/** Adds those options to a subcommand. */
void add_session_options(CLI::App &command, session_options &options);

/** A time limit's option, in seconds; 0 is none. */
CLI::Option *add_seconds(CLI::App &command, const std::string &flags, double &value,
                         const std::string &help);

[[nodiscard]] inline std::chrono::milliseconds to_milliseconds(double seconds)
{
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

/** Lines on standard error, if they are wanted. */
class reporter {
  public:
    explicit reporter(bool quiet);

    /** A line as it is. */
    void line(const std::string &text, style how = style::plain) const;
    /** What happened, to which address, after what time. */
    void event(std::chrono::steady_clock::duration after, const std::string &who,
               const std::string &what, style how = style::plain) const;
    /** The paths of a new association. */
    void paths(int fd) const;

  private:
    bool quiet_, colour_;
};

/**
 * Relays by the options, and reports how it ended.
 * @param watch as in relay_options.
 * @return the exit status.
 */
int converse(int fd, const session_options &options, const reporter &report,
             std::function<bool()> watch = {});

} // namespace tool
