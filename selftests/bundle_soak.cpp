// SPDX-License-Identifier: GPL-2.0
// Hours of traffic over bundles while paths come and go and either side restarts: nothing is lost
// or changed but with connections that were aborted, and nothing is left over in the kernel. For
// virtual time; BUNDLE_SOAK_SECONDS says how long.
#include "ktap.hpp"
#include "stream.hpp"

#include <deque>
#include <filesystem>
#include <list>
#include <random>

namespace {

using namespace sctp;

// --- Bytes that tell their place

// What goes one way over one connection. Both ends draw the same bytes, so each one that arrives
// is compared; a sum at each end is kept for the report.
struct direction {
    explicit direction(std::uint32_t seed) : writer(seed), reader(seed) {}

    static char draw(std::uint32_t &x)
    {
        x = x * 1664525 + 1013904223;
        return static_cast<char>(x >> 24);
    }
    static void add(std::uint64_t &sum, char byte)
    {
        sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }

    void write(std::size_t n)
    {
        for (; n > 0; n--)
            pending += draw(writer);
    }
    void gone(std::size_t n)
    {
        for (std::size_t i = 0; i < n; i++)
            add(sum_sent, pending[i]);
        sent += n;
        pending.erase(0, n);
    }
    // Whether these are the next ones.
    bool arrived(std::string_view bytes)
    {
        bool right = true;
        for (const char byte : bytes) {
            right &= byte == draw(reader);
            add(sum_received, byte);
        }
        received += bytes.size();
        return right;
    }

    std::uint32_t writer, reader;
    std::string pending;
    std::uint64_t sent = 0, received = 0;
    std::uint64_t sum_sent = 0xcbf29ce484222325, sum_received = sum_sent;
    bool shut = false, ended = false; // by the writer; seen by the reader
};

// --- What is counted

struct totals {
    std::uint64_t bytes[2] = {}, sums_sent[2] = {}, sums_received[2] = {}; // up, down
    std::uint64_t compared = 0; // of all connections, also those that were aborted
    long connections = 0, finished = 0, aborted = 0, not_connected = 0, reset = 0;
    long associations = 0, messages = 0, message_bytes = 0;
    long path_changes = 0, all_down = 0, client_restarts = 0, server_restarts = 0, crashes = 0;
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

    void TearDown() override
    {
        HostsTest::TearDown();
        ends_.clear();
    }

    int between(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }
    double between(double low, double high)
    {
        return std::uniform_real_distribution(low, high)(random_);
    }
    bool one_in(int n) { return between(1, n) == 1; }

    // --- Byte streams

    struct session {
        std::uint32_t id;
        direction up, down;
        double end;           // when it begins to close
        bool client_first;    // who closes
        bool aborted = false; // one side has been told to, so the other may find any error
        double fragile = 0; // until then, as it takes the port of one that the peer may still have
        int slot = -1;      // of those that are there all the time
        double last_progress = 0;
    };
    using shared = std::shared_ptr<session>;

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
        auto s = std::make_shared<session>(session{id, direction(id * 2), direction(id * 2 + 1),
                                                   now() + (brief ? 0.0 : between(30.0, 300.0)),
                                                   brief || one_in(2)});
        s->slot = slot;
        s->last_progress = now();
        side e{open_socket(), false, s};
        nonblocking(e.socket);
        if (!brief) {
            slots_.at(static_cast<std::size_t>(slot)).next = now() + 1;
            if (const std::uint16_t from = slots_.at(static_cast<std::size_t>(slot)).port) {
                if (bind_to(e.socket, two_hosts::client_addrs(from)) < 0) {
                    // The one before is still being shut down.
                    EXPECT_EQ(outcome(-1), "EADDRINUSE");
                    return;
                }
                s->fragile = std::exchange(slots_.at(static_cast<std::size_t>(slot)).crashed, false)
                                 ? now() + 60
                                 : 0;
            }
        }
        for (unsigned i = 0; i < 32; i += 8)
            s->up.pending += static_cast<char>(id >> i);
        if (brief)
            s->up.write(static_cast<std::size_t>(between(1, 3000)));
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

