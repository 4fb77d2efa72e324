// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Other processes' sockets, see process.hpp.
 */

#include "process.hpp"

#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

extern "C" { // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

namespace tool {

namespace {

namespace fs = std::filesystem;

template <typename Number>
std::optional<Number> number(std::string_view text)
{
    Number result{};
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), result);
    if (error != std::errc() || rest != text.data() + text.size())
        return std::nullopt;
    return result;
}

/** What /proc/PID/fd/N links to, if it is a socket. */
std::optional<unsigned long> inode_of(const fs::path &link)
{
    constexpr std::string_view begin = "socket:[";
    std::error_code error;
    const std::string target = fs::read_symlink(link, error).string();
    if (error || !target.starts_with(begin) || !target.ends_with(']'))
        return std::nullopt;
    return number<unsigned long>(
        std::string_view(target).substr(begin.size(), target.size() - begin.size() - 1));
}

} // namespace

std::multimap<unsigned long, owner> socket_owners()
{
    std::multimap<unsigned long, owner> result;
    std::error_code error; // processes end while we look, and some are not ours to look at
    for (const auto &process : fs::directory_iterator("/proc", error)) {
        const auto pid = number<::pid_t>(process.path().filename().string());
        if (!pid)
            continue;
        std::string name = read_file(process.path() / "comm").value_or("");
        if (name.ends_with('\n'))
            name.pop_back();
        fs::directory_iterator entry(process.path() / "fd", error);
        for (; !error && entry != fs::directory_iterator(); entry.increment(error))
            if (const auto inode = inode_of(entry->path()))
                result.emplace(
                    *inode,
                    owner{*pid, number<int>(entry->path().filename().string()).value_or(-1), name});
        error.clear();
    }
    return result;
}

descriptor borrow(const owner &from)
{
    const descriptor process(::pidfd_open(from.pid, 0));
    return process ? descriptor(::pidfd_getfd(process.get(), from.fd, 0)) : descriptor();
}

} // namespace tool
