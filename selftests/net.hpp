// SPDX-License-Identifier: GPL-2.0
// What the tests need of the system: descriptors, errors as text, network namespaces of the test's
// own, ip(8) and sysctls. Everything here throws std::runtime_error if the environment fails.
#pragma once

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace net {

// A descriptor that closes itself.
class fd {
  public:
    fd() noexcept = default;
    explicit fd(int number) noexcept : number_(number) {}
    fd(fd &&other) noexcept : number_(std::exchange(other.number_, -1)) {}
    fd &operator=(fd &&other) noexcept
    {
        std::swap(number_, other.number_);
        return *this;
    }
    ~fd() { reset(); }

    // Sockets are made to be used as int, everywhere.
    operator int() const noexcept { return number_; } // NOLINT
    void reset() noexcept
    {
        const int saved = errno;
        if (number_ >= 0)
            close(number_);
        number_ = -1;
        errno = saved;
    }

  private:
    int number_ = -1;
};

// "ok", or the name of errno, so that a failed comparison reads by itself.
inline std::string outcome(long result)
{
    if (result >= 0)
        return "ok";
    const char *name = strerrorname_np(errno);
    return name ? name : std::to_string(errno);
}

[[noreturn]] inline void fail(const std::string &what)
{
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

inline bool is_root()
{
    return geteuid() == 0;
}

inline bool have_ipv6()
{
    return access("/proc/self/net/if_inet6", F_OK) == 0;
}

inline std::string slurp(const std::string &path)
{
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline void spill(const std::string &path, const std::string &text)
{
    const fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        fail(path);
}

// Runs a program with its standard input. Throws, with what it printed, if it fails.
inline void run(std::initializer_list<const char *> command, const std::string &input = {})
{
    const fd in(memfd_create("in", MFD_CLOEXEC)), out(memfd_create("out", MFD_CLOEXEC));
    if (in < 0 || out < 0 || write(in, input.data(), input.size()) < 0 || lseek(in, 0, SEEK_SET))
        fail("memfd");
    std::array<char *, 16> argv{};
    std::size_t i = 0;
    for (const char *word : command)
        argv.at(i++) = const_cast<char *>(word);
    const pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail("waitpid");
    if (status != 0) {
        std::string text(4096, '\0');
        const ssize_t n = pread(out, text.data(), text.size(), 0);
        text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        throw std::runtime_error(std::string(argv[0]) + " failed (" + std::to_string(status) +
                                 "): " + text + "\ninput was:\n" + input);
    }
}

// What @f returns in a child process, as text, or how that process has ended.
template <typename F>
std::string in_child(F f)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    const fd out(ends[0]);
    fd in(ends[1]);
    const pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        std::string text;
        try {
            text = f();
        } catch (const std::exception &e) {
            text = e.what();
        }
        _exit(write(in, text.data(), text.size()) < 0);
    }
    in.reset();
    std::string text;
    char part[512];
    for (ssize_t n; (n = read(out, part, sizeof(part))) > 0;)
        text.append(part, static_cast<std::size_t>(n));
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail("waitpid");
    if (WIFSIGNALED(status))
        return std::string("SIG") + sigabbrev_np(WTERMSIG(status));
    return status == 0 ? text : "exit status " + std::to_string(WEXITSTATUS(status));
}

// Lines for ip(8), each without the word "ip", in the current namespace.
inline void ip(const std::string &lines)
{
    run({"ip", "-batch", "-"}, lines);
}

// Lines for ip() that bring a link up with no address of the kernel's choice.
inline std::string link_up(const std::string &link)
{
    const std::string set = "link set " + link;
    return (have_ipv6() ? set + " addrgenmode none\n" : "") + set + " up\n";
}

// A sysctl (below /proc/sys, of the current namespace) set as long as this object lives.
class sysctl {
  public:
    sysctl(const std::string &name, const std::string &value)
        : path_("/proc/sys/" + name), before_(slurp(path_))
    {
        spill(path_, value);
    }
    sysctl(const sysctl &) = delete;
    ~sysctl()
    {
        try {
            spill(path_, before_);
        } catch (const std::exception &) {
            // Its namespace goes away with the test.
        }
    }

  private:
    std::string path_, before_;
};

// A network namespace of the test's own. It is gone when this object and its sockets are.
class netns {
  public:
    // Creates one and enters it. lo is up; IPv6 addresses are usable at once, without waiting for
    // duplicate address detection.
    netns()
    {
        if (unshare(CLONE_NEWNET) < 0)
            fail("unshare");
        self_ = fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        if (self_ < 0)
            fail("/proc/thread-self/ns/net");
        if (have_ipv6())
            for (const char *which : {"all", "default"})
                spill(std::string("/proc/sys/net/ipv6/conf/") + which + "/accept_dad", "0");
        ip("link set lo up\n");
    }

    // Moves the calling thread here.
    void enter() const
    {
        if (setns(self_, CLONE_NEWNET) < 0)
            fail("setns");
    }

    // A name by which ip(8), run by this process, finds it.
    [[nodiscard]] std::string name() const
    {
        return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(self_);
    }

    // Runs @f in this namespace and comes back to @home.
    template <typename F>
    auto in(const netns &home, F f) const
    {
        struct back {
            const netns &home;
            ~back() { home.enter(); }
        } const guard{home};
        enter();
        return f();
    }

  private:
    fd self_;
};

// Takes a capability from this thread's effective set as long as this object lives.
class without_capability {
  public:
    explicit without_capability(unsigned capability)
    {
        if (syscall(SYS_capget, &header_, before_.data()) < 0)
            fail("capget");
        auto now = before_;
        now.at(capability / 32).effective &= ~(1U << (capability % 32));
        if (syscall(SYS_capset, &header_, now.data()) < 0)
            fail("capset");
    }
    without_capability(const without_capability &) = delete;
    ~without_capability() { syscall(SYS_capset, &header_, before_.data()); }

  private:
    __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> before_{};
};

// Two pages, the second unreadable: a socket address may end exactly where memory does.
class guarded_memory {
  public:
    guarded_memory()
    {
        void *memory =
            mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED || mprotect(static_cast<char *>(memory) + page, page, PROT_NONE))
            fail("mmap");
        memory_ = static_cast<std::byte *>(memory);
    }
    guarded_memory(const guarded_memory &) = delete;
    ~guarded_memory() { munmap(memory_, 2 * page); }

    // Where @n readable bytes are left before the end.
    [[nodiscard]] std::byte *last(std::size_t n) const { return memory_ + page - n; }
    static constexpr std::size_t page = 4096;

  private:
    std::byte *memory_ = nullptr;
};

// Polls until one of @events is there. Returns what poll(2) found; 0 after @milliseconds.
inline short wait_for(int fd, short events, int milliseconds = 5000)
{
    pollfd entry{fd, events, 0};
    return poll(&entry, 1, milliseconds) == 1 ? entry.revents : short{0};
}

// Repeats until @condition holds, for at most @milliseconds.
inline bool eventually(const std::function<bool()> &condition, int milliseconds = 5000)
{
    for (int waited = 0; !condition(); waited += 10) {
        if (waited >= milliseconds)
            return false;
        poll(nullptr, 0, 10);
    }
    return true;
}

// What SCTP has made and not freed, in all namespaces: a kind and its number on each line.
inline std::string sctp_objects()
{
    return slurp("/proc/thread-self/net/sctp/sctp_dbg_objcnt");
}

} // namespace net
