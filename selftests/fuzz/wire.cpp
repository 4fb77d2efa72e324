// SPDX-License-Identifier: GPL-2.0
// A fuzzer of packets: two hosts with bundle sockets, each in a namespace with a TUN device, and a
// man in the middle who changes what they send. For virtual time: see tools/fuzz.
#include "mutations.hpp"
#include "session.hpp"

#include <deque>
#include <memory>

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

namespace {

using namespace fuzz;
using net::fd;
using sctp::addresses;

// Each event, a call or a packet, has as many numbers, so that one can be left out.
constexpr std::size_t numbers_each = 24, head = 24, events = 160;

enum change : std::uint32_t {
    none,
    drop,
    twice,
    later,
    old_one,
    wrong_checksum,
    tag,
    source,
    destination,
    port,
    chunk_type,
    chunk_flags,
    chunk_length,
    chunk_removed,
    chunk_twice,
    chunk_added,
    parameter_changed,
    parameter_added,
    parameter_removed,
    parameter_twice,
    bytes,
    truncated,
    extended,
    packet_added,
    icmp,
    changes
};
constexpr const char *names[] = {"none",
                                 "drop",
                                 "twice",
                                 "later",
                                 "old one",
                                 "wrong checksum",
                                 "tag",
                                 "source",
                                 "destination",
                                 "port",
                                 "chunk type",
                                 "chunk flags",
                                 "chunk length",
                                 "chunk removed",
                                 "chunk twice",
                                 "chunk added",
                                 "parameter changed",
                                 "parameter added",
                                 "parameter removed",
                                 "parameter twice",
                                 "bytes",
                                 "truncated",
                                 "extended",
                                 "packet added",
                                 "ICMP"};
static_assert(std::size(names) == changes);

struct totals {
    std::uint64_t cases = 0, packets = 0, connected = 0, accepted = 0, sent = 0, received = 0;
    std::array<std::uint64_t, changes> made{};
} count;

class host {
  public:
    explicit host(const std::string &lines)
    {
        tun_ = fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
        ifreq request{};
        std::strncpy(request.ifr_name, "t0", IFNAMSIZ - 1);
        request.ifr_flags = IFF_TUN | IFF_NO_PI;
        if (tun_ < 0 || ioctl(tun_, TUNSETIFF, &request) < 0)
            net::fail("a TUN device");
        net::ip(net::link_up("t0") + lines);
        for (const auto &[name, value] : {std::pair{"rto_min", "50"},
                                          {"rto_initial", "100"},
                                          {"rto_max", "400"},
                                          {"hb_interval", "400"},
                                          {"association_max_retrans", "3"},
                                          {"path_max_retrans", "2"},
                                          {"max_init_retransmits", "2"},
                                          {"addip_noauth_enable", "1"}})
            set(name, value);
    }

    void set(const std::string &name, const std::string &value) const
    {
        where_.enter();
        net::spill("/proc/sys/net/sctp/" + name, value);
    }
    void enter() const { where_.enter(); }
    [[nodiscard]] int tun() const { return tun_; }

    // Lines of a table of SCTP's, below its title.
    [[nodiscard]] int left(const char *table) const
    {
        where_.enter();
        const std::string text = net::slurp(std::string("/proc/thread-self/net/sctp/") + table);
        return static_cast<int>(std::ranges::count(text, '\n')) - 1;
    }

  private:
    net::netns where_;
    fd tun_;
};

// A socket and how far its bytes have come.
struct flow {
    fd socket;
    std::size_t sent = 0, received = 0;
    bool stream = false;
};

char byte_at(std::size_t i)
{
    return static_cast<char>(i * 7 + i / 251);
}

class wire {
  public:
    wire()
        : client_("addr add 10.8.0.1/24 dev t0\naddr add 10.8.0.2/24 dev t0\n"
                  "addr add fd08::1/64 dev t0 nodad\nroute add 10.9.0.0/24 dev t0\n"
                  "route add fd09::/64 dev t0\n"),
          server_("addr add 10.9.0.1/24 dev t0\naddr add 10.9.0.2/24 dev t0\n"
                  "addr add fd09::1/64 dev t0 nodad\nroute add 10.8.0.0/24 dev t0\n"
                  "route add fd08::/64 dev t0\n")
    {}

