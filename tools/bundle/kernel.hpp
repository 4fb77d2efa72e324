// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What the running kernel was built with and may load: modules, their blacklist, its configuration.
 * Without loading anything.
 */
#pragma once

#include <optional>
#include <string>

namespace tool {

/** Where a module is. */
enum class module_state { loaded, built_in, on_disk, nowhere };

/** @param name as in lsmod(8): "bundle". */
[[nodiscard]] module_state find_module(const std::string &name);

/**
 * The line of modprobe.d(5) that keeps a module from being loaded by one of its names.
 * @return "FILE: line", or nothing.
 */
[[nodiscard]] std::optional<std::string> blacklisting(const std::string &name);

/** What /boot/config-RELEASE has for an option: "y", "m", "n"; nothing if there is no such file. */
[[nodiscard]] std::optional<std::string> configured(const std::string &option);

/** "6.12.1". */
[[nodiscard]] std::string kernel_release();

} // namespace tool
