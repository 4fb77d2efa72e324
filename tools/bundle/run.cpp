// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * bundle run: a program on the patched C library, in a mount namespace of its own, so that nothing
 * of the system changes. The mounts are those of the script that comes with the library.
 */

#include "command.hpp"
#include "library.hpp"
#include "nsswitch.hpp"

#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>
#include <vector>

#include <unistd.h>

namespace tool {

namespace {

/** Exit statuses as those of env(1): of bundle run itself, of a program that can't, of none. */
constexpr int status_run = 125, status_unfit = 126, status_no_program = 127;

struct options {
    std::string library;
    bool quiet = false;
};

int fail(int status, const std::string &text)
{
    std::cerr << "bundle run: " << text << '\n';
    return status;
}

int run(const options &o, std::vector<std::string> words)
{
    if (words.empty())
        throw usage_error("which program? bundle run PROGRAM [ARGUMENT...]");
    if (words.front().starts_with('-'))
        throw usage_error("no option '" + words.front() + "': bundle run --help shows them");
    const auto where = o.library.empty()
                           ? find_library()
                           : library_in(std::filesystem::weakly_canonical(o.library + "/."));
    if (!where)
        return fail(status_run, "no patched C library in " +
                                    (o.library.empty() ? usual_library : o.library) +
                                    ": make glibc-install DESTDIR=" + usual_library +
                                    " in the source puts one there, --library names another");
    const auto program = find_program(words.front());
    if (!program)
        return fail(status_no_program, "no program '" + words.front() + "'");
    if (const auto why = unfit(*program))
        return fail(status_unfit, program->string() + " can't use another C library: " + *why);
    if (!o.quiet && !nsswitch_has_bundles())
        std::cerr << "bundle run: names of bundles are switched off: /etc/nsswitch.conf needs a "
                     "line 'bundles: files'\n";

    words.insert(words.begin(), where->runner);
    std::vector<char *> arguments;
    for (std::string &word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::signal(SIGPIPE, SIG_DFL);
    ::execv(arguments[0], arguments.data());
    return fail(status_run, where->runner.string() + ": " + std::strerror(errno));
}

} // namespace

void add_run(CLI::App &app, action &chosen)
{
    const auto o = std::make_shared<options>();
    CLI::App *const command = app.add_subcommand("run", "run a program on the patched C library");
    command->add_option("-l,--library", o->library, "where that is, if not where it usually is")
        ->option_text("DIR");
    command->add_flag("-q,--quiet", o->quiet, "don't say that names are switched off");
    command->footer("PROGRAM [ARGUMENT...] follows; what comes after PROGRAM is its own.");
    command->prefix_command();
    command->callback([o, command, &chosen] {
        chosen = [o, words = command->remaining()] { return run(*o, words); };
    });
}

} // namespace tool
