// SPDX-License-Identifier: GPL-2.0
// The guest's first process: turns the host's tree into a root file system that can be written to,
// runs the job that qemu/vm left in a file, reports its exit status and ends the machine. A static
// program, as each program that a script would start instead costs a tenth of a second under TCG.

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

// ---- Small things

// Into the kernel's log, which qemu/vm shows if it hears nothing else.
void log(const std::string &line)
{
    const int kmsg = ::open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    (void)!::write(kmsg, line.data(), line.size());
    ::close(kmsg);
}

// For what a guest can't go on without. The end of the first process is a panic, which ends QEMU.
void must(bool success, const std::string &what)
{
    if (success)
        return;
    log("<3>init: " + what + ": " + std::strerror(errno));
    std::_Exit(1);
}

std::string read_file(const std::string &path)
{
    std::string text;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    must(file >= 0, path);
    std::array<char, 4096> part;
    for (ssize_t length; (length = ::read(file, part.data(), part.size())) > 0;)
        text.append(part.data(), length);
    ::close(file);
    return text;
}

bool write_file(const std::string &path, std::string_view text)
{
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0)
        return false;
    const bool written = ::write(file, text.data(), text.size()) == ssize_t(text.size());
    ::close(file);
    return written;
}

std::vector<std::string> split(std::string_view text, char separator)
{
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(separator), text.size());
        parts.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

// ---- The job

struct Job {
    std::string kernel, modules, directory;
    bool patched = false; // whether there is a C library to lay over the host's
    std::vector<std::string> load, shares, environment, command; // no command: a shell
    winsize window{};
};

// The file is a sequence of key=value, each with a null byte at its end.
Job read_job(const std::string &path)
{
    Job job;
    for (const std::string &line : split(read_file(path), '\0')) {
        const std::size_t equals = line.find('=');
        const std::string key = line.substr(0, equals), value = line.substr(equals + 1);
        if (key == "kernel")
            job.kernel = value;
        else if (key == "modules")
            job.modules = value;
        else if (key == "directory")
            job.directory = value;
        else if (key == "glibc")
            job.patched = value == "patched";
        else if (key == "load")
            job.load.push_back(value);
        else if (key == "share")
            job.shares.push_back(value);
        else if (key == "environment")
            job.environment.push_back(value);
        else if (key == "argument")
            job.command.push_back(value);
        else if (key == "rows")
            job.window.ws_row = std::stoi(value);
        else if (key == "columns")
            job.window.ws_col = std::stoi(value);
    }
    return job;
}

// ---- The file tree

// Before this, there is only the archive that this program came in.
void mount_host()
{
    must(!::mkdir("/host", 0755) && !::mount("host", "/host", "9p", MS_RDONLY,
                                             "trans=virtio,version=9p2000.L,cache=loose"),
         "host's tree");
}

// As an administrator would: without this line, the patched library behaves as the host's.
void switch_bundles_on()
{
    const std::string file = "/layers/upper/etc/nsswitch.conf", line = "bundles: files\n";
    std::string text = read_file("/host/etc/nsswitch.conf");
    if (text.find("\nbundles:") == text.npos)
        text += (text.ends_with('\n') ? "" : "\n") + line;
    must(!::mkdir("/layers/upper/etc", 0755) && write_file(file, text), file);
}

// Lays a tmpfs over the host's tree and makes the result the root; between the two, the patched C
// library. /tmp stays the host's, below that tmpfs, as what is tested may lie in it.
void make_root(const Job &job)
{
    std::string layers = "upperdir=/layers/upper,workdir=/layers/work,lowerdir=";
    if (job.patched) {
        // A mount of its own: overlayfs refuses a layer that lies inside another.
        must(!::mkdir("/glibc", 0755) && !::mount("glibc", "/glibc", "9p", MS_RDONLY,
                                                  "trans=virtio,version=9p2000.L,cache=loose"),
             "the patched C library");
        layers += "/glibc:";
    }
    layers += "/host";
    must(!::mkdir("/layers", 0755) && !::mount("tmpfs", "/layers", "tmpfs", 0, "mode=755"),
         "tmpfs");
    for (const char *directory : {"/layers/upper", "/layers/work", "/layers/root"})
        must(!::mkdir(directory, 0755), directory);
    // These are on almost every program's and library's path, and 9p asks the host each time.
    for (const std::string link : {"/bin", "/lib", "/lib64", "/sbin"}) {
        char target[PATH_MAX]{};
        if (::readlink(("/host" + link).c_str(), target, sizeof target - 1) > 0)
            must(!::symlink(target, ("/layers/upper" + link).c_str()), link);
    }
    if (job.patched)
        switch_bundles_on();
    must(!::mount("overlay", "/layers/root", "overlay", 0, (layers + ",redirect_dir=on").c_str()),
         "overlay");
    must(!::chdir("/layers/root") && !::mount(".", "/", nullptr, MS_MOVE, nullptr) &&
             !::chroot("."),
         "root");
}

