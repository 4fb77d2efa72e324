// SPDX-License-Identifier: GPL-2.0
// A fuzzer of system calls on bundle sockets and ordinary SCTP sockets. A program is some calls,
// made by up to four threads on one table of sockets; it runs in a child, in a namespace with
// addresses on a dummy device. Run it in a guest: see tools/fuzz.
#include "session.hpp"
#include "worker.hpp"

#include <atomic>
#include <memory>
#include <thread>

#include <signal.h>
#include <sys/mman.h>

namespace {

using namespace fuzz;

// --- A program -----------------------------------------------------------------------------------

// Sockets that are connected already, so that not every program begins with nothing.
void scene(choices &c)
{
    const std::uint32_t which = c.below(4);
    for (auto &one : table)
        one = -1;
    if (which == 0)
        return;
    const int type = which == 3 ? SOCK_SEQPACKET : SOCK_STREAM;
    const int families[] = {AF_BUNDLE, AF_INET6, AF_INET};
    const auto members = sctp::addrs({"10.9.0.1", "10.9.0.2", "10.9.0.3"}, ports[0]);
    const int server = socket(c.chance(1, 6) ? c.element(families) : AF_BUNDLE, type, IPPROTO_SCTP);
    const int client = socket(c.chance(1, 6) ? c.element(families) : AF_BUNDLE, type, IPPROTO_SCTP);
    table[0] = unblocked(server);
    table[1] = unblocked(client);
    sctp::bind_to(server, members);
    listen(server, 8);
    if (sctp::connect_to(client, members) < 0 && errno == EINPROGRESS)
        net::wait_for(client, POLLOUT, 1000);
    if (which == 2)
        table[2] = unblocked(accept4(server, nullptr, nullptr, 0));
    if (which != 1)
        common->established++;
}

// What a list of numbers stands for. Each call has as many, so that one can be left out.
struct program {
    static constexpr std::size_t head = 3 + numbers_each;

    explicit program(choices &c) : threads(1 + c.below(4)), scribble(c.chance(1, 4)), lists(threads)
    {
        const std::uint32_t calls = 20 + c.below(80);
        beginning.emplace_back(some(c));
        for (std::uint32_t i = 0; i < calls && c.more(); i++) {
            std::vector<std::uint32_t> numbers = some(c);
            lists[numbers.back() % threads].emplace_back(std::move(numbers));
        }
    }

    std::uint32_t threads;
    bool scribble;
    std::vector<choices> beginning;
    std::vector<std::vector<choices>> lists;

  private:
    static std::vector<std::uint32_t> some(choices &c)
    {
        std::vector<std::uint32_t> result(numbers_each);
        for (std::uint32_t &n : result)
            n = c.below(0xffffffff);
        return result;
    }
};

// In the child: all of one program.
void run_program(program &p)
{
    alone = p.threads == 1;
    scene(p.beginning[0]);
    std::atomic<std::uint32_t> running = p.threads;
    for (auto &list : p.lists)
        std::thread([&running, &list] {
            worker w;
            for (choices &one : list)
                w.call(one);
            running--;
        }).detach();
    // Whoever waits for good is left to the end of the process.
    for (int i = 0; running > 0 && i < 400; i++) {
        // On one processor only what preempts the kernel between two reads would be seen.
        const bool beside = std::thread::hardware_concurrency() > 1;
        for (int n = p.scribble ? beside ? 100000 : 1 : 0; n > 0; n--)
            for (const std::size_t at : {4U, 2U, 8U, 12U, 6U})
                std::atomic_ref(reinterpret_cast<std::uint8_t &>(common->scribbled[at]))++;
        poll(nullptr, 0, p.scribble && beside ? 0 : 5);
    }
    _exit(0);
}

class home {
  public:
    home()
    {
        std::ostringstream lines;
        lines << "link add d0 type dummy\nlink set d0 up\naddr add fd00:9::1/64 dev d0 nodad\n"
                 "addr add fd00:9::2/64 dev d0 nodad\n";
        for (int i = 1; i <= 4; i++)
            lines << "addr add 10.9.0." << i << "/24 dev d0\n";
        net::ip(lines.str());
        for (const auto &[name, value] : {std::pair{"rto_min", "20"},
                                          {"rto_initial", "50"},
                                          {"rto_max", "200"},
                                          {"hb_interval", "200"},
                                          {"association_max_retrans", "3"},
                                          {"max_init_retransmits", "2"}})
            net::spill(std::string("/proc/sys/net/sctp/") + name, value);
    }

  private:
    net::netns here_;
};

// What SCTP has made, and who uses the module; not the addresses, which programs change.
std::string in_use()
{
    std::istringstream lines(net::sctp_objects());
    std::string result;
    for (std::string line; std::getline(lines, line);)
        if (!line.starts_with("addr:"))
            result += line + ' ';
    return result + "module: " + net::slurp("/sys/module/bundle/refcnt");
}

// Runs a program; afterwards as much must be in use as is @idle.
std::string run(program &p, const std::string &idle)
{
    common->broken = 0;
    const pid_t child = fork();
    if (child < 0)
        return "fork failed";
    if (child == 0) {
        try {
            run_program(p);
        } catch (const std::exception &e) {
            broken(std::string("the fuzzer itself: ") + e.what());
        }
        _exit(1);
    }
    int status = 0;
    for (int waited = 0; waitpid(child, &status, WNOHANG) == 0; waited++) {
        if (waited == 2000)
            kill(child, SIGKILL);
        if (waited == 6000)
            return "can't be killed: a call hangs";
        poll(nullptr, 0, 10);
    }
    if (common->broken != 0)
        return common->wrong;
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGIO)
        return "the child died of signal " + std::to_string(WTERMSIG(status));
    // A program may have asked for time-outs of minutes, and then taken an address away.
    std::string now;
    if (!net::eventually([&] { return (now = in_use()) == idle; }, 600000))
        return "something is left: before " + idle + "now " + now + '\n' +
               net::slurp("/proc/net/sctp/assocs");
    return {};
}

} // namespace

int main(int argc, char **argv)
{
    CLI::App app{"Makes system calls on bundle sockets at random", "fuzz_calls"};
    fuzz::options o;
    o.add_to(app);
    CLI11_PARSE(app, argc, argv);

    if (o.print) {
        choices numbers(o.number(0));
        const program drawn(numbers);
        std::cout << "# unit " << numbers_each << " after " << program::head << '\n';
        fuzz::write(std::cout, numbers.list());
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    common = static_cast<shared *>(
        mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (common == MAP_FAILED)
        net::fail("mmap");
    // Programs leave their namespace behind with what is still in it.
    std::unique_ptr<home> place;
    std::string idle;
    std::uint64_t programs = 0;
    const int failed = fuzz::session("fuzz_calls", o, [&](fuzz::input &one) {
        if (programs++ % 32 == 0) {
            place.reset();
            place = std::make_unique<home>();
            if (idle.empty())
                idle = in_use();
        }
        program p(one.numbers);
        return run(p, idle);
    });
    std::uint64_t calls = 0, good = 0;
    for (std::uint32_t k = 0; k < kinds; k++) {
        std::cout << "# " << names[k] << ": " << common->calls[k] << ", of which "
                  << common->good[k] << " succeeded\n";
        calls += common->calls[k];
        good += common->good[k];
    }
    std::cout << "fuzz_calls: totals: " << programs << " programs, " << calls << " calls, " << good
              << " succeeded, " << common->established << " connections, " << common->received
              << " bytes received, " << failed << " failed\n";
    return failed != 0;
}
