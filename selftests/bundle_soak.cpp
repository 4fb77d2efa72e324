// SPDX-License-Identifier: GPL-2.0
// Hours of traffic over bundles while paths come and go and either side restarts: nothing is lost
// or changed but with connections that were aborted, and nothing is left over in the kernel. For
// virtual time; BUNDLE_SOAK_SECONDS says how long.
#include "ktap.hpp"
#include "soak/links.hpp"
#include "soak/messages.hpp"
#include "stream.hpp"

#include <filesystem>
#include <list>
#include <optional>

namespace {

using namespace sctp;
using namespace soak;

// --- What is counted

struct totals {
    std::uint64_t bytes[2] = {}, sums_sent[2] = {}, sums_received[2] = {}; // up, down
    std::uint64_t compared = 0; // of all connections, also those that were aborted
    long connections = 0, finished = 0, aborted = 0, not_connected = 0, reset = 0;
    long all_down = 0, client_restarts = 0, server_restarts = 0, crashes = 0;
};

using slab_counts = std::map<std::string, long>;

// Objects in use, exactly: shrinking takes back what processors keep for themselves.
slab_counts slabs()
{
    for (const auto &cache : std::filesystem::directory_iterator("/sys/kernel/slab"))
        if (!cache.is_symlink())
            net::spill(cache.path() / "shrink", "1");
    std::istringstream lines(net::slurp("/proc/slabinfo"));
    slab_counts result;
    std::string line, name;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        if (long active; words >> name >> active)
            result[name] = active;
    }
    return result;
}

// --- The load

class Soak : public TwoHosts {
  protected:
    static void SetUpTestSuite()
    {
        const char *text = std::getenv("BUNDLE_SOAK_SECONDS");
        seconds = text ? std::atoi(text) : 600;
        ktap::test_limit = seconds + 3600;
        TwoHosts::SetUpTestSuite();
        if (!hosts_)
            return;
        const auto tune = [] {
            // Paths come back sooner than associations are given up, however they fail.
            net::spill("/proc/sys/net/sctp/hb_interval", "3000");
            net::spill("/proc/sys/net/sctp/rto_max", "6000");
            net::spill("/proc/sys/net/sctp/association_max_retrans", "200");
            net::spill("/proc/sys/net/sctp/bundle_connect_timeout", "4000");
            // A link that goes down takes IPv6 addresses along unless told otherwise.
            for (const char *v : {"all", "v3"})
                net::spill(std::string("/proc/sys/net/ipv6/conf/") + v + "/keep_addr_on_down", "1");
        };
        tune();
        hosts().on_server(tune);
        hosts().on_server([] {
            net::run({"nft", "-f", "-"},
                     "table inet soak {\n set dead { type ifname; }\n"
                     " counter beats { }\n chain in { type filter hook input priority 0;\n"
                     "  iifname @dead drop\n  sctp chunk heartbeat exists counter name beats\n"
                     "  sctp chunk heartbeat-ack exists counter name beats\n }\n}\n");
        });
    }

    void SetUp() override
    {
        TwoHosts::SetUp();
        if (IsSkipped() || HasFatalFailure())
            return;
        messages_.emplace(dice_, two_hosts::server_addrs(next_port()));
        links_.emplace(hosts(), dice_);
    }

    void TearDown() override
    {
        HostsTest::TearDown();
        ends_.clear();
    }

    // --- Byte streams

    struct session {
        std::uint32_t id;
        direction up, down;
        double end;           // when it begins to close
        bool client_first;    // who closes
        bool aborted = false; // one side has been told to, so the other may find any error
        int slot = -1;        // of those that are there all the time
        double fragile = 0;   // until then the peer may take it for the restart of one before it
        double last_progress = 0;
    };
    using shared = std::shared_ptr<session>;

    // Where there is one all the time.
    struct place {
        std::uint16_t port; // that its connections come from, or 0 for any
        double left = -60;  // when the last one went that wasn't shut down
        double next = 0;
    };
    place &place_of(int slot) { return slots_.at(static_cast<std::size_t>(slot)); }

    // One end. The server's learns from the first bytes which session it belongs to.
    struct side {
        fd socket;
        bool server;
        shared of;
        bool connecting = false, finished = false;
        double next_write = 0;
        std::string hello = {};

        direction &out() const { return server ? of->down : of->up; }
        direction &in() const { return server ? of->up : of->down; }
    };

