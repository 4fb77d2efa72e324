// SPDX-License-Identifier: GPL-2.0
// What both fuzzers do around their programs: options, the order in which programs come, the note
// in the kernel's log that tells which one was under way when the machine died, and a look at that
// log after each. tools/fuzz reads what is written here.
#pragma once

#include "../net.hpp"
#include "choices.hpp"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace fuzz {

struct options {
    std::uint64_t seed = 1, first = 0, count = 0;
    double seconds = 0;
    std::vector<std::string> replay;
    unsigned repeat = 1;
    bool stop_on_report = false, print = false;

    // What the @i-th program is drawn from.
    [[nodiscard]] std::uint64_t number(std::uint64_t i) const { return (seed << 32) + first + i; }

    void add_to(CLI::App &app)
    {
        app.add_option("--seed", seed, "Which programs to run")->capture_default_str();
        app.add_option("--first", first, "The number of the seed's first program to run");
        app.add_option("--count", count, "How many programs to run");
        app.add_option("--time", seconds, "For how many seconds to run programs");
        app.add_option("--replay", replay,
                       "Run the programs of these files, and others only if told how many")
            ->check(CLI::ExistingFile);
        app.add_option("--repeat", repeat, "How often to run each file's, for races");
        app.add_flag("--stop-on-report", stop_on_report, "End at the first failure");
        app.add_flag("--print", print,
                     "Write the first program as a file's text, and don't run it");
    }
};

// The kernel's log from now on.
class kernel_log {
  public:
    kernel_log() : file_(open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC))
    {
        if (file_ < 0)
            net::fail("/dev/kmsg");
        lseek(file_, 0, SEEK_END);
    }

    void note(const std::string &line) const
    {
        const std::string text = "<6>" + line;
        if (::write(file_, text.data(), text.size()) < 0)
            net::fail("/dev/kmsg");
    }

    // The first new line that reports what must not happen, or nothing. The list is qemu/vm's.
    std::string report() const
    {
        static constexpr const char *reports[] = {"WARNING:",
                                                  "BUG:",
                                                  "Oops",
                                                  "KASAN:",
                                                  "UBSAN:",
                                                  "possible circular locking",
                                                  "suspicious RCU",
                                                  "Call Trace",
                                                  "blocked for more",
                                                  "rcu: INFO:",
                                                  "refcount_t:",
                                                  "unreferenced object 0x",
                                                  "unregister_netdevice: waiting"};
        std::string found;
        char record[8192];
        for (;;) {
            const ssize_t n = ::read(file_, record, sizeof(record));
            if (n < 0 && errno == EPIPE)
                continue; // some were overwritten
            if (n <= 0)
                return found;
            std::string_view text(record, static_cast<std::size_t>(n));
            text = text.substr(std::min(text.find(';') + 1, text.size()));
            text = text.substr(0, text.find('\n'));
            for (const char *one : reports)
                if (found.empty() && text.find(one) != text.npos)
                    found = text;
        }
    }

  private:
    net::fd file_;
};

// One program of a session.
struct input {
    choices numbers;
    std::string name; // which one it is, for people and for tools/fuzz
    std::uint64_t number;
};

// Runs programs as the options say: @run gets one and returns what went wrong, or nothing. Returns
// how many failed.
inline int session(const std::string &fuzzer, const options &o,
                   const std::function<std::string(input &)> &run)
{
    using clock = std::chrono::steady_clock;
    const kernel_log log;
    const auto start = clock::now();
    const auto over = [&] {
        return std::chrono::duration<double>(clock::now() - start).count() >= o.seconds;
    };
    int failed = 0;
    const auto one = [&](input one_input) {
        log.note(fuzzer + ": " + one_input.name);
        std::string wrong = run(one_input);
        if (const std::string report = log.report(); !report.empty())
            wrong += (wrong.empty() ? "" : "; ") + report;
        if (wrong.empty())
            return true;
        failed++;
        std::cout << "not ok - " << fuzzer << ": " << one_input.name << ": " << wrong << std::endl;
        return !o.stop_on_report;
    };

    for (const std::string &file : o.replay)
        for (unsigned i = 0; i < o.repeat; i++) {
            std::ifstream in(file);
            if (!one({choices(read(in)), "replay " + file, i}))
                return failed;
        }
    if (!o.replay.empty() && o.count == 0 && o.seconds == 0)
        return failed;
    for (std::uint64_t i = 0; o.count != 0 ? i < o.count : !over(); i++) {
        if (o.count != 0 && o.seconds > 0 && over())
            break;
        const std::uint64_t number = o.first + i;
        if (!one({choices(o.number(i)),
                  "seed " + std::to_string(o.seed) + " program " + std::to_string(number), number}))
            break;
    }
    return failed;
}

} // namespace fuzz
