// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * What the running kernel was built with and may load, see kernel.hpp.
 */

#include "kernel.hpp"

#include "system.hpp"

#include <filesystem>
#include <sstream>

#include <sys/utsname.h>

namespace tool {

namespace {

namespace fs = std::filesystem;

/** Whether a line of modules.dep or modules.builtin begins with that module's file. */
bool lists(const std::string &path, const std::string &name)
{
    std::istringstream lines(read_file(path).value_or(""));
    for (std::string line; std::getline(lines, line);) {
        const std::string file = fs::path(line.substr(0, line.find(':'))).filename();
        if (file.substr(0, file.find('.')) == name)
            return true;
    }
    return false;
}

/**
 * Whether a line of modprobe.d(5) is "blacklist NAME", "alias NAME off", or "install NAME" a
 * program that does nothing.
 */
bool forbids(const std::string &line, const std::string &name)
{
    std::istringstream words(line);
    std::string command, module, program;
    words >> command >> module >> program;
    return module == name &&
           (command == "blacklist" || (command == "alias" && program == "off") ||
            (command == "install" && (program.ends_with("/false") || program.ends_with("/true"))));
}

} // namespace

module_state find_module(const std::string &name)
{
    const std::string directory = "/lib/modules/" + kernel_release() + "/";
    std::error_code error;
    if (fs::exists("/sys/module/" + name + "/initstate", error))
        return module_state::loaded;
    if (lists(directory + "modules.builtin", name))
        return module_state::built_in;
    return lists(directory + "modules.dep", name) ? module_state::on_disk : module_state::nowhere;
}

std::optional<std::string> blacklisting(const std::string &name)
{
    for (const char *directory :
         {"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/lib/modprobe.d"}) {
        std::error_code error;
        for (const auto &file : fs::directory_iterator(directory, error)) {
            if (file.path().extension() != ".conf")
                continue;
            std::istringstream lines(read_file(file.path()).value_or(""));
            for (std::string line; std::getline(lines, line);)
                if (forbids(line, name))
                    return file.path().string() + ": " + line;
        }
    }
    return std::nullopt;
}

std::optional<std::string> configured(const std::string &option)
{
    const auto text = read_file("/boot/config-" + kernel_release());
    if (!text)
        return std::nullopt;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(option + "="))
            return line.substr(option.size() + 1);
    return "n";
}

std::string kernel_release()
{
    ::utsname system{};
    ::uname(&system);
    return system.release;
}

} // namespace tool
