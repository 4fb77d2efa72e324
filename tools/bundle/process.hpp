// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Other processes' sockets: who has one, by /proc, and the socket itself where the kernel lets us
 * borrow it.
 */
#pragma once

#include "system.hpp"

#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tool {

/** A process that has a socket. */
struct owner {
    ::pid_t pid;
    int fd; ///< the socket's number there
    std::string name;
};

/** The owners of all sockets that this process may see, by the socket's inode. */
[[nodiscard]] std::multimap<unsigned long, owner> socket_owners();

/**
 * A descriptor of the socket that another process has, see pidfd_getfd(2).
 * @return none if that isn't permitted, or if the process has ended.
 */
[[nodiscard]] descriptor borrow(const owner &from);

} // namespace tool