    // What went wrong, or nothing.
    std::string run(choices &all)
    {
        count.cases++;
        numbers_.clear();
        while (all.more() && numbers_.size() < head + events * numbers_each)
            numbers_.push_back(all.below(0xffffffff));
        next_ = head;
        wrong_.clear();
        choices c(std::vector<std::uint32_t>(
            numbers_.begin(),
            numbers_.begin() + static_cast<long>(std::min(head, numbers_.size()))));
        begin(c);
        while (next_ < numbers_.size()) {
            choices one = event();
            act(one);
            one = event();
            pump(static_cast<int>(one.below(4) == 0 ? one.below(300) : one.below(20)));
        }
        end();
        return wrong_;
    }

  private:
    choices event()
    {
        const std::size_t from = std::min(next_, numbers_.size()),
                          to = std::min(next_ + numbers_each, numbers_.size());
        next_ += numbers_each;
        return choices(std::vector<std::uint32_t>(numbers_.begin() + static_cast<long>(from),
                                                  numbers_.begin() + static_cast<long>(to)));
    }

    static addresses theirs(choices &c, std::uint16_t port)
    {
        addresses result;
        static constexpr const char *each[] = {"10.9.0.1",  "10.9.0.2", "fd09::1",
                                               "10.9.0.99", "fd09::99", "10.8.0.1"};
        for (std::uint32_t n = 1 + c.below(4), at = c.below(3); n > 0; n--)
            result.push_back(sctp::addr(each[(at + n) % (c.chance(1, 3) ? 6 : 3)], port));
        return result;
    }

    void begin(choices &c)
    {
        port_ = static_cast<std::uint16_t>(7000 + count.cases % 20000);
        often_ = c.one_of<std::uint32_t>({4, 1, 2, 8, 12, 16, 0});
        gentle_ = c.chance(1, 3);
        one_to_many_ = c.chance(1, 4);
        for (const host *one : {&client_, &server_})
            for (const char *name : {"addip_enable", "auth_enable", "intl_enable", "reconf_enable",
                                     "prsctp_enable", "ecn_enable"})
                one->set(name, c.chance(1, 3) ? "0" : "1");
        client_.set("bundle_init_burst", c.chance(1, 6) ? "1" : "64");
        server_.set("valid_cookie_life", c.chance(1, 8) ? "30" : "60000");
        server_.enter();
        listener_ = open(c);
        // Some of its addresses, or all, for the peer to ask for others in vain.
        const addresses own = sctp::addrs({"10.9.0.1", "10.9.0.2", "fd09::1"}, port_);
        if (family_ == AF_BUNDLE && sctp::bind_to(listener_, own) < 0)
            net::fail("the server's bind");
        if (family_ != AF_BUNDLE && sctp::bind_to(listener_, own[family_ == AF_INET ? 0 : 2]) < 0)
            net::fail("the server's bind");
        listen(listener_, 8);
        call(c);
    }

    fd open(choices &c)
    {
        family_ = c.chance(1, 5) ? c.one_of({AF_INET, AF_INET6}) : AF_BUNDLE;
        fd result = sctp::open_socket(one_to_many_ ? SOCK_SEQPACKET : SOCK_STREAM, family_);
        sctp::nonblocking(result);
        return result;
    }

    // A new client, from the former one's port now and then.
    void call(choices &c)
    {
        client_.enter();
        flow f;
        f.socket = open(c);
        f.stream = !one_to_many_;
        if (family_ == AF_BUNDLE && c.chance(1, 2))
            sctp::bind_to(f.socket, sctp::addrs({"10.8.0.1", "10.8.0.2", "fd08::1"},
                                                static_cast<std::uint16_t>(port_ + c.below(2))));
        bundle::socket_address to;
        for (const auto &a : theirs(c, port_))
            if (c.chance(1, 5))
                to.add_host(a);
            else
                to.add(a);
        const addresses plain = sctp::addrs({"10.9.0.1", "fd09::1"}, port_);
        if (one_to_many_ && family_ == AF_BUNDLE)
            sctp::sendto(f.socket, to, "hello", MSG_DONTWAIT);
        else if (family_ == AF_BUNDLE)
            sctp::connect_to(f.socket, to);
        else
            sctp::connect_to(f.socket, plain[family_ == AF_INET ? 0 : 1]);
        clients_.push_back(std::move(f));
        if (clients_.size() > 3)
            clients_.pop_front();
    }

