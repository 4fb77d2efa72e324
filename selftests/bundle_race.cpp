// SPDX-License-Identifier: GPL-2.0
// Calls against each other: four threads on the same bundle sockets, with no more in common than a
// start. What they return is of little interest; what the kernel reports is, and that nothing is
// left over. For several processors; BUNDLE_RACE_SECONDS says how long each test takes.
#include "ktap.hpp"
#include "stream.hpp"

#include <atomic>
#include <barrier>
#include <random>
#include <thread>

namespace {

using namespace sctp;

// What thread @i does in a round, and a source of chance of its own.
using part = std::function<void(std::mt19937 &)>;

class Race : public Stream {
  protected:
    static void SetUpTestSuite()
    {
        const char *text = std::getenv("BUNDLE_RACE_SECONDS");
        seconds = text ? std::atof(text) : 2;
        // Threads are waited for as long as a call may take.
        ktap::test_limit = static_cast<int>(seconds) + 120;
        Stream::SetUpTestSuite();
        if (!hosts_)
            return;
        // Nothing waits for long.
        for (const char *name : {"bundle_connect_timeout", "rto_initial", "rto_max"})
            net::spill(std::string("/proc/sys/net/sctp/") + name, "1000");
        net::ip("link add d0 type dummy\n" + net::link_up("d0") + "addr add 10.0.9.1/24 dev d0\n");
    }

    void SetUp() override
    {
        Stream::SetUp();
        objects_ = net::sctp_objects();
    }

    // What a test leaves behind is found by who counts.
    void TearDown() override
    {
        HostsTest::TearDown();
        std::printf("# %ld rounds\n", rounds_);
        if (HasFatalFailure() || IsSkipped())
            return;
        std::string now;
        EXPECT_TRUE(net::eventually([&] { return (now = net::sctp_objects()) == objects_; }, 30000))
            << "objects before:\n"
            << objects_ << "and now:\n"
            << now;
    }

    static int chance(std::mt19937 &random, int n)
    {
        return std::uniform_int_distribution(0, n - 1)(random);
    }

    // For the time that a test has, and @least rounds: @before, then all parts at once, each after
    // some moments of its own, then @after.
    void race(const std::function<void()> &before, const std::vector<part> &parts,
              const std::function<void()> &after, long least = 3)
    {
        std::barrier meet(static_cast<std::ptrdiff_t>(parts.size()) + 1);
        std::atomic<bool> done = false;
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < parts.size(); i++)
            threads.emplace_back([&, i] {
                std::mt19937 random(static_cast<unsigned>(i));
                for (;;) {
                    meet.arrive_and_wait();
                    if (done)
                        return;
                    for (int spin = chance(random, 5000); spin > 0; spin--)
                        std::atomic_signal_fence(std::memory_order_seq_cst);
                    parts[i](random);
                    meet.arrive_and_wait();
                }
            });
        const double end = now() + seconds;
        while ((now() < end || rounds_ < least) && !HasFailure()) {
            before();
            meet.arrive_and_wait();
            meet.arrive_and_wait();
            after();
            rounds_++;
        }
        done = true;
        meet.arrive_and_wait();
        for (std::thread &t : threads)
            t.join();
    }

    // No call may wait for longer.
    static void impatient(int s)
    {
        const timeval limit{0, 50000};
        set_option(s, SOL_SOCKET, SO_RCVTIMEO, limit);
        set_option(s, SOL_SOCKET, SO_SNDTIMEO, limit);
    }
    static fd impatient_socket(int type = SOCK_STREAM)
    {
        fd result = open_socket(type);
        impatient(result);
        return result;
    }

