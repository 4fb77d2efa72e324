// SPDX-License-Identifier: GPL-2.0
// What bundle_tool and the benchmark need of system calls: failures as exceptions, and descriptors
// that close themselves. (The GoogleTest programs want outcomes to compare instead: net.hpp.)
#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include <sys/types.h>
#include <unistd.h>

/** A system call's failure; what() names it and its error: "bind: EACCES". */
class failure : public std::runtime_error {
  public:
    explicit failure(const std::string &call) : std::runtime_error(call + ": " + error_name(errno))
    {}

  private:
    static std::string error_name(int error)
    {
        const char *name = ::strerrorname_np(error);
        return name ? name : std::to_string(error);
    }
};

/** The result of a system call that mustn't fail. */
inline ssize_t must(ssize_t result, const char *call)
{
    if (result < 0)
        throw failure(call);
    return result;
}

/** Closes its file descriptor at the end. */
class descriptor {
  public:
    descriptor(int fd, const char *call) : fd_(static_cast<int>(must(fd, call))) {}
    descriptor(descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~descriptor()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }
    operator int() const noexcept { return fd_; }

  private:
    int fd_;
};