void mount_file_systems(const Job &job)
{
    struct {
        const char *type, *target, *data;
    } const file_systems[] = {
        {"proc", "/proc", ""},
        {"sysfs", "/sys", ""},
        {"devtmpfs", "/dev", ""},
        {"devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666"},
        {"tmpfs", "/dev/shm", "mode=1777"},
        {"tmpfs", "/run", "mode=755"},
        {"cgroup2", "/sys/fs/cgroup", ""},
        {"debugfs", "/sys/kernel/debug", ""},
        {"tracefs", "/sys/kernel/tracing", ""},
        {"securityfs", "/sys/kernel/security", ""},
        {"selinuxfs", "/sys/fs/selinux", ""},
        {"smackfs", "/sys/fs/smackfs", ""},
    };
    for (const auto &[type, target, data] : file_systems) {
        // The kernel makes the directories below /sys of what it has and what is switched on.
        if (std::string_view(target).starts_with("/sys/") && ::access(target, F_OK))
            continue;
        ::mkdir(target, 0755);
        must(!::mount(type, target, type, 0, data), target);
    }

    ::mkdir("/lib/modules", 0755);
    must(!::mount(job.modules.c_str(), "/lib/modules", nullptr, MS_BIND, nullptr), "/lib/modules");
    for (std::size_t i = 0; i < job.shares.size(); i++) {
        const std::string tag = "share" + std::to_string(i);
        must(!::mount(tag.c_str(), job.shares[i].c_str(), "9p", 0,
                      "trans=virtio,version=9p2000.L,cache=mmap"),
             job.shares[i]);
    }

    // What udev would do.
    ::symlink("/proc/self/fd", "/dev/fd");
    ::symlink("fd/0", "/dev/stdin");
    ::symlink("fd/1", "/dev/stdout");
    ::symlink("fd/2", "/dev/stderr");
}

// ---- Network and modules

void set_loopback_up()
{
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(!::ioctl(socket, SIOCGIFFLAGS, &request), "lo");
    request.ifr_flags |= IFF_UP;
    must(!::ioctl(socket, SIOCSIFFLAGS, &request), "lo");
    ::close(socket);
}

// A line of modules.dep is a module's file, a colon and the files that it needs, those to be loaded
// first last. Without modprobe, as its libraries take long to load.
void load_module(const std::string &name)
{
    utsname system;
    ::uname(&system);
    const std::string directory = std::string("/lib/modules/") + system.release + "/";
    for (std::string line : split(read_file(directory + "modules.dep"), '\n')) {
        const std::string file = line.substr(0, line.find(':'));
        if (!file.ends_with("/" + name + ".ko"))
            continue;
        line.erase(file.size(), 1);
        const std::vector<std::string> files = split(line, ' ');
        for (auto needed = files.rbegin(); needed != files.rend(); ++needed) {
            const int module = ::open((directory + *needed).c_str(), O_RDONLY | O_CLOEXEC);
            must(!::syscall(SYS_finit_module, module, "", 0) || errno == EEXIST, *needed);
            ::close(module);
        }
        return;
    }
    errno = ENOENT;
    must(false, name);
}

// ---- Virtual time

