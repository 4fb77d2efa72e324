// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * The administrator's files about names: nsswitch.conf(5), whose line switches bundles on, and
 * bundles(5).
 */
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tool {

/** Whether /etc/nsswitch.conf has a line for the bundles database that names a service. */
[[nodiscard]] bool nsswitch_has_bundles();

/** What /etc/bundles says. */
struct bundles_file {
    int error = 0;                   ///< errno's value if it can't be read; ENOENT if there is none
    std::size_t entries = 0;         ///< lines that are well-formed
    std::vector<std::string> faults; ///< of the others: "line 3: a brace isn't closed"
};

[[nodiscard]] bundles_file read_bundles_file();

} // namespace tool