    // A long one for a slot, or a brief one: a request and an answer.
    void open_session(int slot = -1)
    {
        const bool brief = slot < 0;
        const std::uint32_t id = next_id_++;
        auto s = std::make_shared<session>(
            session{id, direction(id * 2), direction(id * 2 + 1),
                    now() + (brief ? 0.0 : dice_.between(30.0, 300.0)), brief || dice_.one_in(2)});
        s->slot = slot;
        s->last_progress = now();
        side e{open_socket(), false, s};
        nonblocking(e.socket);
        if (!brief) {
            place &from = place_of(slot);
            from.next = now() + 1;
            if (from.port) {
                if (bind_to(e.socket, two_hosts::client_addrs(from.port)) < 0) {
                    // The one before is still being shut down.
                    EXPECT_EQ(outcome(-1), "EADDRINUSE");
                    return;
                }
                if (now() < from.left + 60)
                    s->fragile = now() + 60;
            }
        }
        for (unsigned i = 0; i < 32; i += 8)
            s->up.pending += static_cast<char>(id >> i);
        if (brief)
            s->up.write(static_cast<std::size_t>(dice_.between(1, 3000)));
        e.connecting = true;
        total.connections++;
        if (connect_to(e.socket, servers) < 0 && errno != EINPROGRESS) {
            // All links may be down, and no route there.
            EXPECT_EQ(outcome(-1), "ENETUNREACH");
            total.not_connected++;
            return;
        }
        ends_.push_back(std::move(e));
    }

    // The server may not hear that the client has none with E's port, until a packet of its own
    // is answered.
    void left(const side &e)
    {
        if (!e.server && e.of->slot >= 0)
            place_of(e.of->slot).left = now();
    }

    void broken(side &e, const std::string &what)
    {
        e.finished = true;
        e.socket.reset();
        if (!e.of)
            return; // before it said which one it is
        session &s = *e.of;
        const std::string which = "connection " + std::to_string(s.id) + " of place " +
                                  std::to_string(s.slot) + ", at the " +
                                  (e.server ? "server: " : "client: ") + what;
        if (e.connecting) {
            total.not_connected++;
            left(e);
        } else if (!s.aborted && now() < s.fragile) {
            total.reset++;
            say(which + ", " + std::to_string(now() - place_of(s.slot).left) +
                " s after the one before it was left");
        } else if (!s.aborted) {
            ADD_FAILURE() << which;
        }
        s.aborted = true;
    }

    // Both ways to the end: the same has arrived as was sent.
    void complete(session &s)
    {
        const direction *ways[] = {&s.up, &s.down};
        for (int i = 0; i < 2; i++) {
            const direction &d = *ways[i];
            EXPECT_EQ(d.received, d.sent) << "connection " << s.id << " way " << i;
            EXPECT_EQ(d.sum_received, d.sum_sent) << "connection " << s.id << " way " << i;
            total.bytes[i] += d.received;
            total.sums_sent[i] += d.sum_sent;
            total.sums_received[i] += d.sum_received;
        }
        total.finished++;
    }

    void read_some(side &e)
    {
        char room[16384];
        for (;;) {
            const std::size_t wanted = e.server && !e.of ? 4 - e.hello.size() : sizeof(room);
            const ssize_t n = ::recv(e.socket, room, wanted, 0);
            if (n < 0 && errno == EAGAIN)
                return;
            if (n < 0 || (n == 0 && !e.of))
                return broken(e, outcome(n));
            const std::string_view bytes(room, static_cast<std::size_t>(n));
            if (!e.of) {
                e.hello += bytes;
                if (e.hello.size() < 4)
                    continue;
                std::uint32_t id;
                std::memcpy(&id, e.hello.data(), 4);
                for (const side &other : ends_)
                    if (!other.server && other.of->id == id)
                        e.of = other.of;
                if (!e.of) // aborted since
                    return broken(e, "");
                e.of->up.received += 4;
                for (const char byte : e.hello)
                    direction::add(e.of->up.sum_received, byte);
                continue;
            }
            session &s = *e.of;
            s.last_progress = now();
            total.compared += bytes.size();
            if (n == 0) {
                if (e.out().shut) {
                    e.in().ended = true;
                    e.finished = true;
                    e.socket.reset();
                    if (s.up.ended && s.down.ended && !s.aborted)
                        complete(s);
                } else if (!e.in().ended) {
                    e.in().ended = true;
                    s.end = now(); // and we close, too
                }
                return;
            }
            if (!e.in().arrived(bytes)) {
                ADD_FAILURE() << "connection " << s.id << ": wrong bytes before " << e.in().received
                              << (e.server ? " up" : " down");
                s.aborted = true;
                return broken(e, "");
            }
        }
    }