    // Any option that a bundle socket has, whatever comes of it.
    static void ask(int s, std::mt19937 &random)
    {
        static constexpr std::pair<int, int> options[] = {
            {SOL_BUNDLE, BUNDLE_NAMES},       {SOL_BUNDLE, BUNDLE_STREAM},
            {SOL_BUNDLE, BUNDLE_LOCAL_ADDRS}, {SOL_BUNDLE, BUNDLE_PEER_ADDRS},
            {SOL_BUNDLE, BUNDLE_PATHS},       {IPPROTO_TCP, TCP_INFO},
            {IPPROTO_TCP, TCP_MAXSEG},        {IPPROTO_TCP, TCP_KEEPIDLE},
            {IPPROTO_TCP, TCP_CORK},          {IPPROTO_SCTP, SCTP_STATUS},
            {SOL_SOCKET, SO_ERROR},           {SOL_SOCKET, SO_KEEPALIVE}};
        alignas(8) char room[4096] = {};
        socklen_t length = sizeof(room);
        const auto [level, option] =
            options[static_cast<std::size_t>(chance(random, std::size(options)))];
        getsockopt(s, level, option, room, &length);
        length = sizeof(room);
        if (chance(random, 2))
            getpeername(s, reinterpret_cast<sockaddr *>(room), &length);
        else
            getsockname(s, reinterpret_cast<sockaddr *>(room), &length);
    }
    static void change(int s, std::mt19937 &random)
    {
        static constexpr std::pair<int, int> options[] = {
            {SOL_BUNDLE, BUNDLE_NAMES},      {SOL_BUNDLE, BUNDLE_STREAM},
            {IPPROTO_TCP, TCP_NODELAY},      {IPPROTO_TCP, TCP_CORK},
            {IPPROTO_TCP, TCP_KEEPIDLE},     {IPPROTO_TCP, TCP_KEEPINTVL},
            {IPPROTO_TCP, TCP_USER_TIMEOUT}, {SOL_SOCKET, SO_KEEPALIVE},
            {SOL_SOCKET, SO_RCVLOWAT},       {IPPROTO_IP, IP_TOS},
            {IPPROTO_IPV6, IPV6_TCLASS}};
        const auto [level, option] =
            options[static_cast<std::size_t>(chance(random, std::size(options)))];
        set_option(s, level, option, chance(random, 2));
    }
    static void peek_or_take(int s, std::mt19937 &random)
    {
        static constexpr int flags[] = {0, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL,
                                        MSG_PEEK | MSG_WAITALL};
        char room[3000];
        sockaddr_storage name;
        socklen_t length = sizeof(name);
        ::recvfrom(s, room, 1 + static_cast<std::size_t>(chance(random, sizeof(room))),
                   flags[chance(random, std::size(flags))], reinterpret_cast<sockaddr *>(&name),
                   &length);
    }
    static void send_some(int s, std::mt19937 &random)
    {
        static const std::string text = pattern(200000);
        const std::size_t n =
            1 + static_cast<std::size_t>(
                    chance(random, chance(random, 10) ? 2000 : static_cast<int>(text.size())));
        ::send(s, text.data(), n, MSG_NOSIGNAL | (chance(random, 2) ? MSG_DONTWAIT : 0));
    }

    static void aborted(fd &s)
    {
        if (s >= 0)
            set_option(s, SOL_SOCKET, SO_LINGER, abort_on_close);
        s.reset();
    }

    static inline double seconds = 0;
    std::string objects_;
    long rounds_ = 0;
};

TEST_F(Race, BindAgainstBindTakesOneBundleWhole)
{
    fd s;
    std::atomic<int> winner, won;
    std::vector<addresses> sets;
    for (const auto &texts : {std::initializer_list<const char *>{"10.0.1.1", "10.0.2.1"},
                              {"10.0.1.1", "fd00:3::1"},
                              {"10.0.2.1", "fd00:3::1"},
                              {"fd00:3::1"}})
        sets.push_back(addrs(texts, port));
    std::vector<part> parts;
    for (int i = 0; i < 4; i++)
        parts.emplace_back([&, i](std::mt19937 &) {
            if (bind_to(s, sets[static_cast<std::size_t>(i)]) == 0)
                winner = i, won++;
        });
    race(
        [&] {
            s = open_socket();
            winner = -1, won = 0;
        },
        parts,
        [&] {
            EXPECT_EQ(won, 1);
            if (winner >= 0) {
                EXPECT_EQ(local_set(s), sorted(sets[static_cast<std::size_t>(winner.load())]));
            }
            s.reset();
        });
}

TEST_F(Race, TwoSocketsAgainstEachOtherForOnePort)
{
    fd sockets[4];
    std::atomic<int> won;
    std::vector<part> parts;
    for (fd &s : sockets)
        parts.emplace_back([&](std::mt19937 &) {
            if (bind_to(s, two_hosts::client_addrs(port)) == 0)
                won++;
        });
    race(
        [&] {
            for (fd &s : sockets)
                s = open_socket();
            won = 0;
        },
        parts,
        [&] {
            EXPECT_EQ(won, 1);
            for (fd &s : sockets)
                s.reset();
        });
}

