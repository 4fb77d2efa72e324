// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * The patched C library beside the system's, see library.hpp.
 */

#include "library.hpp"

#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include <elf.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace tool {

namespace {

namespace fs = std::filesystem;

constexpr const char *loader = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
/** What programs for that library name as their loader. */
constexpr const char *interpreter = "/lib64/ld-linux-x86-64.so.2";

bool executable(const fs::path &file)
{
    std::error_code error;
    return fs::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0;
}

template <typename T>
bool read_at(std::ifstream &file, std::uint64_t offset, T &value)
{
    file.seekg(static_cast<std::streamoff>(offset));
    return static_cast<bool>(file.read(reinterpret_cast<char *>(&value), sizeof(value)));
}

/** The loader that an ELF file names; nothing if it names none. */
std::optional<std::string> loader_of(std::ifstream &file, const ::Elf64_Ehdr &header)
{
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ::Elf64_Phdr segment{};
        if (!read_at(file, header.e_phoff + i * sizeof(segment), segment))
            break;
        if (segment.p_type != PT_INTERP || segment.p_filesz > PATH_MAX)
            continue;
        std::string name(segment.p_filesz, '\0');
        file.seekg(static_cast<std::streamoff>(segment.p_offset));
        file.read(name.data(), static_cast<std::streamsize>(name.size()));
        return name.c_str(); // without the null byte at its end
    }
    return std::nullopt;
}

std::optional<std::string> privileged(const fs::path &program)
{
    struct ::stat about {};
    if (::stat(program.c_str(), &about) < 0)
        return std::strerror(errno);
    const bool user = (about.st_mode & S_ISUID) != 0 && about.st_uid != ::geteuid();
    const bool group = (about.st_mode & S_ISGID) != 0 && about.st_gid != ::getegid();
    if (user || group)
        return std::string("it is set-") + (user ? "user" : "group") +
               "-ID, and such programs get no names of bundles; as that " +
               (user ? "user" : "group") + " itself it would";
    if (::geteuid() != 0 && ::getxattr(program.c_str(), "security.capability", nullptr, 0) > 0)
        return "it has capabilities (getcap(8)), and such programs get no names of bundles";
    return std::nullopt;
}

} // namespace

std::optional<library> library_in(const fs::path &directory)
{
    std::error_code error;
    if (!fs::exists(directory / loader, error))
        return std::nullopt;
    const fs::path installed = directory / "with-glibc",
                   built = directory.parent_path().parent_path() / "tools/with-glibc";
    for (const fs::path &runner : {installed, built})
        if (executable(runner))
            return library{directory, runner};
    return std::nullopt;
}

std::optional<library> find_library()
{
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    // build/tools/bundle and build/glibc-root
    if (auto found = library_in(self.parent_path().parent_path() / "glibc-root"))
        return found;
    return library_in(usual_library);
}

std::optional<fs::path> find_program(const std::string &name)
{
    if (name.find('/') != name.npos) {
        std::error_code error;
        return fs::exists(name, error) ? std::optional<fs::path>(name) : std::nullopt;
    }
    const char *path = std::getenv("PATH");
    std::istringstream directories(path != nullptr ? path : "/bin:/usr/bin");
    for (std::string directory; std::getline(directories, directory, ':');)
        if (const fs::path file = fs::path(directory) / name; executable(file))
            return file;
    return std::nullopt;
}

std::optional<std::string> unfit(const fs::path &program)
{
    if (!executable(program))
        return "it isn't an executable file";
    if (auto why = privileged(program))
        return why;
    std::ifstream file(program, std::ios::binary);
    ::Elf64_Ehdr header{};
    if (!read_at(file, 0, header.e_ident))
        return file.is_open() ? std::nullopt
                              : std::optional<std::string>("it can't be read: " +
                                                           std::string(std::strerror(errno)));
    if (std::memcmp(header.e_ident, "#!", 2) == 0) {
        file.seekg(2);
        std::string name;
        file >> name;
        auto why = unfit(name);
        return why ? std::optional(name + ", which runs it: " + *why) : std::nullopt;
    }
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return std::nullopt; // a shell's script, or what binfmt_misc knows
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || !read_at(file, 0, header) ||
        header.e_machine != EM_X86_64)
        return "it isn't a 64-bit program for x86-64, as the library is";
    const auto named = loader_of(file, header);
    if (!named)
        return "it is statically linked: its C library is a part of it";
    if (*named != interpreter)
        return "it uses another C library, with the loader " + *named;
    return std::nullopt;
}

} // namespace tool