    void write_some(side &e)
    {
        direction &out = e.out();
        while (!out.pending.empty()) {
            const ssize_t n =
                ::send(e.socket, out.pending.data(), out.pending.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN)
                return;
            if (n < 0)
                return broken(e, outcome(n));
            out.gone(static_cast<std::size_t>(n));
        }
        if (now() >= e.of->end && !out.shut && (e.server != e.of->client_first || e.in().ended)) {
            out.shut = true;
            if (::shutdown(e.socket, SHUT_WR) < 0)
                return broken(e, "shutdown: " + outcome(-1));
            if (e.in().ended) {
                e.finished = true;
                e.socket.reset();
                // The other end reads up to the end, and completes it.
            }
        }
    }

    void abort(side &e)
    {
        if (e.of) {
            total.aborted += !std::exchange(e.of->aborted, true);
            left(e);
        }
        set_option(e.socket, SOL_SOCKET, SO_LINGER, abort_on_close);
        e.finished = true;
        e.socket.reset();
    }

    // --- Hosts and paths

    // Its ports may still be held by associations that shut down over dead paths.
    void start_server()
    {
        hosts().on_server([&] {
            listener_ = open_socket();
            nonblocking(listener_);
            if (bind_to(listener_, servers) < 0 || !messages_->bind()) {
                EXPECT_EQ(outcome(-1), "EADDRINUSE");
                listener_.reset();
                messages_->stop_server();
                server_back_ = now() + 1;
                return;
            }
            server_back_ = 0;
            if (::listen(listener_, 128) < 0 || messages_->listen() < 0)
                net::fail("listen");
        });
    }
    void stop_server()
    {
        for (side &e : ends_)
            if (e.server && !e.finished)
                abort(e);
            else if (e.of)
                e.of->aborted = true;
        listener_.reset();
        messages_->stop_talkers(dice_.one_in(2));
        messages_->stop_server();
        server_back_ = now() + dice_.between(0.5, 5.0);
        total.server_restarts++;
    }
    // The client's process ends; the kernel closes its sockets. The server doesn't hear of it if
    // the path is dead just then.
    void restart_client()
    {
        for (side &e : ends_)
            if (!e.server && !e.finished)
                abort(e);
        messages_->stop_talkers(true);
        total.client_restarts++;
    }
    // As a host does that loses power: nobody hears its ABORT, and it comes back from its port.
    void crash()
    {
        for (side &e : ends_)
            if (!e.server && !e.finished && e.of->slot >= 0 && place_of(e.of->slot).port) {
                abort(e);
                total.crashes++;
            }
    }

    void all_down()
    {
        links_->all_down();
        total.all_down++;
        if (dice_.one_in(2))
            crash();
        all_back_ = now() + dice_.between(2.0, 15.0);
    }

    // --- The loop

    void load(double duration)
    {
        const double start = now(), end = start + duration;
        double next_brief = 0, next_path = start + 5, next_all = start + dice_.between(60.0, 300.0),
               next_client = start + dice_.between(60.0, 400.0),
               next_server = start + dice_.between(100.0, 500.0), report = start + 3600;
        while (now() < end && !HasFailure()) {
            const double t = now();
            for (std::size_t i = 0; i < slots_.size(); i++)
                if (t >= slots_[i].next &&
                    std::none_of(ends_.begin(), ends_.end(), [&](const side &e) {
                        return !e.server && !e.finished && e.of->slot == static_cast<int>(i);
                    }))
                    open_session(static_cast<int>(i));
            if (t >= next_brief && (next_brief = t + dice_.between(1.0, 4.0)) > 0)
                open_session();
            messages_->open_talkers(3);
            if (all_back_ > 0 && t >= all_back_) {
                links_->all_up();
                all_back_ = 0;
            } else if (all_back_ == 0 && t >= next_path) {
                next_path = t + dice_.between(2.0, 8.0);
                links_->change();
            }
            if (all_back_ == 0 && t >= next_all) {
                next_all = t + dice_.between(200.0, 900.0);
                all_down();
            }
            if (t >= next_client) {
                next_client = t + dice_.between(300.0, 1500.0);
                restart_client();
            }
            if (server_back_ == 0 && t >= next_server) {
                next_server = t + dice_.between(300.0, 1500.0);
                stop_server();
            }
            if (server_back_ > 0 && t >= server_back_)
                start_server();
            if (t >= report) {
                report += 3600;
                say(std::to_string(static_cast<int>((t - start) / 3600)) +
                    " h: " + std::to_string(total.finished) + " connections to their end, " +
                    std::to_string(total.compared) + " bytes compared");
            }
            turn();
        }
        links_->all_up();
        all_back_ = 0;
        for (; server_back_ > 0; poll(nullptr, 0, 1000))
            start_server();
        finish();
    }