    void broken(side &e, const std::string &what)
    {
        e.finished = true;
        e.socket.reset();
        if (!e.of)
            return; // before it said which one it is
        session &s = *e.of;
        if (e.connecting)
            total.not_connected++;
        else if (!s.aborted && now() < s.fragile)
            total.reset++;
        else if (!s.aborted)
            ADD_FAILURE() << "connection " << s.id << ", at the "
                          << (e.server ? "server: " : "client: ") << what;
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
        if (e.of && !e.of->aborted) {
            e.of->aborted = true;
            total.aborted++;
        }
        set_option(e.socket, SOL_SOCKET, SO_LINGER, abort_on_close);
        e.finished = true;
        e.socket.reset();
    }

    // --- One-to-many

    struct message {
        std::uint32_t id, number, length;
    };
    struct talker {
        fd socket;
        std::uint32_t id;
        double end, next, last_progress;
        std::uint32_t sent = 0, answered = 0;
    };
    struct answer {
        sctp_assoc_t to;
        std::string text;
    };

    static std::string text_of(const message &m, bool up)
    {
        std::string result(reinterpret_cast<const char *>(&m), sizeof(m));
        std::uint32_t x = m.id * 2 + (up ? 0U : 1U) + m.number * 65537;
        for (std::uint32_t i = 0; i < m.length; i++)
            result += direction::draw(x);
        return result;
    }
    // Takes one message; its assoc_id is in @from. Whether there was one.
    static bool take(int fd, std::string &text, sctp_assoc_t *from)
    {
        text.resize(8192);
        iovec part{text.data(), text.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(sctp_rcvinfo))];
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof(control);
        const ssize_t n = ::recvmsg(fd, &header, MSG_DONTWAIT);
        if (n < 0)
            return false;
        text.resize(static_cast<std::size_t>(n));
        for (cmsghdr *c = CMSG_FIRSTHDR(&header); c && from; c = CMSG_NXTHDR(&header, c))
            if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_RCVINFO) {
                sctp_rcvinfo info;
                std::memcpy(&info, CMSG_DATA(c), sizeof(info));
                *from = info.rcv_assoc_id;
            }
        return true;
    }
    void check(const std::string &text, std::uint32_t number, bool up, std::uint32_t id)
    {
        message m{};
        if (text.size() >= sizeof(m))
            std::memcpy(&m, text.data(), sizeof(m));
        EXPECT_EQ(m.id, id);
        EXPECT_EQ(m.number, number) << "of association " << id << (up ? " up" : " down");
        EXPECT_TRUE(text == text_of(m, up)) << "message " << number << " of association " << id;
        total.messages++;
        total.message_bytes += static_cast<long>(text.size());
    }

    void open_talker()
    {
        talkers_.push_back(
            {open_socket(SOCK_SEQPACKET), next_id_++, now() + between(30.0, 600.0), now(), now()});
        total.associations++;
    }

    void hear_talkers()
    {
        std::string text;
        for (sctp_assoc_t from = 0; take(many_, text, &from);) {
            std::uint32_t id = 0;
            std::memcpy(&id, text.data(), std::min(sizeof(id), text.size()));
            const bool known = std::any_of(talkers_.begin(), talkers_.end(),
                                           [&](const talker &t) { return t.id == id; });
            if (!known)
                continue; // aborted since
            check(text, heard_[id], true, id);
            const message reply{id, heard_[id]++, static_cast<std::uint32_t>(between(1, 3000))};
            answers_.push_back({from, text_of(reply, false)});
        }
    }
    void send_answers()
    {
        while (!answers_.empty()) {
            answer &a = answers_.front();
            iovec part{a.text.data(), a.text.size()};
            alignas(cmsghdr) char control[CMSG_SPACE(sizeof(sctp_sndinfo))] = {};
            msghdr header{};
            header.msg_iov = &part;
            header.msg_iovlen = 1;
            header.msg_control = control;
            header.msg_controllen = sizeof(control);
            cmsghdr *c = CMSG_FIRSTHDR(&header);
            c->cmsg_level = IPPROTO_SCTP;
            c->cmsg_type = SCTP_SNDINFO;
            c->cmsg_len = CMSG_LEN(sizeof(sctp_sndinfo));
            sctp_sndinfo info{};
            info.snd_assoc_id = a.to;
            std::memcpy(CMSG_DATA(c), &info, sizeof(info));
            if (::sendmsg(many_, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
                return;
            answers_.pop_front(); // or the association has gone: its talker notices
        }
    }

    // --- Hosts and paths

    // Its ports may still be held by associations that shut down over dead paths.
    void start_server()
    {
        hosts().on_server([&] {
            listener_ = open_socket();
            nonblocking(listener_);
            many_ = open_socket(SOCK_SEQPACKET);
            set_option(many_, IPPROTO_SCTP, SCTP_RECVRCVINFO, 1);
            if (bind_to(listener_, servers) < 0 ||
                bind_to(many_, two_hosts::server_addrs(many_port_)) < 0) {
                EXPECT_EQ(outcome(-1), "EADDRINUSE");
                listener_.reset();
                many_.reset();
                server_back_ = now() + 1;
                return;
            }
            server_back_ = 0;
            if (::listen(listener_, 128) < 0 || ::listen(many_, 8) < 0)
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
        stop_talkers(one_in(2));
        many_.reset();
        server_back_ = now() + between(0.5, 5.0);
        total.server_restarts++;
    }
    void stop_talkers(bool aborting)
    {
        for (talker &t : talkers_)
            if (aborting)
                set_option(t.socket, SOL_SOCKET, SO_LINGER, abort_on_close);
        talkers_.clear();
        answers_.clear();
    }
    // The client's process ends; the kernel closes its sockets. The server doesn't hear of it if
    // the path is dead just then.
    void restart_client()
    {
        for (side &e : ends_)
            if (!e.server && !e.finished)
                abort(e);
        for (place &one : slots_)
            one.crashed = one.port != 0;
        stop_talkers(true);
        total.client_restarts++;
    }
    // As a host does that loses power: nobody hears its ABORT, and it comes back from its port.
    void crash()
    {
        for (side &e : ends_)
            if (!e.server && !e.finished && e.of->slot >= 0 &&
                slots_.at(static_cast<std::size_t>(e.of->slot)).port) {
                abort(e);
                slots_.at(static_cast<std::size_t>(e.of->slot)).crashed = true;
                total.crashes++;
            }
    }

    struct path_state {
        std::string link;
        bool down = false, server_down = false, dropped = false, lossy = false;
        [[nodiscard]] bool dead() const { return down || server_down || dropped; }
    };

    static void set_link(const path_state &p, bool up)
    {
        const fd any(::socket(AF_UNIX, SOCK_DGRAM, 0));
        ifreq request{};
        std::strncpy(request.ifr_name, p.link.c_str(), IFNAMSIZ - 1);
        if (::ioctl(any, SIOCGIFFLAGS, &request) < 0)
            net::fail(p.link);
        if (up)
            request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
        else
            request.ifr_flags = static_cast<short>(request.ifr_flags & ~IFF_UP);
        if (::ioctl(any, SIOCSIFFLAGS, &request) < 0)
            net::fail(p.link);
    }
    void drop(path_state &p, bool on)
    {
        hosts().on_server([&] {
            const std::string command =
                std::string(on ? "add" : "delete") + " element inet soak dead { " + p.link + " }";
            net::run({"nft", command.c_str()});
        });
        p.dropped = on;
    }
    void revive(path_state &p)
    {
        if (p.down)
            set_link(p, true);
        if (p.server_down)
            hosts().on_server([&] { set_link(p, true); });
        p.down = p.server_down = false;
        if (p.dropped)
            drop(p, false);
        if (p.lossy)
            net::run({"tc", "qdisc", "del", "dev", p.link.c_str(), "root"});
        p.lossy = false;
    }
    void kill(path_state &p, int how)
    {
        switch (how) {
        case 0:
        case 1:
            set_link(p, false);
            p.down = true;
            break;
        case 2:
        case 3:
            hosts().on_server([&] { set_link(p, false); });
            p.server_down = true;
            break;
        default:
            drop(p, true);
        }
    }
    void change_path()
    {
        path_state &p = paths_[static_cast<std::size_t>(between(0, 2))];
        total.path_changes++;
        if (p.dead() || p.lossy)
            return revive(p);
        const auto alive = std::count_if(paths_.begin(), paths_.end(),
                                         [](const path_state &x) { return !x.dead(); });
        if (one_in(6) || alive < 2) {
            const std::string loss = std::to_string(between(2, 30)) + "%",
                              delay = std::to_string(between(0, 50)) + "ms";
            net::run({"tc", "qdisc", "add", "dev", p.link.c_str(), "root", "netem", "loss",
                      loss.c_str(), "delay", delay.c_str(), "5ms"});
            p.lossy = true;
        } else {
            kill(p, between(0, 4));
        }
    }
    void all_down()
    {
        for (path_state &p : paths_)
            if (!p.dead())
                kill(p, between(0, 4));
        total.all_down++;
        if (one_in(2))
            crash();
        all_back_ = now() + between(2.0, 15.0);
    }
    void all_up()
    {
        for (path_state &p : paths_)
            revive(p);
    }

    // --- The loop

    void load(double duration)
    {
        constexpr int talkers = 3;
        const double start = now(), end = start + duration;
        double next_brief = 0, next_path = start + 5, next_all = start + between(60.0, 300.0),
               next_client = start + between(60.0, 400.0),
               next_server = start + between(100.0, 500.0), report = start + 3600;
        while (now() < end && !HasFailure()) {
            const double t = now();
            for (std::size_t i = 0; i < slots_.size(); i++)
                if (t >= slots_[i].next &&
                    std::none_of(ends_.begin(), ends_.end(), [&](const side &e) {
                        return !e.server && !e.finished && e.of->slot == static_cast<int>(i);
                    }))
                    open_session(static_cast<int>(i));
            if (t >= next_brief && (next_brief = t + between(1.0, 4.0)) > 0)
                open_session();
            if (many_ >= 0 && talkers_.size() < talkers)
                open_talker();
            if (all_back_ > 0 && t >= all_back_) {
                all_up();
                all_back_ = 0;
            } else if (all_back_ == 0 && t >= next_path) {
                next_path = t + between(2.0, 8.0);
                change_path();
            }
            if (all_back_ == 0 && t >= next_all) {
                next_all = t + between(200.0, 900.0);
                all_down();
            }
            if (t >= next_client) {
                next_client = t + between(300.0, 1500.0);
                restart_client();
            }
            if (server_back_ == 0 && t >= next_server) {
                next_server = t + between(300.0, 1500.0);
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
        all_up();
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
        for (talker &t : talkers_)
            t.end = now();
        const double limit = now() + 600;
        const auto busy = [&] {
            return std::any_of(ends_.begin(), ends_.end(),
                               [](const side &e) { return !e.finished; });
        };
        while ((busy() || !talkers_.empty()) && now() < limit && !HasFailure())
            turn();
        if (HasFailure())
            return;
        EXPECT_FALSE(busy()) << "connections that don't end";
        EXPECT_TRUE(talkers_.empty()) << "associations that don't end";
        ends_.clear();
        stop_talkers(true);
        heard_.clear();
    }

    // One round of poll(2), of a second at most.
    void turn()
    {
        std::vector<pollfd> polled{
            {listener_, POLLIN, 0},
            {many_, static_cast<short>(answers_.empty() ? POLLIN : POLLIN | POLLOUT), 0}};
        double t = now(), wake = t + 1;
        for (const talker &x : talkers_) {
            polled.push_back({x.socket, POLLIN, 0});
            wake = std::min(wake, x.next);
        }
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

        std::size_t i = 2;
        for (auto x = talkers_.begin(); x != talkers_.end(); i++)
            x = talk(*x, polled[i].revents, t) ? std::next(x) : talkers_.erase(x);
        for (auto &e : ends_)
            serve(e, polled[i++].revents, t);
        if (polled[0].revents)
            for (int s; listener_ >= 0 && (s = ::accept4(listener_, nullptr, nullptr,
                                                         SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
                ends_.push_back({fd(s), true, nullptr});
        if (many_ >= 0) {
            if (polled[1].revents)
                hear_talkers();
            send_answers();
        }
        ends_.remove_if([](const side &e) {
            // A client's stays as long as its server's may ask for it.
            return e.finished &&
                   (e.server || e.of->aborted || (e.of->up.ended && e.of->down.ended));
        });
    }

    // Whether it goes on.
    bool talk(talker &x, short events, double t)
    {
        std::string text;
        if (events)
            while (take(x.socket, text, nullptr)) {
                check(text, x.answered++, false, x.id);
                x.last_progress = t;
            }
        if (t >= x.end && x.answered == x.sent)
            return false; // it closes in order
        if (t >= x.next) {
            x.next = t + between(0.2, 2.0);
            // Until one is answered there may be no association, and what it was to carry is lost
            // with it.
            if (t < x.end && x.sent - x.answered < (x.answered ? 16U : 1U)) {
                const message m{x.id, x.sent, static_cast<std::uint32_t>(between(1, 3000))};
                const socket_address to(two_hosts::server_addrs(many_port_));
                if (sctp::sendto(x.socket, to, text_of(m, true), MSG_DONTWAIT) >= 0)
                    x.sent++;
                else if (errno != EAGAIN && errno != EINPROGRESS && x.sent > 0)
                    ADD_FAILURE() << "association " << x.id << ": " << outcome(-1);
                else if (x.sent == 0)
                    x.last_progress = t; // no route as yet
            }
        }
        if (x.answered == 0 && t - x.last_progress > 30)
            return false; // all paths were down, or the server
        if (t - x.last_progress > 200)
            ADD_FAILURE() << "association " << x.id << " stands still, " << x.answered << " of "
                          << x.sent << " answered";
        return true;
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
            e.next_write = t + between(0.2, 2.0);
            const bool ending = t >= s.end;
            if (!ending && e.out().pending.size() < 16384)
                e.out().write(static_cast<std::size_t>(between(1, one_in(20) ? 60000 : 8000)));
        }
        if (s.slot < 0 && e.server && s.up.ended && s.down.sent == 0 && s.down.pending.empty())
            s.down.write(static_cast<std::size_t>(between(1, 3000)));
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
             << "path changes: " << total.path_changes << ", all down: " << total.all_down
             << ", restarts of the client: " << total.client_restarts
             << ", of the server: " << total.server_restarts << ", crashes: " << total.crashes
             << "\n";
        for (int i = 0; i < 2; i++)
            text << (i ? "down: " : "up: ") << total.bytes[i]
                 << " bytes of connections to their end, sums " << std::hex << total.sums_sent[i]
                 << " sent, " << total.sums_received[i] << " received\n"
                 << std::dec;
        text << "streams: " << total.compared << " bytes compared as they arrived\n"
             << "one-to-many: " << total.associations << " associations, " << total.messages
             << " messages, " << total.message_bytes << " bytes\n";
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
    std::mt19937 random_{1};
    std::uint32_t next_id_ = 1;
    const std::uint16_t many_port_ = next_port();
    fd listener_, many_;
    std::list<side> ends_;
    struct place {
        std::uint16_t port; // that its connections come from, or 0 for any
        bool crashed = false;
        double next = 0;
    };
    std::array<place, 6> slots_{{{4000}, {4001}, {0}, {0}, {0}, {0}}};
    std::list<talker> talkers_;
    std::deque<answer> answers_;
    std::map<std::uint32_t, std::uint32_t> heard_; // the number of a talker's next message
    std::vector<path_state> paths_{{"v1"}, {"v2"}, {"v3"}};
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