    flow *any(choices &c)
    {
        std::deque<flow> &side = c.chance(1, 2) ? servers_ : clients_;
        return side.empty() ? nullptr : &side[c.below(static_cast<std::uint32_t>(side.size()))];
    }

    void act(choices &c)
    {
        server_.enter();
        for (int s;
             (s = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
            count.accepted++;
            servers_.push_back({fd(s), 0, 0, true});
        }
        flow *f = any(c);
        std::array<char, 5000> room;
        switch (c.below(12)) {
        default: // data, both ways
            for (auto *side : {&clients_, &servers_})
                for (flow &one : *side) {
                    send_on(c, one, room);
                    receive_on(one, room);
                }
            break;
        case 6:
            call(c);
            break;
        case 7:
            if (f)
                shutdown(f->socket, c.one_of({SHUT_WR, SHUT_RDWR, SHUT_RD}));
            break;
        case 8:
            if (f) {
                if (c.chance(1, 2))
                    sctp::set_option(f->socket, SOL_SOCKET, SO_LINGER, linger{1, 0});
                f->socket.reset();
            }
            break;
        case 9: // ASCONF, where it's on
            if (f) {
                const auto a = sctp::addr(c.one_of({"10.8.0.2", "10.9.0.2"}), 0);
                std::array<std::byte, 28> one{};
                setsockopt(f->socket, IPPROTO_SCTP,
                           c.one_of({SCTP_SOCKOPT_BINDX_REM, SCTP_SOCKOPT_BINDX_ADD}), one.data(),
                           static_cast<socklen_t>(a.with_port(sctp_port(f->socket)).store(one)));
            }
            break;
        case 10:
            if (f) {
                sctp_reset_streams reset{};
                reset.srs_flags = static_cast<std::uint16_t>(1 + c.below(3));
                sctp::set_option(f->socket, IPPROTO_SCTP, SCTP_RESET_STREAMS, reset);
            }
            break;
        }
    }

    static std::uint16_t sctp_port(int s)
    {
        std::array<std::byte, 28> room{};
        socklen_t length = room.size();
        getsockname(s, sctp::as_sockaddr(room.data()), &length);
        const auto a = bundle::address::from(std::span(room));
        return a ? a->port() : std::uint16_t{0};
    }

    void send_on(choices &c, flow &f, std::array<char, 5000> &room)
    {
        if (one_to_many_) {
            send(f.socket, room.data(), c.below(3000), MSG_DONTWAIT | MSG_NOSIGNAL);
            return;
        }
        const std::size_t n = 1 + c.below(static_cast<std::uint32_t>(room.size()));
        for (std::size_t i = 0; i < n; i++)
            room.at(i) = byte_at(f.sent + i);
        const ssize_t done = send(f.socket, room.data(), n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done > 0) {
            f.sent += static_cast<std::size_t>(done);
            count.sent += static_cast<std::uint64_t>(done);
        }
    }

    void receive_on(flow &f, std::array<char, 5000> &room)
    {
        const ssize_t n = recv(f.socket, room.data(), room.size(), MSG_DONTWAIT);
        if (n <= 0)
            return;
        if (f.received == 0)
            count.connected++;
        count.received += static_cast<std::uint64_t>(n);
        for (ssize_t i = 0; i < n && f.stream && gentle_; i++)
            if (room.at(static_cast<std::size_t>(i)) !=
                byte_at(f.received + static_cast<std::size_t>(i)))
                wrong_ = "wrong data " + std::to_string(f.received) + " bytes from the start";
        f.received += static_cast<std::size_t>(n);
    }

    // --- Between the hosts -----------------------------------------------------------------------

    void pump(int milliseconds)
    {
        const double over = sctp::now() + milliseconds * 1e-3;
        for (int i = 0; i < 400; i++) {
            std::array<pollfd, 2> tuns{{{client_.tun(), POLLIN, 0}, {server_.tun(), POLLIN, 0}}};
            const int left = static_cast<int>((over - sctp::now()) * 1000);
            if (poll(tuns.data(), 2, std::max(left, 0)) <= 0)
                return;
            for (const std::size_t from : {0U, 1U}) {
                datagram d;
                d.all.resize(4096);
                const ssize_t n = read(tuns[from].fd, d.all.data(), d.all.size());
                if (n <= 0)
                    continue;
                d.all.resize(static_cast<std::size_t>(n));
                count.packets++;
                pass(std::move(d), from);
            }
        }
    }

    void deliver(const datagram &d, std::size_t from)
    {
        if (write(from == 0 ? server_.tun() : client_.tun(), d.all.data(), d.all.size()) < 0)
            return; // malformed beyond what the device takes
    }

    void pass(datagram d, std::size_t from)
    {
        if (!d.sctp() || next_ >= numbers_.size() || often_ == 0) {
            deliver(d, from);
            return;
        }
        choices c = event();
        if (c.chance(16 - std::min(often_, 15U), 16)) {
            deliver(d, from);
            return;
        }
        auto what = static_cast<change>(c.below(gentle_ ? old_one : changes));
        // Few packets have parameters, and much depends on them.
        if (!gentle_ && d.has_parameters() && c.chance(1, 2))
            what = c.one_of({parameter_changed, chunk_length, parameter_changed, parameter_added,
                             parameter_changed, parameter_removed, parameter_twice});
        count.made[what]++;
        old_.push_back(d);
        if (old_.size() > 64)
            old_.pop_front();
        if (held_) {
            deliver(*std::exchange(held_, std::nullopt), from);
        }
        switch (what) {
        case drop:
            return;
        case twice:
            deliver(d, from);
            break;
        case later:
            held_ = std::move(d);
            return;
        case old_one:
            deliver(old_[c.below(static_cast<std::uint32_t>(old_.size()))], c.below(2));
            break;
        case wrong_checksum:
            d.all[d.start() + 8] ^= 1;
            d.repair(false);
            break;
        case packet_added: {
            datagram more = d;
            more.all.resize(more.start() + sctp_header);
            for (std::uint32_t n = 1 + c.below(2); n > 0; n--)
                more.insert(more.all.size(), any_chunk(c));
            more.repair();
            if (c.chance(1, 2))
                deliver(d, from);
            deliver(more, from);
            if (c.chance(1, 2))
                return;
            break;
        }
        case icmp: {
            datagram quoted = d;
            if (c.chance(1, 3))
                quoted.all[quoted.start() + 4 + c.below(4)] ^= 1; // another tag
            deliver(icmp_error(c, quoted), 1 - from);
            break;
        }
        default:
            damage(c, what, d);
            if (d.sctp())
                d.repair();
            break;
        }
        deliver(d, from);
    }

    // Instead of one that is right: shorter than a header, than what is fixed, or than what is
    // there, a bit longer, or anything.
    static std::size_t some_length(choices &c, std::size_t right)
    {
        switch (c.below(3)) {
        case 0:
            return right + c.below(9) - 4;
        case 1:
            return c.below(static_cast<std::uint32_t>(right) + 1);
        default:
            return c.one_of<std::size_t>({0, 3, 0, c.number()});
        }
    }

    static void damage(choices &c, change what, datagram &d)
    {
        const std::size_t s = d.start();
        const auto chunks = d.chunks();
        if (chunks.empty())
            return;
        const auto &k = c.element(chunks);
        const auto parameters = d.parameters(k);
        const auto any = [&](std::size_t from) {
            return from + c.below(static_cast<std::uint32_t>(d.all.size() - from));
        };
        switch (what) {
        case tag:
            for (std::size_t i = 0; i < 4; i++)
                d.all[s + 4 + i] = static_cast<std::uint8_t>(c.chance(1, 2) ? 0 : c.below(256));
            break;
        case source:
            d.all[d.v6() ? 23 : 15] = c.one_of<std::uint8_t>({1, 2, 99, 3});
            break;
        case destination:
            d.all[d.v6() ? 39 : 19] = c.one_of<std::uint8_t>({1, 2, 99, 3});
            break;
        case port:
            set16(d.all, s + 2 * c.below(2), c.number());
            break;
        case chunk_type:
            d.all[k.at] = any_chunk(c)[0];
            break;
        case chunk_flags:
            d.all[k.at + 1] ^= static_cast<std::uint8_t>(1U << c.below(8));
            break;
        case chunk_length:
            set16(d.all, k.at + 2, some_length(c, k.length));
            if (c.chance(1, 2)) // and nothing follows what is left of it
                d.all.resize(std::min(d.all.size(), k.at + padded(get16(d.all, k.at + 2))));
            break;
        case chunk_removed:
            d.remove(k);
            break;
        case chunk_twice:
            d.insert(k.at, d.copy(k));
            break;
        case chunk_added:
            d.insert(c.chance(1, 2) ? k.at : d.all.size(), any_chunk(c));
            break;
        case parameter_changed:
            if (!parameters.empty()) {
                const auto &p = c.element(parameters);
                const std::size_t at = p.at + 2 * c.one_of<std::size_t>({1, 0, 1, 2, 1, 3});
                if (at == p.at + 2)
                    set16(d.all, at, some_length(c, p.length));
                else
                    set16(d.all, at,
                          c.chance(1, 2) ? c.number() : get16(d.all, at) + c.below(9) - 4U);
            }
            break;
        case parameter_added:
        case parameter_removed:
        case parameter_twice: {
            const std::size_t before = d.all.size();
            if (what == parameter_added)
                d.insert(parameters.empty() ? k.at + padded(k.length) : c.element(parameters).at,
                         any_parameter(c));
            else if (parameters.empty())
                return;
            else if (what == parameter_removed)
                d.remove(c.element(parameters));
            else
                d.insert(c.element(parameters).at, d.copy(c.element(parameters)));
            set16(d.all, k.at + 2, k.length + d.all.size() - before);
            break;
        }
        case bytes:
            for (std::uint32_t n = 1 + c.below(4); n > 0; n--)
                d.all[any(s)] = static_cast<std::uint8_t>(c.below(256));
            break;
        case truncated:
            d.all.resize(any(s + sctp_header));
            break;
        case extended:
            d.insert(d.all.size(), some_octets(c, 80));
            break;
        default:
            break;
        }
    }

    // What SCTP has made and not freed, associations, transports and chunks, on either side.
    static long objects()
    {
        std::istringstream lines(net::sctp_objects());
        long sum = 0, number = 0;
        for (std::string name; lines >> name >> number;)
            if (name == "assoc:" || name == "transport:" || name == "chunk:")
                sum += number;
        return sum;
    }

    // Everything is closed; then nothing may be left.
    void end()
    {
        held_.reset();
        next_ = numbers_.size();
        for (auto *side : {&clients_, &servers_}) {
            for (flow &f : *side)
                if (f.socket >= 0)
                    sctp::set_option(f.socket, SOL_SOCKET, SO_LINGER, linger{1, 0});
            side->clear();
        }
        listener_.reset();
        for (int i = 0; i < 100; i++) {
            pump(100);
            if (client_.left("assocs") + client_.left("eps") + server_.left("assocs") +
                    server_.left("eps") + objects() ==
                0)
                return;
        }
        if (wrong_.empty())
            wrong_ = "something is left: " + std::to_string(objects()) + " objects of SCTP's";
    }

    host client_, server_;
    std::vector<std::uint32_t> numbers_;
    std::size_t next_ = 0;
    std::string wrong_;
    std::uint32_t often_ = 0;
    bool gentle_ = false, one_to_many_ = false;
    int family_ = AF_BUNDLE;
    std::uint16_t port_ = 0;
    fd listener_;
    std::deque<flow> clients_, servers_;
    std::optional<datagram> held_;
    std::deque<datagram> old_;
};

} // namespace

int main(int argc, char **argv)
{
    CLI::App app{"Changes packets of bundle sockets at random", "fuzz_wire"};
    fuzz::options o;
    o.add_to(app);
    CLI11_PARSE(app, argc, argv);
    if (o.print) {
        choices numbers(o.number(0));
        for (std::size_t i = 0; i < head + events * numbers_each; i++)
            numbers.below(0xffffffff);
        std::cout << "# unit " << numbers_each << " after " << head << '\n';
        fuzz::write(std::cout, numbers.list());
        return 0;
    }
    wire w;
    const int failed =
        fuzz::session("fuzz_wire", o, [&](fuzz::input &one) { return w.run(one.numbers); });
    for (std::uint32_t i = 0; i < changes; i++)
        std::cout << "# " << names[i] << ": " << count.made[i] << '\n';
    std::cout << "fuzz_wire: totals: " << count.cases << " cases, " << count.packets << " packets, "
              << count.accepted << " accepted, " << count.connected << " ends got data, "
              << count.sent << " bytes sent, " << count.received << " received, " << failed
              << " failed\n";
    return failed != 0;
}