    // Every connection ends in order.
    void finish()
    {
        for (side &e : ends_)
            if (e.of)
                e.of->end = std::min(e.of->end, now());
        messages_->finish();
        const double limit = now() + 600;
        const auto busy = [&] {
            return std::any_of(ends_.begin(), ends_.end(),
                               [](const side &e) { return !e.finished; });
        };
        while ((busy() || !messages_->idle()) && now() < limit && !HasFailure())
            turn();
        if (HasFailure())
            return;
        EXPECT_FALSE(busy()) << "connections that don't end";
        EXPECT_TRUE(messages_->idle()) << "associations that don't end";
        ends_.clear();
        messages_->stop_talkers(true);
        messages_->forget();
    }

    // One round of poll(2), of a second at most.
    void turn()
    {
        std::vector<pollfd> polled{{listener_, POLLIN, 0}};
        double t = now(), wake = messages_->poll_for(polled, t + 1);
        for (const side &e : ends_) {
            const bool writes = e.connecting || (e.of && !e.out().pending.empty());
            polled.push_back({e.finished ? -1 : static_cast<int>(e.socket),
                              static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN), 0});
            if (e.of && !e.finished && !e.connecting && e.of->slot >= 0)
                wake = std::min(wake, e.next_write);
        }
        const int wait = std::max(0, static_cast<int>((wake - t) * 1000) + 1);
        ::poll(polled.data(), polled.size(), wait);
        t = now();