TEST_F(Race, BindAgainstConnectAgainstListenAgainstOptions)
{
    const fd listening = hosts().listener(servers);
    nonblocking(listening);
    fd s;
    race([&] { s = impatient_socket(); },
         {[&](std::mt19937 &) { bind_to(s, two_hosts::client_addrs(client_port)); },
          [&](std::mt19937 &) { connect_to(s, servers); },
          [&](std::mt19937 &random) {
              if (chance(random, 2))
                  ::listen(s, 4);
              else
                  change(s, random);
          },
          [&](std::mt19937 &random) { ask(s, random); }},
         [&] {
             aborted(s);
             for (fd one; (one = fd(::accept(listening, nullptr, nullptr))) >= 0;)
                 aborted(one);
         });
}

TEST_F(Race, ConnectAgainstConnectAgainstOptions)
{
    const fd listening = hosts().listener(servers);
    nonblocking(listening);
    // Where somebody is, the handshake is over before the next call comes.
    const addresses nobody = addrs({"10.0.9.2", "10.0.9.3"}, port);
    const addresses *to = &nobody;
    fd s;
    const part connects = [&](std::mt19937 &random) {
        nonblocking(s, chance(random, 2));
        for (int i = 0; i < 3; i++)
            connect_to(s, *to);
    };
    race(
        [&] {
            s = impatient_socket();
            to = to == &nobody ? &servers : &nobody;
        },
        {connects, connects,
         [&](std::mt19937 &random) {
             for (int i = 0; i < 10; i++)
                 ask(s, random);
         },
         [&](std::mt19937 &random) {
             net::wait_for(s, POLLOUT, 1);
             for (int i = 0; i < 3; i++)
                 change(s, random);
             send_some(s, random);
         }},
        [&] {
            aborted(s);
            for (fd one; (one = fd(::accept(listening, nullptr, nullptr))) >= 0;)
                aborted(one);
        });
}

TEST_F(Race, ConnectAgainstCloseAgainstShutdown)
{
    const fd listening = hosts().listener(servers);
    nonblocking(listening);
    fd s;
    std::atomic<int> number;
    race(
        [&] {
            s = impatient_socket();
            number = s;
        },
        {[&](std::mt19937 &) { connect_to(number, servers); },
         [&](std::mt19937 &random) {
             if (chance(random, 2))
                 set_option(number, SOL_SOCKET, SO_LINGER, abort_on_close);
             s.reset();
         },
         [&](std::mt19937 &random) {
             ::shutdown(number, chance(random, 3));
             net::wait_for(number, POLLIN | POLLOUT, 1);
         },
         [&](std::mt19937 &random) {
             ask(number, random);
             send_some(number, random);
         }},
        [&] {
            for (fd one; (one = fd(::accept(listening, nullptr, nullptr))) >= 0;)
                aborted(one);
        });
}

TEST_F(Race, AcceptAgainstAcceptAgainstConnectAgainstClose)
{
    fd listening, connecting[2];
    std::atomic<int> number;
    const part accepts = [&](std::mt19937 &random) {
        for (int i = 0; i < 2; i++) {
            fd one(::accept(number, nullptr, nullptr));
            if (one >= 0) {
                ask(one, random);
                if (chance(random, 2))
                    aborted(one);
            }
        }
    };
    race(
        [&] {
            listening = hosts().listener(servers);
            impatient(listening);
            number = listening;
            for (fd &c : connecting)
                c = impatient_socket();
        },
        {accepts, accepts,
         [&](std::mt19937 &) {
             for (const fd &c : connecting)
                 connect_to(c, servers);
         },
         [&](std::mt19937 &random) {
             if (chance(random, 2))
                 poll(nullptr, 0, chance(random, 3));
             ::shutdown(number, SHUT_RD);
             listening.reset();
         }},
        [&] {
            for (fd &c : connecting)
                aborted(c);
        });
}

TEST_F(Race, SendAgainstReceiveAgainstShutdownAgainstOptions)
{
    const fd listening = hosts().listener(servers);
    ends c;
    race(
        [&] {
            c.client = open_socket();
            ASSERT_EQ(outcome(connect_to(c.client, servers)), "ok");
            c.server = sctp::accept(listening);
            impatient(c.client);
            impatient(c.server);
        },
        {[&](std::mt19937 &random) {
             for (int i = 0; i < 4; i++)
                 send_some(i % 2 ? c.client : c.server, random);
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < 4; i++)
                 peek_or_take(i % 2 ? c.client : c.server, random);
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < 6; i++) {
                 change(i % 2 ? c.client : c.server, random);
                 ask(i % 2 ? c.server : c.client, random);
                 net::wait_for(i % 2 ? c.client : c.server, POLLIN | POLLOUT | POLLRDHUP, 0);
             }
         },
         [&](std::mt19937 &random) {
             int n;
             ::ioctl(c.client, FIONREAD, &n);
             if (chance(random, 2))
                 poll(nullptr, 0, chance(random, 4));
             ::shutdown(chance(random, 2) ? c.client : c.server, chance(random, 3));
             ::shutdown(c.server, SHUT_WR);
         }},
        [&] {
            aborted(c.client);
            aborted(c.server);
        });
}

