// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * nsswitch.conf(5) and bundles(5), see nsswitch.hpp.
 */

#include "nsswitch.hpp"

#include "names.hpp"
#include "system.hpp"

#include <sstream>

namespace tool {

namespace {

/** Calls @p use with each line's number and text, without comment and blanks around it. */
template <typename Use>
void for_each_line(const std::string &text, Use use)
{
    constexpr const char *blanks = " \t\r\f\v";
    std::istringstream lines(text);
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        number++;
        line.resize(std::min(line.find('#'), line.size()));
        line.erase(0, line.find_first_not_of(blanks));
        if (!line.empty()) {
            line.erase(line.find_last_not_of(blanks) + 1);
            use(number, line);
        }
    }
}

/** What is wrong with a line of bundles(5); empty if nothing is. */
std::string fault_in(const std::string &line)
{
    const std::size_t name_end = line.find_first_of(" \t");
    const std::string name = line.substr(0, name_end);
    if (name.find_first_of("{}") != name.npos)
        return "a name without braces comes first, then the members in braces";
    if (name_end == line.npos)
        return "'" + name + "' has no members: they follow in braces";
    return fault_in_braces(line.substr(line.find_first_not_of(" \t", name_end))).value_or("");
}

} // namespace

bool nsswitch_has_bundles()
{
    constexpr std::string_view database = "bundles:";
    bool found = false;
    for_each_line(read_file("/etc/nsswitch.conf").value_or(""),
                  [&](std::size_t, const std::string &line) {
                      found |= line.starts_with(database) && line.size() > database.size();
                  });
    return found;
}

bundles_file read_bundles_file()
{
    bundles_file result;
    const auto text = read_file("/etc/bundles");
    if (!text) {
        result.error = errno;
        return result;
    }
    for_each_line(*text, [&](std::size_t number, const std::string &line) {
        const std::string fault = fault_in(line);
        if (fault.empty())
            result.entries++;
        else
            result.faults.push_back("line " + std::to_string(number) + ": " + fault);
    });
    return result;
}

} // namespace tool
