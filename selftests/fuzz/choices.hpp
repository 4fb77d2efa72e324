// SPDX-License-Identifier: GPL-2.0
// What a fuzzer decides, as a list of numbers: drawn from a seed, written down as they are drawn,
// and read again for a replay. Any list is a valid one, so that an input can be made smaller by
// leaving numbers out or making them smaller, whatever they mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <istream>
#include <ostream>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace fuzz {

class choices {
  public:
    // Drawn from a seed; the same on every machine.
    explicit choices(std::uint64_t seed) : random_(seed), drawing_(true) {}
    // Those written down; 0 where there is none left.
    explicit choices(std::vector<std::uint32_t> recorded) : list_(std::move(recorded)) {}

    // A number below @bound, which is at least 1. 0 should mean what is simplest.
    std::uint32_t below(std::uint32_t bound)
    {
        if (drawing_)
            list_.push_back(static_cast<std::uint32_t>(random_() % bound));
        const std::uint32_t value = next_ < list_.size() ? list_[next_] : 0;
        next_++;
        return value % bound;
    }

    // True @n times of @of, which leaves false for what is simplest.
    bool chance(std::uint32_t n, std::uint32_t of) { return below(of) >= of - n; }

    template <typename T>
    T one_of(std::initializer_list<T> values)
    {
        return values.begin()[below(static_cast<std::uint32_t>(values.size()))];
    }
    template <typename Range>
    const auto &element(const Range &values)
    {
        return values[below(static_cast<std::uint32_t>(std::size(values)))];
    }

    // A number of 32 bits of which some values are likelier: small ones, powers of two and what
    // is beside them.
    std::uint32_t number()
    {
        switch (below(4)) {
        case 0:
            return below(16);
        case 1:
            return (1U << below(32)) - 1 + below(3);
        case 2:
            return ~below(16);
        default:
            return below(0xffffffff);
        }
    }

    // Whether there are more to come.
    [[nodiscard]] bool more() const { return drawing_ || next_ < list_.size(); }

    // Those used so far, or all that were written down.
    [[nodiscard]] std::span<const std::uint32_t> list() const { return list_; }

  private:
    std::vector<std::uint32_t> list_;
    std::size_t next_ = 0;
    std::mt19937_64 random_;
    bool drawing_ = false;
};

// As a text of numbers, which has room for comments: lines that begin with #.
inline void write(std::ostream &out, std::span<const std::uint32_t> list)
{
    std::size_t column = 0;
    for (const std::uint32_t value : list)
        out << value << (++column % 16 == 0 ? '\n' : ' ');
    out << '\n';
}

inline std::vector<std::uint32_t> read(std::istream &in)
{
    std::vector<std::uint32_t> list;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with('#'))
            continue;
        std::istringstream words(line);
        for (std::uint32_t value; words >> value;)
            list.push_back(value);
    }
    return list;
}

} // namespace fuzz