TEST_F(Race, OptionsAgainstDataAgainstPoll)
{
    const fd listening = hosts().listener(servers);
    ends c;
    constexpr int often = 30;
    race(
        [&] {
            c.client = open_socket();
            ASSERT_EQ(outcome(connect_to(c.client, servers)), "ok");
            c.server = sctp::accept(listening);
            impatient(c.client);
            nonblocking(c.server);
        },
        {[&](std::mt19937 &) {
             for (int i = 0; i < often; i++) {
                 set_option(c.server, SOL_BUNDLE, BUNDLE_NAMES, i % 2);
                 set_option(c.server, IPPROTO_TCP, TCP_CORK, i % 2);
             }
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < often; i++) {
                 send_some(c.server, random);
                 peek_or_take(c.server, random);
             }
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < often; i++) {
                 ask(c.server, random);
                 net::wait_for(c.server, POLLIN | POLLOUT | POLLRDHUP, 0);
             }
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < 3; i++) {
                 send_some(c.client, random);
                 peek_or_take(c.client, random);
             }
             ::shutdown(c.client, SHUT_WR);
             if (chance(random, 2))
                 aborted(c.client);
         }},
        [&] {
            aborted(c.client);
            aborted(c.server);
        });
}

TEST_F(Race, ReceiveAgainstReceiveOfTheSameStream)
{
    const fd listening = hosts().listener(servers);
    ends c;
    std::atomic<long> sent, got;
    const part receives = [&](std::mt19937 &random) {
        char room[5000];
        for (ssize_t n;
             (n = ::recv(c.server, room, sizeof(room), chance(random, 2) ? MSG_WAITALL : 0)) > 0;)
            got += n;
    };
    race(
        [&] {
            c.client = open_socket();
            ASSERT_EQ(outcome(connect_to(c.client, servers)), "ok");
            c.server = sctp::accept(listening);
            sent = got = 0;
        },
        {receives, receives, receives,
         [&](std::mt19937 &random) {
             const std::string text = pattern(1 + static_cast<std::size_t>(chance(random, 100000)));
             sent = send_all(c.client, text);
             ::shutdown(c.client, SHUT_WR);
         }},
        [&] {
            EXPECT_EQ(got, sent);
            aborted(c.client);
            aborted(c.server);
        });
}

TEST_F(Race, PeelOffAgainstSendAgainstNamesAgainstClose)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET);
    fd s;
    std::atomic<int> number;
    const part peels = [&](std::mt19937 &) {
        struct {
            std::uint32_t count;
            sctp_assoc_t ids[8];
        } list{};
        socklen_t length = sizeof(list);
        if (getsockopt(number, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &list, &length) < 0 ||
            list.count == 0)
            return;
        sctp_peeloff_arg_t arg{list.ids[0], 0};
        length = sizeof(arg);
        if (getsockopt(number, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &arg, &length) >= 0) {
            const fd peeled(arg.sd);
            impatient(peeled);
            sctp::sendto(peeled, servers, "peeled", MSG_DONTWAIT);
        }
    };
    impatient(server);
    race(
        [&] {
            s = impatient_socket(SOCK_SEQPACKET);
            number = s;
            sctp::sendto(s, servers);
        },
        {peels,
         [&](std::mt19937 &) {
             for (int i = 0; i < 4; i++)
                 sctp::sendto(number, servers, "a message", MSG_DONTWAIT);
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < 4; i++) {
                 change(server, random);
                 peek_or_take(server, random);
                 ask(number, random);
             }
         },
         [&](std::mt19937 &random) {
             peels(random);
             if (chance(random, 2))
                 poll(nullptr, 0, chance(random, 3));
             if (chance(random, 2))
                 set_option(number, SOL_SOCKET, SO_LINGER, abort_on_close);
             s.reset();
         }},
        [&] {
            char room[100];
            while (::recv(server, room, sizeof(room), MSG_DONTWAIT) > 0)
                ;
        });
}

