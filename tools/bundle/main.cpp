// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * The tool bundle: its command line, and how it ends. What it does is in one file for each
 * subcommand.
 */

#include "command.hpp"

#include <csignal>
#include <iostream>

namespace tool {

namespace {

/** CLI11's help without its remarks on types and numbers. */
class formatter : public CLI::Formatter {
  public:
    std::string make_option_usage(const CLI::Option *option) const override
    {
        const std::string name = option->get_name(true);
        return option->get_required() ? name : "[" + name + "]";
    }
    std::string make_option_opts(const CLI::Option *option) const override
    {
        return option->get_option_text().empty() ? "" : " " + option->get_option_text();
    }
};

} // namespace

} // namespace tool

int main(int argc, char **argv)
{
    using namespace tool;

    action chosen;
    CLI::App app{"Sockets with several addresses: names, connections, and what is missing"};
    app.name("bundle");
    app.formatter(std::make_shared<formatter>());
    app.require_subcommand(0, 1); // none is an error of ours, lest it hide that of a wrong one
    app.failure_message([](const CLI::App *, const CLI::Error &error) {
        return std::string("bundle: ") + error.what() + "\nbundle --help shows the usage\n";
    });
    add_resolve(app, chosen);
    add_connect(app, chosen);
    add_listen(app, chosen);
    add_paths(app, chosen);
    add_status(app, chosen);
    add_run(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? 0 : status_usage;
    }

    if (!chosen) {
        std::cerr << app.help();
        return status_usage;
    }
    const std::string name = "bundle " + app.get_subcommands().front()->get_name();
    try {
        std::signal(SIGPIPE, SIG_IGN); // a write says so, too
        return chosen();
    } catch (const usage_error &error) {
        std::cerr << name << ": " << error.what() << '\n';
        return status_usage;
    } catch (const std::exception &error) {
        std::cerr << name << ": " << error.what() << '\n';
        return status_failed;
    }
}
