// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Time and instructions in a virtual machine that runs in virtual time (qemu/vm --time=virtual),
 * where the clock counts instructions and what is idle. Everything here throws std::runtime_error
 * if the machine isn't one.
 */
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace virtual_time {

/** A clock's nanoseconds. */
inline std::int64_t nanoseconds(clockid_t clock = CLOCK_MONOTONIC)
{
    ::timespec now;
    if (::clock_gettime(clock, &now) < 0)
        throw std::runtime_error("clock_gettime");
    return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

/** A clock's seconds. */
inline double seconds(clockid_t clock = CLOCK_MONOTONIC)
{
    return 1e-9 * static_cast<double>(nanoseconds(clock));
}

/** Takes two instructions for each of @p rounds. */
inline void spin(unsigned long rounds)
{
    asm volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
}

/**
 * Nanoseconds of the machine's time for an instruction: under QEMU's -icount shift=N, 2 to the N.
 * @return 0 where time doesn't count instructions.
 */
inline double ns_per_instruction()
{
    constexpr unsigned long rounds = 100'000;
    double ns = 1e9;
    for (int i = 0; i < 20; i++) { // something else may run, too
        const std::int64_t began = nanoseconds();
        spin(rounds);
        ns = std::min(ns, static_cast<double>(nanoseconds() - began) / (2.0 * rounds));
    }
    const double power = std::exp2(std::round(std::log2(ns)));
    // Timer interrupts come on top.
    return power >= 1 && ns >= power && ns < 1.05 * power ? power : 0;
}

/**
 * Nanoseconds since boot that the only processor had nothing to do, by the kernel's own clock,
 * exactly. What the kernel does to enter its idle state counts as idle; interrupts don't.
 */
inline std::int64_t idle_nanoseconds()
{
    std::ifstream list("/proc/timer_list");
    for (std::string word; list >> word;)
        if (word == ".idle_sleeptime") {
            std::int64_t ns = -1;
            if (list >> word >> ns)
                return ns;
        }
    throw std::runtime_error("no idle_sleeptime in /proc/timer_list, which takes root to read");
}

/** What something took. */
struct cost {
    double seconds;
    /** Of the whole machine, all hosts in it and all that runs beside, without idle. */
    double instructions;
};

/** Measures what a function takes. */
class meter {
  public:
    /** Sees to it that what is counted is right, and takes a few seconds for that. */
    meter() : ns_per_instruction_(ns_per_instruction())
    {
        if (ns_per_instruction_ == 0)
            throw std::runtime_error("time does not count instructions: qemu/vm --time=virtual");
        // No page of this program is read from the host in the middle of a measurement.
        if (::mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
            throw std::runtime_error("mlockall");
        // Until nothing else runs, so that a known count between times of waiting comes out.
        constexpr unsigned long rounds = 5'000'000;
        for (int tries = 0;; tries++) {
            const double counted = (*this)([] {
                                       ::sleep(1);
                                       spin(rounds);
                                       ::sleep(1);
                                   }).instructions;
            if (counted >= 2.0 * rounds && counted < 1.05 * 2.0 * rounds)
                break;
            if (tries == 60)
                throw std::runtime_error("the machine doesn't come to rest, or its idle time "
                                         "can't be had");
        }
    }

    template <typename F>
    cost operator()(F f) const
    {
        // Reading the idle time takes instructions, but no idle time.
        const std::int64_t idle = idle_nanoseconds(), began = nanoseconds();
        f();
        const std::int64_t time = nanoseconds() - began;
        const auto busy = static_cast<double>(time - (idle_nanoseconds() - idle));
        return {1e-9 * static_cast<double>(time), busy / ns_per_instruction_};
    }

  private:
    double ns_per_instruction_;
};

} // namespace virtual_time
