// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * System calls as C++ has them: failures as std::system_error, descriptors that close themselves,
 * files as text.
 */
#pragma once

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <sys/types.h>
#include <unistd.h>

namespace tool {

/** The result of a system call that mustn't fail; else throws, with @p what before errno's text. */
template <typename Result>
Result must(Result result, const std::string &what)
{
    if (result < 0)
        throw std::system_error(errno, std::generic_category(), what);
    return result;
}

/** Owns a file descriptor; -1 is none. */
class descriptor {
  public:
    descriptor() noexcept = default;
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(descriptor &&other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor &operator=(descriptor &&other) noexcept
    {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor()
    {
        if (number_ >= 0)
            ::close(number_);
    }

    [[nodiscard]] int get() const noexcept { return number_; }
    explicit operator bool() const noexcept { return number_ >= 0; }

  private:
    int number_ = -1;
};

/** @return all of a file, or nothing if it can't be opened (errno says why). */
[[nodiscard]] inline std::optional<std::string> read_file(const std::string &path)
{
    std::ifstream file(path);
    if (!file)
        return std::nullopt;
    return std::string(std::istreambuf_iterator(file), {});
}

} // namespace tool
