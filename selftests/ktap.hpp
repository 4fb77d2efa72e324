// SPDX-License-Identifier: GPL-2.0
// GoogleTest's results as KTAP, which the kernel's kselftest runner reads, and a limit on each
// test's time: a call that never returns ends the program with a message instead of the run.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

namespace ktap {

// Exit status by which the kernel's runner knows that nothing could be tested.
inline constexpr int exit_skip = 4;
// Real seconds that one test may take. The slowest guest emulates its processor with KASAN on.
inline int test_limit = 120;

class listener : public testing::EmptyTestEventListener {
  public:
    listener()
    {
        struct sigaction action {};
        action.sa_handler = too_long;
        sigaction(SIGUSR2, &action, nullptr);
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGUSR2;
        armed_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
    }

    void OnTestProgramStart(const testing::UnitTest &program) override
    {
        std::printf("TAP version 13\n1..%d\n", program.test_to_run_count());
        std::fflush(stdout);
    }

    void OnTestStart(const testing::TestInfo &info) override
    {
        number_++;
        why_.clear();
        std::snprintf(late_, sizeof(late_), "not ok %d %s.%s # took more than %d s\n", number_,
                      info.test_suite_name(), info.name(), test_limit);
        limit(test_limit);
    }

    void OnTestPartResult(const testing::TestPartResult &result) override
    {
        if (result.skipped())
            why_ = one_line(result.message());
        else if (result.failed())
            comment(std::string(result.file_name() ? result.file_name() : "?") + ":" +
                    std::to_string(result.line_number()) + ": " + result.message());
    }

    void OnTestEnd(const testing::TestInfo &info) override
    {
        limit(0);
        const bool skipped = info.result()->Skipped();
        std::printf("%s %d %s.%s", info.result()->Failed() ? "not ok" : "ok", number_,
                    info.test_suite_name(), info.name());
        if (skipped)
            std::printf(" # SKIP %s",
                        why_.empty() ? "the suite's set-up was skipped" : why_.c_str());
        std::printf("\n");
        std::fflush(stdout);
    }

    void OnTestProgramEnd(const testing::UnitTest &program) override
    {
        std::printf("# Totals: pass:%d fail:%d skip:%d\n", program.successful_test_count(),
                    program.failed_test_count(), program.skipped_test_count());
        std::fflush(stdout);
    }

  private:
    static std::string one_line(std::string text)
    {
        while (!text.empty() && text.back() == '\n')
            text.pop_back();
        for (char &c : text)
            c = c == '\n' ? ' ' : c;
        return text;
    }

    static void comment(const std::string &text)
    {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            std::printf("# %s\n", line.c_str());
    }

    static void too_long(int)
    {
        if (write(STDOUT_FILENO, late_, std::strlen(late_)) < 0)
            _exit(2);
        _exit(1);
    }

    void limit(int seconds) const
    {
        const itimerspec when{{0, 0}, {seconds, 0}};
        if (armed_)
            timer_settime(timer_, 0, &when, nullptr);
    }

    static inline char late_[256];
    int number_ = 0;
    bool armed_ = false;
    timer_t timer_{};
    std::string why_;
};

// Runs every test. Returns the program's exit status: skip if nothing could run.
inline int run_all()
{
    auto &listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new listener);
    const int status = RUN_ALL_TESTS();
    const auto &program = *testing::UnitTest::GetInstance();
    return status == 0 && program.successful_test_count() == 0 ? exit_skip : status;
}

} // namespace ktap
