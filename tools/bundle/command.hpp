// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What a subcommand is to the program: a function that describes it to the command line, and in
 * doing so says what is to be run if it is the one that was asked for.
 */
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>

namespace tool {

/** Exit statuses, beside 0. What `bundle run` starts has its own. */
inline constexpr int status_failed = 1;
inline constexpr int status_usage = 2;

/** What is to be run once the command line is read; returns the program's exit status. */
using action = std::function<int()>;

/** An argument that was well-formed but can't be right; what() says what would be. */
class usage_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/**
 * Each adds a subcommand to @p app, which sets @p chosen when it was asked for.
 * @{
 */
void add_resolve(CLI::App &app, action &chosen);
void add_connect(CLI::App &app, action &chosen);
void add_listen(CLI::App &app, action &chosen);
void add_paths(CLI::App &app, action &chosen);
void add_status(CLI::App &app, action &chosen);
void add_run(CLI::App &app, action &chosen);
/** @} */

} // namespace tool