TEST_F(Race, AddressesGoAndComeWhileSocketsBindAndConnect)
{
    const fd listening = hosts().listener(servers);
    nonblocking(listening);
    fd s, t;
    race(
        [&] {
            s = impatient_socket();
            t = impatient_socket(SOCK_SEQPACKET);
        },
        {[&](std::mt19937 &random) {
             const std::string which =
                 chance(random, 2) ? "10.0.2.1/24 dev v2\n" : "fd00:3::1/64 dev v3\n";
             net::ip("addr del " + which + "addr add " + which);
         },
         [&](std::mt19937 &random) {
             bind_to(s, two_hosts::client_addrs(client_port));
             for (int i = 0; i < 5; i++) {
                 connect_to(s, servers);
                 ask(s, random);
             }
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < 5; i++) {
                 sctp::sendto(t, servers, "x", MSG_DONTWAIT);
                 ask(t, random);
             }
         },
         [&](std::mt19937 &random) {
             for (int i = 0; i < 5; i++) {
                 fd one = impatient_socket();
                 connect_to(one, servers);
                 send_some(one, random);
                 aborted(one);
             }
         }},
        [&] {
            aborted(s);
            aborted(t);
            for (fd one; (one = fd(::accept(listening, nullptr, nullptr))) >= 0;)
                aborted(one);
        });
}

TEST_F(Race, NamespacesGoWhileSocketsConnect)
{
    const part lives = [&](std::mt19937 &random) {
        {
            const net::netns own; // the thread is in it
            const std::uint16_t p = 5000;
            const addresses here = addrs({"127.0.0.1", "::1"}, p);
            const fd listening = listen_at(here);
            fd s[3], dead = open_socket();
            for (fd &one : s) {
                one = impatient_socket();
                nonblocking(one, chance(random, 2));
                connect_to(one, here);
            }
            nonblocking(dead);
            net::ip("link add d0 type dummy\nlink set d0 up\naddr add 10.9.0.1/24 dev d0\n");
            connect_to(dead, addrs({"10.9.0.2", "10.9.0.3"}, p));
            if (chance(random, 2))
                hosts().client.enter(); // the sockets go last
            send_some(s[0], random);
        }
        hosts().client.enter();
    };
    race([] {}, {lives, lives, lives, lives}, [] {});
}

TEST_F(Race, TheModuleGoesAndComesUnderLoad)
{
    if (access("/sys/module/bundle/refcnt", F_OK))
        GTEST_SKIP() << "bundle is built in";
    const fd listening =
        hosts().listener({servers[0]}, SOCK_STREAM, AF_INET); // of an ordinary socket
    nonblocking(listening);
    std::atomic<long> removed = 0, made = 0, refused = 0;
    const part uses = [&](std::mt19937 &random) {
        for (int i = 0; i < 5; i++) {
            fd s(::socket(AF_BUNDLE, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP));
            if (s >= 0) {
                made++;
                impatient(s);
                connect_to(s, chance(random, 2) ? addresses{servers[0]} : servers);
                ask(s, random);
                aborted(s);
            } else {
                refused++;
            }
        }
    };
    race([] {},
         {uses, uses,
          // Without bundle.ko it takes no bundle.
          [&](std::mt19937 &) {
              for (int i = 0; i < 20; i++) {
                  fd s = open_socket(SOCK_STREAM, AF_INET);
                  nonblocking(s);
                  const std::string result = outcome(connect_to(s, addresses{servers[0]}));
                  EXPECT_TRUE(result == "EINPROGRESS" || result == "EAFNOSUPPORT" || result == "ok")
                      << result;
                  aborted(s);
              }
          },
          [&](std::mt19937 &) {
              // Once in each round, as soon as the others let it.
              for (int i = 0; i < 2000; i++, poll(nullptr, 0, 1))
                  if (syscall(SYS_delete_module, "bundle", O_NONBLOCK) == 0) {
                      removed++;
                      return;
                  }
          }},
         [&] {
             for (fd one; (one = fd(::accept(listening, nullptr, nullptr))) >= 0;)
                 aborted(one);
         },
         5);
    net::run({"modprobe", "bundle"});
    std::printf("# %ld times removed, %ld sockets made, %ld not\n", removed.load(), made.load(),
                refused.load());
    EXPECT_GT(removed, 0);
    EXPECT_GT(made, 0);
}

} // namespace