// Virtual time skips what the machine idles, and it idles while the host reads a file for it: each
// access would take seconds. These two keep the CPU busy, below all else, while one is under way.
int trace_accesses()
{
    const std::string trace = "/trace/instances/vm";
    must(!::mkdir("/trace", 0755) && !::mount("tracefs", "/trace", "tracefs", 0, "") &&
             !::mkdir(trace.c_str(), 0755) && write_file(trace + "/buffer_percent", "0") &&
             write_file(trace + "/events/9p/9p_client_req/enable", "1") &&
             write_file(trace + "/events/9p/9p_client_res/enable", "1"),
         "9p's tracepoints");
    const int events = ::open((trace + "/trace_pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    must(events >= 0, "trace_pipe");
    return events;
}

void be_busy_during_accesses(int events)
{
    const sched_param none{};
    must(!::sched_setscheduler(0, SCHED_IDLE, &none), "SCHED_IDLE");
    // Who waits for a response. Not the request, as an interrupted one never gets its response, but
    // the request that cancels it does.
    std::set<std::string> waiting;
    auto last = std::chrono::steady_clock::now();
    std::string text;
    std::array<char, 4096> part;
    for (;;) {
        const ssize_t length = ::read(events, part.data(), part.size());
        if (length > 0) {
            // Lines like "  program-PID  [CPU] flags time: 9p_client_req: what"
            text.append(part.data(), length);
            const std::size_t end = text.rfind('\n') + 1;
            for (const std::string &line : split(text.substr(0, end), '\n')) {
                // By its PID: its name is that at the time of reading, and exec changes it.
                const std::size_t dash = line.rfind('-', line.find('['));
                const std::string task = line.substr(dash + 1, line.find('[') - dash - 1);
                if (line.find(": 9p_client_req: ") != line.npos)
                    waiting.insert(task);
                else if (line.find(": 9p_client_res: ") != line.npos)
                    waiting.erase(task);
            }
            text.erase(0, end);
            last = std::chrono::steady_clock::now();
        } else if (waiting.empty() || std::chrono::steady_clock::now() - last > 10s) {
            waiting.clear(); // if events were lost, rather that than to be busy for ever
            pollfd event{events, POLLIN, 0};
            ::poll(&event, 1, -1);
        }
    }
}

// ---- The command

// The ports' files appear when QEMU has answered, which may be after the first process' start.
int open_port(char number)
{
    for (;; std::this_thread::sleep_for(10ms)) {
        glob_t found;
        const bool exists =
            !::glob((std::string("/dev/vport*p") + number).c_str(), 0, nullptr, &found);
        const int port = exists ? ::open(found.gl_pathv[0], O_RDWR | O_CLOEXEC) : -1;
        ::globfree(&found);
        if (port >= 0)
            return port;
    }
}

// What QEMU can't take at once waits in the port; an error means that QEMU is ending.
void write_all(int file, const char *data, ssize_t length)
{
    while (length > 0) {
        const ssize_t written = ::write(file, data, length);
        if (written <= 0)
            return;
        data += written;
        length -= written;
    }
}

[[noreturn]] void become(const Job &job)
{
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    std::vector<std::string> words = job.command;
    if (words.empty())
        words = {"bash", "--norc"}; // the host's may take its time here
    std::vector<char *> arguments;
    for (std::string &word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);

    if (::chdir(job.directory.c_str())) {
        ::dprintf(2, "qemu/vm: %s: %s\n", job.directory.c_str(), std::strerror(errno));
        std::_Exit(125);
    }
    ::execvp(arguments[0], arguments.data());
    const int error = errno;
    ::dprintf(2, "qemu/vm: %s: %s\n", arguments[0], std::strerror(error));
    std::_Exit(error == ENOENT ? 127 : 126);
}

// Runs the job's command with its output, or its terminal, connected to the port. Returns its exit
// status when it has ended and nothing is left that could still write.
int run(const Job &job)
{
    // Above this much the output's file on the host would become a nuisance.
    constexpr long limit = 1L << 30;
    const int port = open_port('1');
    sigset_t child_ends;
    ::sigemptyset(&child_ends);
    ::sigaddset(&child_ends, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child_ends, nullptr);
    pollfd input{-1, POLLIN, 0}, output{-1, POLLIN, 0},
        ends{::signalfd(-1, &child_ends, SFD_CLOEXEC), POLLIN, 0};

    pid_t child;
    if (job.command.empty()) {
        child = ::forkpty(&output.fd, nullptr, nullptr, &job.window);
        input.fd = port;
    } else {
        // Not the port itself, as that can be opened only once, but programs open /dev/stdout anew.
        int ends_of_pipe[2];
        must(!::pipe2(ends_of_pipe, O_CLOEXEC), "pipe");
        output.fd = ends_of_pipe[0];
        child = ::fork();
        if (child == 0) {
            ::setsid();
            ::dup2(::open("/dev/null", O_RDWR | O_CLOEXEC), 0);
            ::dup2(ends_of_pipe[1], 1);
            ::dup2(ends_of_pipe[1], 2);
        }
        ::close(ends_of_pipe[1]);
    }
    if (child == 0)
        become(job);
    must(child > 0, "fork");

    int status = -1;
    long relayed = 0;
    std::array<char, 32768> buffer; // the most that a port takes at once
    while (status < 0 || output.fd >= 0) {
        std::array polled{output, ends, input};
        ::poll(polled.data(), polled.size(), -1);
        if (polled[0].revents) {
            const ssize_t length = ::read(output.fd, buffer.data(), buffer.size());
            if (length > 0)
                write_all(port, buffer.data(), length);
            else
                output.fd = -1; // nobody has it open any more
            relayed += std::max(length, 0L);
            if (relayed > limit && !job.command.empty())
                ::kill(-1, SIGKILL);
        }
        if (polled[1].revents) {
            signalfd_siginfo ignored;
            (void)!::read(ends.fd, &ignored, sizeof ignored);
            int how;
            for (pid_t ended; (ended = ::waitpid(-1, &how, WNOHANG)) > 0;) {
                if (ended != child)
                    continue;
                status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
                ::kill(-1, SIGKILL); // what it has left running ends with it
            }
        }
        if (polled[2].revents & POLLIN) {
            const ssize_t length = ::read(port, buffer.data(), buffer.size());
            write_all(output.fd, buffer.data(), length);
        } else if (polled[2].revents & POLLHUP) {
            std::this_thread::sleep_for(10ms); // QEMU hasn't opened its side yet
        }
    }
    if (relayed > limit && !job.command.empty()) {
        const std::string_view message = "\nqemu/vm: over 1 GiB of output: killed\n";
        write_all(port, message.data(), message.size());
    }
    return status;
}

// ---- Processors

// The kernel boots with one (qemu/vm says why); the others join it here.
void set_processors_online()
{
    for (int n = 1;; n++) {
        const std::string online = "/sys/devices/system/cpu/cpu" + std::to_string(n) + "/online";
        if (::access(online.c_str(), F_OK))
            return;
        if (!write_file(online, "1"))
            log("<4>WARNING: processor " + std::to_string(n) + " does not start");
    }
}

// ---- Leaks

// kmemleak reports what was unreferenced and unchanged in two scans and is older than five seconds.
// A third one clears what was just on its way to be freed. Whoever boots with kmemleak=off, which
// is some four times as fast, doesn't want to know.
void report_leaks()
{
    const std::string kmemleak = "/sys/kernel/debug/kmemleak";
    if (::access(kmemleak.c_str(), F_OK) ||
        read_file("/proc/cmdline").find("kmemleak=off") != std::string::npos)
        return;
    bool scanned = write_file(kmemleak, "scan");
    for (int round = 0; round < 2 && scanned; round++) {
        std::this_thread::sleep_for(6s);
        scanned = write_file(kmemleak, "scan");
        if (read_file(kmemleak).empty())
            break;
    }
    for (const std::string &line : split(read_file(kmemleak), '\n'))
        log("<4>" + line);
    if (!scanned)
        log("<4>WARNING: kmemleak does not scan");
}

} // namespace

// The job's file and, for --time=virtual, "virtual".
int main(int count, char **arguments)
{
    ::mount("devtmpfs", "/dev", "devtmpfs", 0, ""); // for the log
    if (count > 2)
        std::thread(be_busy_during_accesses, trace_accesses()).detach();
    mount_host();
    const Job job = read_job("/host" + std::string(arguments[1]));
    make_root(job);
    mount_file_systems(job);
    ::sethostname(job.kernel.data(), job.kernel.size());
    set_loopback_up();
    set_processors_online();
    for (const std::string &module : job.load)
        load_module(module);

    ::clearenv();
    for (const std::string &variable : job.environment)
        ::putenv(const_cast<char *>(variable.c_str()));
    const std::string status = std::to_string(run(job)) + "\n";
    report_leaks();
    write_all(open_port('2'), status.data(), status.size());
    ::reboot(RB_AUTOBOOT); // with -no-reboot, QEMU's end
}