        std::size_t i = 1 + messages_->serve(std::span(polled).subspan(1));
        for (auto &e : ends_)
            serve(e, polled[i++].revents, t);
        if (polled[0].revents)
            for (int s; listener_ >= 0 && (s = ::accept4(listener_, nullptr, nullptr,
                                                         SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
                ends_.push_back({fd(s), true, nullptr});
        ends_.remove_if([](const side &e) {
            // A client's stays as long as its server's may ask for it.
            return e.finished &&
                   (e.server || e.of->aborted || (e.of->up.ended && e.of->down.ended));
        });
    }

    void serve(side &e, short events, double t)
    {
        if (e.finished)
            return;
        if (e.connecting) {
            if (!(events & (POLLOUT | POLLERR | POLLHUP)))
                return;
            if (const int error = get_option(e.socket, SOL_SOCKET, SO_ERROR)) {
                errno = error;
                return broken(e, outcome(-1));
            }
            e.connecting = false;
            e.of->last_progress = t;
        } else if (events & (POLLIN | POLLERR | POLLHUP)) {
            read_some(e);
        }
        if (e.finished || !e.of)
            return;
        session &s = *e.of;
        if (t >= e.next_write && !e.out().shut && s.slot >= 0) {
            e.next_write = t + dice_.between(0.2, 2.0);
            const bool ending = t >= s.end;
            if (!ending && e.out().pending.size() < 16384)
                e.out().write(
                    static_cast<std::size_t>(dice_.between(1, dice_.one_in(20) ? 60000 : 8000)));
        }
        if (s.slot < 0 && e.server && s.up.ended && s.down.sent == 0 && s.down.pending.empty())
            s.down.write(static_cast<std::size_t>(dice_.between(1, 3000)));
        if (e.in().ended && s.slot < 0 && e.server == false && !e.out().shut)
            ADD_FAILURE() << "the answer before the request";
        write_some(e);
        if (!e.finished && t - s.last_progress > 200 && !s.aborted)
            ADD_FAILURE() << "connection " << s.id << " stands still, " << s.up.received << " of "
                          << s.up.sent << " up, " << s.down.received << " of " << s.down.sent
                          << " down";
    }

    // --- The report

    static void say(const std::string &text)
    {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            std::printf("# %s\n", line.c_str());
        std::fflush(stdout);
    }

    void report(double duration)
    {
        std::ostringstream text;
        text << duration << " s\n"
             << "connections: " << total.connections << ", to their end " << total.finished
             << ", aborted " << total.aborted << ", not set up " << total.not_connected
             << ", reset by the peer's restart " << total.reset << "\n"
             << "path changes: " << links_->changes << ", all down: " << total.all_down
             << ", restarts of the client: " << total.client_restarts
             << ", of the server: " << total.server_restarts << ", crashes: " << total.crashes
             << "\n";
        for (int i = 0; i < 2; i++)
            text << (i ? "down: " : "up: ") << total.bytes[i]
                 << " bytes of connections to their end, sums " << std::hex << total.sums_sent[i]
                 << " sent, " << total.sums_received[i] << " received\n"
                 << std::dec;
        text << "streams: " << total.compared << " bytes compared as they arrived\n"
             << "one-to-many: " << messages_->total.associations << " associations, "
             << messages_->total.messages << " messages, " << messages_->total.bytes << " bytes\n";
        say(text.str());
        hosts().on_server([] {
            // What it prints goes to the report.
            std::fflush(stdout);
            if (std::system(
                    "nft list counter inet soak beats | grep packets | sed 's/^/# heartbeats "
                    "and their answers at the server:/'") != 0)
                net::fail("nft");
        });
        std::istringstream lines(net::slurp("/proc/thread-self/net/sctp/snmp"));
        std::string all = "the client's counters:", name;
        for (long value; lines >> name >> value;)
            if (value)
                all += " " + name.substr(4) + " " + std::to_string(value);
        say(all);
    }

    // Nothing is left in either namespace, and what waits for a grace period has gone.
    slab_counts settled()
    {
        // Closed associations that were about to be given up take some time-outs.
        const auto none = [] {
            std::istringstream lines(net::slurp("/proc/thread-self/net/sctp/assocs"));
            std::string line;
            std::getline(lines, line);
            return !std::getline(lines, line);
        };
        EXPECT_TRUE(net::eventually([&] { return none() && hosts().on_server(none); }, 600000))
            << net::slurp("/proc/thread-self/net/sctp/assocs")
            << hosts().on_server([] { return net::slurp("/proc/thread-self/net/sctp/assocs"); });
        net::spill("/proc/sys/vm/drop_caches", "3");
        poll(nullptr, 0, 60000);
        return slabs();
    }

    static inline int seconds = 0;
    dice dice_;
    std::uint32_t next_id_ = 1;
    fd listener_;
    std::list<side> ends_;
    std::array<place, 6> slots_{{{4000}, {4001}, {0}, {0}, {0}, {0}}};
    std::optional<one_to_many> messages_;
    std::optional<links> links_;
    double all_back_ = 0, server_back_ = 0;
    totals total;
};

TEST_F(Soak, NothingIsLostWhilePathsAndHostsComeAndGo)
{
    start_server();
    load(120);
    ASSERT_FALSE(HasFailure());
    const slab_counts before = settled();
    const std::string objects_before = net::sctp_objects();
    total = {};
    messages_->total = {};
    links_->changes = 0;

    const double start = now();
    load(seconds);
    report(now() - start);
    const slab_counts after = settled();

    EXPECT_EQ(net::sctp_objects(), objects_before);
    say("objects in the end:\n" + net::sctp_objects());
    for (const auto &[name, count] : after) {
        const auto then = before.find(name);
        const long had = then == before.end() ? 0 : then->second, grown = count - had;
        if (grown != 0 || name.find("sctp") != name.npos || name.find("SCTP") != name.npos)
            say("slab " + name + ": " + std::to_string(had) + " before, " + std::to_string(count) +
                " after");
        // A thing lost with every connection, path or restart would be thousands.
        EXPECT_LE(grown, 100 + had / 100) << name;
    }
    EXPECT_EQ(total.sums_received[0], total.sums_sent[0]);
    EXPECT_EQ(total.sums_received[1], total.sums_sent[1]);
    EXPECT_GT(total.finished, 0);
}

} // namespace
