// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What bundle connect and bundle listen share, see session.hpp.
 */

#include "session.hpp"

#include "command.hpp"

#include <iomanip>
#include <iostream>
#include <sstream>

#include <unistd.h>

namespace tool {

void add_session_options(CLI::App &command, session_options &options)
{
    add_seconds(command, "-i,--idle", options.idle, "end if nothing has come or gone for so long");
    command.add_flag("-d,--no-stdin", options.no_stdin, "don't read standard input");
    command.add_flag("--no-shutdown", options.no_shutdown,
                     "don't shut down the connection at the end of standard input");
    command.add_flag("-q,--quiet", options.quiet, "report errors alone");
}

CLI::Option *add_seconds(CLI::App &command, const std::string &flags, double &value,
                         const std::string &help)
{
    // The upper bound is that of poll(2), in milliseconds.
    return command.add_option(flags, value, help)
        ->option_text("SECONDS")
        ->check(CLI::Range(0.001, 2e6));
}

reporter::reporter(bool quiet) : quiet_(quiet), colour_(colourful(STDERR_FILENO)) {}

void reporter::line(const std::string &text, style how) const
{
    if (!quiet_)
        std::cerr << paint(text, how, colour_) + '\n';
}

void reporter::event(std::chrono::steady_clock::duration after, const std::string &who,
                     const std::string &what, style how) const
{
    std::ostringstream text;
    text << std::setw(10) << duration(after) << "  " << std::left << std::setw(26) << who << "  "
         << paint(what, how, colour_);
    line(text.str());
}

void reporter::paths(int fd) const
{
    table lines;
    for (const path &p : paths_of(fd)) {
        lines.add({"path", p.peer.to_string(), path_state_name(p.state),
                   p.rtt ? "RTT " + duration(*p.rtt) : "", p.primary ? "primary" : ""});
    }
    std::ostringstream text;
    lines.print(text, colour_, 2);
    if (!quiet_)
        std::cerr << text.str();
}

int converse(int fd, const session_options &options, const reporter &report,
             std::function<bool()> watch)
{
    const auto begin = std::chrono::steady_clock::now();
    relay_options how;
    how.input = !options.no_stdin;
    how.shutdown = !options.no_shutdown;
    how.idle = to_milliseconds(options.idle);
    how.watch = std::move(watch);
    const relayed result = relay(fd, how);
    report.line("sent " + counted(result.sent, "byte") + ", received " +
                counted(result.received, "byte") + " in " +
                duration(std::chrono::steady_clock::now() - begin));
    if (result.idle)
        throw std::runtime_error("nothing has come or gone for " + duration(how.idle));
    if (result.lost > 0)
        throw std::runtime_error("the other side has closed the connection, and " +
                                 counted(result.lost, "byte") + " didn't get there");
    return 0;
}

} // namespace tool
