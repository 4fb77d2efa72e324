// SPDX-License-Identifier: GPL-2.0
// Bytes that tell their place, and other numbers at random, the same ones in each run.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace soak {

class dice {
  public:
    int between(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }
    double between(double low, double high)
    {
        return std::uniform_real_distribution(low, high)(random_);
    }
    bool one_in(int n) { return between(1, n) == 1; }

  private:
    std::mt19937 random_{1};
};

// What goes one way over one connection. Both ends draw the same bytes, so each one that arrives
// is compared; a sum at each end is kept for the report.
struct direction {
    explicit direction(std::uint32_t seed) : writer(seed), reader(seed) {}

    static char draw(std::uint32_t &x)
    {
        x = x * 1664525 + 1013904223;
        return static_cast<char>(x >> 24);
    }
    static void add(std::uint64_t &sum, char byte)
    {
        sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }

    void write(std::size_t n)
    {
        for (; n > 0; n--)
            pending += draw(writer);
    }
    void gone(std::size_t n)
    {
        for (std::size_t i = 0; i < n; i++)
            add(sum_sent, pending[i]);
        sent += n;
        pending.erase(0, n);
    }
    // Whether these are the next ones.
    bool arrived(std::string_view bytes)
    {
        bool right = true;
        for (const char byte : bytes) {
            right &= byte == draw(reader);
            add(sum_received, byte);
        }
        received += bytes.size();
        return right;
    }

    std::uint32_t writer, reader;
    std::string pending;
    std::uint64_t sent = 0, received = 0;
    std::uint64_t sum_sent = 0xcbf29ce484222325, sum_received = sum_sent;
    bool shut = false, ended = false; // by the writer; seen by the reader
};

} // namespace soak
