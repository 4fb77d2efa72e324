// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * bundle status: what of the kernel, the library and the configuration is there, what is missing,
 * and what to do about it. Asks the kernel and the library themselves, and no network.
 */

#include "command.hpp"
#include "json.hpp"
#include "kernel.hpp"
#include "library.hpp"
#include "names.hpp"
#include "nsswitch.hpp"
#include "system.hpp"
#include "text.hpp"

#include <array>
#include <cstring>
#include <iostream>
#include <memory>

#include <gnu/libc-version.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tool {

namespace {

enum class state { ok, missing, unknown };

constexpr const char *state_names[] = {"ok", "missing", "unknown"};

struct check {
    std::string name;
    state result;
    std::string found;
    std::string remedy; ///< what to do; empty if there is nothing to be done
};

/** A socket of that kind, or errno's value. */
struct trial {
    trial(int family, int protocol)
        : socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol)), error(socket ? 0 : errno)
    {}

    descriptor socket;
    int error;
};

constexpr const char *how_to_build =
    "boot a kernel with the patches and CONFIG_BUNDLE, see README.md, \"On your own machine\"";

/** Why a module that exists isn't loaded, and what to do. */
check unloaded(const std::string &name, const std::string &module, const std::string &alias)
{
    for (const std::string &n : {module, alias})
        if (const auto line = blacklisting(n))
            return {name, state::missing, "the module " + module + " is blacklisted",
                    "remove the line from " + *line};
    return {name, state::missing, "the module " + module + " is there, but wasn't loaded",
            "modprobe " + module + ", and if that fails, see dmesg(1)"};
}

check check_sctp()
{
    const trial sctp(AF_INET, IPPROTO_SCTP);
    if (sctp.socket)
        return {"sctp", state::ok, "the kernel has SCTP", ""};
    if (sctp.error != EPROTONOSUPPORT)
        return {"sctp", state::missing, std::string("no socket: ") + std::strerror(sctp.error),
                "see what refuses it: a security module, a container, a seccomp filter"};
    if (find_module("sctp") == module_state::nowhere)
        return {"sctp", state::missing, "Linux " + kernel_release() + " has no module sctp",
                "install it (Debian: linux-image-amd64), or build the kernel with CONFIG_IP_SCTP"};
    return unloaded("sctp", "sctp", "net-pf-2-proto-132");
}

/** Whether the kernel has the family at all. */
check check_kernel(const trial &socket)
{
    const std::string release = "Linux " + kernel_release();
    if (socket.error != EAFNOSUPPORT || find_module("bundle") != module_state::nowhere)
        return {"kernel", state::ok, release + " has AF_BUNDLE", ""};
    const auto option = configured("CONFIG_BUNDLE");
    const auto patched = configured("CONFIG_SOCKADDR_BUNDLE");
    if (option == "m" || option == "y")
        return {"kernel", state::missing,
                release + " was built with CONFIG_BUNDLE=" + *option +
                    ", but its module isn't in /lib/modules/" + kernel_release(),
                "make modules_install in that kernel's tree, and depmod -a"};
    if (patched == "y")
        return {"kernel", state::missing, release + " has the patches, but not CONFIG_BUNDLE",
                "build the module: make module KDIR=..., then insmod build/module/bundle.ko"};
    return {"kernel", state::missing, release + " has no AF_BUNDLE", how_to_build};
}

check check_module(const trial &socket)
{
    switch (find_module("bundle")) {
    case module_state::loaded:
        return {"module", state::ok, "bundle is loaded", ""};
    case module_state::built_in:
        return {"module", state::ok, "bundle is built in", ""};
    case module_state::on_disk:
        return unloaded("module", "bundle", "net-pf-46");
    case module_state::nowhere:
        break;
    }
    if (socket.error != EAFNOSUPPORT)
        return {"module", state::ok, "bundle answers", ""};
    return {"module", state::missing, "there is no module bundle for this kernel", how_to_build};
}

check check_socket(const trial &bundle)
{
    if (bundle.socket)
        return {"socket", state::ok, "this process can make bundle sockets", ""};
    const std::string found = std::string("no socket: ") + std::strerror(bundle.error);
    if (bundle.error == EPROTONOSUPPORT)
        return {"socket", state::missing, found, "AF_BUNDLE needs SCTP, see there"};
    if (bundle.error == EAFNOSUPPORT)
        return {"socket", state::missing, found, "see kernel and module"};
    return {"socket", state::missing, found,
            "see what refuses it: a security module (AppArmor's profiles know no bundles), a "
            "container, a seccomp filter"};
}

