// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * The patched C library beside the system's: where it is, and which programs can use it.
 */
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tool {

/** A patched C library, as `make glibc` or `make glibc-install` leaves it. */
struct library {
    std::filesystem::path root;   ///< has usr/lib
    std::filesystem::path runner; ///< the script with-glibc that belongs to it
};

/** Where `make glibc-install` is told to put it, in the manual. */
inline constexpr const char *usual_library = "/opt/bundle";

/** @return the library in that directory, or nothing if there is none. */
[[nodiscard]] std::optional<library> library_in(const std::filesystem::path &directory);

/** @return the one of the build tree that this program lies in, else the usual one. */
[[nodiscard]] std::optional<library> find_library();

/** Looks a program up as execvp(3) does; nothing if there is none. */
[[nodiscard]] std::optional<std::filesystem::path> find_program(const std::string &name);

/**
 * Why a program can't have another C library: that it is static, set-user-ID, for another
 * processor.
 * @return nothing if it can.
 */
[[nodiscard]] std::optional<std::string> unfit(const std::filesystem::path &program);

} // namespace tool