/** Whether the kernel's interface is the one that this program was compiled for. */
check check_interface(const trial &bundle)
{
    if (!bundle.socket)
        return {"interface", state::unknown, "needs a socket", ""};
    std::string missing;
    for (const auto &[option, name] : {std::pair{BUNDLE_NAMES, "BUNDLE_NAMES"},
                                       {BUNDLE_LOCAL_ADDRS, "BUNDLE_LOCAL_ADDRS"},
                                       {BUNDLE_PEER_ADDRS, "BUNDLE_PEER_ADDRS"},
                                       {BUNDLE_PATHS, "BUNDLE_PATHS"},
                                       {BUNDLE_STREAM, "BUNDLE_STREAM"}}) {
        std::array<std::byte, bundle::max_length> room;
        auto length = static_cast<socklen_t>(room.size());
        if (::getsockopt(bundle.socket.get(), SOL_BUNDLE, option, room.data(), &length) < 0 &&
            errno == ENOPROTOOPT)
            missing += std::string(missing.empty() ? "" : ", ") + name;
    }
    if (missing.empty())
        return {"interface", state::ok, "the kernel has the options of this program's version", ""};
    return {"interface", state::missing,
            "the kernel is older than this program: it doesn't know " + missing,
            "build both from one source, and boot that kernel"};
}

check check_sysctls()
{
    std::string values, missing;
    for (const char *name :
         {"bundle_init_rate", "bundle_init_burst", "bundle_connect_timeout", "bundle_host_delay"}) {
        auto value = read_file(std::string("/proc/sys/net/sctp/") + name);
        std::string &list = value ? values : missing;
        list += std::string(list.empty() ? "" : ", ") + name;
        if (value)
            list += " " + value->substr(0, value->find('\n'));
    }
    if (missing.empty())
        return {"sysctls", state::ok, values, ""};
    if (::access("/proc/sys/net/sctp", F_OK) < 0)
        return {"sysctls", state::unknown, "needs SCTP", ""};
    return {"sysctls", state::missing, "SCTP has no net.sctp." + missing,
            "this SCTP isn't the patched one: " + std::string(how_to_build)};
}

check check_library()
{
    const std::string version = std::string("glibc ") + ::gnu_get_libc_version();
    if (library_knows_bundles())
        return {"library", state::ok, version + " with bundles", ""};
    const auto other = find_library();
    return {"library", state::missing, version + " without bundles",
            other ? "start programs by 'bundle run', on the library in " + other->root.string()
                  : std::string("make glibc-install DESTDIR=") + usual_library +
                        " in the source, then start programs by 'bundle run'"};
}

check check_nsswitch()
{
    if (!nsswitch_has_bundles())
        return {"nsswitch", state::missing, "/etc/nsswitch.conf has no line for bundles",
                "add the line 'bundles: files'"};
    if (library_knows_bundles() && !bundle_names_on())
        return {"nsswitch", state::missing,
                "/etc/nsswitch.conf has a line for bundles, but the library doesn't take it",
                "see that the line is 'bundles: files', and that nothing is set-user-ID"};
    return {"nsswitch", state::ok, "/etc/nsswitch.conf has a line for bundles", ""};
}

check check_bundles_file()
{
    const bundles_file file = read_bundles_file();
    if (file.error == ENOENT)
        return {"names", state::ok, "no /etc/bundles: names in braces and .bundle.alt alone", ""};
    if (file.error != 0)
        return {"names", state::missing,
                std::string("/etc/bundles can't be read: ") + std::strerror(file.error),
                "chmod a+r /etc/bundles"};
    if (!file.faults.empty())
        return {"names", state::missing, "/etc/bundles, " + file.faults.front(),
                "lines are like 'web {192.0.2.1,2001:db8::1}', see bundles(5)"};
    return {"names", state::ok, "/etc/bundles names " + counted(file.entries, "bundle"), ""};
}

std::vector<check> all_checks()
{
    // Creating sockets first: it loads the modules.
    const check sctp = check_sctp();
    const trial bundle(AF_BUNDLE, 0);
    return {check_kernel(bundle),    sctp,
            check_module(bundle),    check_socket(bundle),
            check_interface(bundle), check_sysctls(),
            check_library(),         check_nsswitch(),
            check_bundles_file()};
}

void print(const std::vector<check> &checks)
{
    constexpr style styles[] = {style::good, style::bad, style::faint};
    table lines;
    for (const check &c : checks) {
        const auto result = static_cast<std::size_t>(c.result);
        lines.add({{c.name, style::heading}, {state_names[result], styles[result]}, c.found});
        if (!c.remedy.empty())
            lines.add({"", "", "  to do: " + c.remedy});
    }
    lines.print(std::cout, colourful(STDOUT_FILENO));
}

int run(bool as_json)
{
    const std::vector<check> checks = all_checks();
    const bool complete =
        std::ranges::all_of(checks, [](const check &c) { return c.result == state::ok; });
    if (as_json) {
        json report{{"complete", complete}, {"checks", json::array()}};
        for (const check &c : checks)
            report["checks"].push_back({{"name", c.name},
                                        {"state", state_names[static_cast<std::size_t>(c.result)]},
                                        {"found", c.found},
                                        {"remedy", if_known(!c.remedy.empty(), c.remedy)}});
        std::cout << report.dump(2) << '\n';
    } else {
        print(checks);
    }
    return complete ? 0 : status_failed;
}

} // namespace

void add_status(CLI::App &app, action &chosen)
{
    const auto as_json = std::make_shared<bool>(false);
    CLI::App *const command =
        app.add_subcommand("status", "say what is missing for bundles, and what to do about it");
    command->add_flag("--json", *as_json, "print JSON");
    command->callback([as_json, &chosen] { chosen = [as_json] { return run(*as_json); }; });
}

} // namespace tool
