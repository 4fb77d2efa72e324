// SPDX-License-Identifier: GPL-2.0
// Connects of ordinary SCTP sockets, to one address and with sctp_connectx(3), packet for packet as
// SCTP without bundles does them: bundle_ordinary.inc was recorded on the stock kernel, where this
// test passes, too. Heartbeats are left out, as their times are random. Virtual time only.
//
// BUNDLE_RECORD=FILE writes what was seen, to take that file's place.
#include "ktap.hpp"
#include "routed.hpp"

#include <cmath>
#include <iomanip>

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>

namespace {

using namespace sctp;

// The SCTP packets over IPv4 on the client's link, as lines "SECONDS FROM > TO CHUNKS".
class capture {
  public:
    capture()
    {
        const sockaddr_ll link = [] {
            sockaddr_ll result{};
            result.sll_family = AF_PACKET;
            result.sll_protocol = htons(ETH_P_ALL);
            result.sll_ifindex = static_cast<int>(if_nametoindex("r"));
            return result;
        }();
        socket_ = fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const int on = 1;
        if (socket_ < 0 || setsockopt(socket_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ||
            bind(socket_, reinterpret_cast<const sockaddr *>(&link), sizeof(link)) < 0)
            net::fail("capture");
        timespec t{};
        clock_gettime(CLOCK_REALTIME, &t);
        start_ = seconds(t);
    }

    [[nodiscard]] std::string lines() const
    {
        std::ostringstream result;
        result << std::fixed << std::setprecision(2);
        for (;;) {
            std::array<std::uint8_t, 2048> room{};
            std::array<char, 128> control{};
            iovec data{room.data(), room.size()};
            msghdr message{};
            message.msg_iov = &data;
            message.msg_iovlen = 1;
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            const ssize_t n = recvmsg(socket_, &message, 0);
            if (n < 0)
                return result.str();
            timespec t{};
            const cmsghdr *stamp = CMSG_FIRSTHDR(&message);
            if (!stamp)
                throw std::runtime_error("a packet without its time");
            std::memcpy(&t, CMSG_DATA(stamp), sizeof(t));
            iphdr ip{};
            std::memcpy(&ip, room.data(), sizeof(ip));
            if (ip.version != 4 || ip.protocol != IPPROTO_SCTP)
                continue;
            const std::string text = chunks(
                std::span(room).first(static_cast<std::size_t>(n)).subspan(ip.ihl * 4U + 12));
            if (text.empty())
                continue;
            result << seconds(t) - start_ << " " << inet_ntoa({ip.saddr}) << " > ";
            result << inet_ntoa({ip.daddr}) << text << "\n";
        }
    }

  private:
    static double seconds(const timespec &t)
    {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
    }

    // Type, flags and length of each.
    static std::string chunks(std::span<const std::uint8_t> rest)
    {
        static const std::map<int, std::string> names{
            {0, "DATA"},         {1, "INIT"},
            {2, "INIT-ACK"},     {3, "SACK"},
            {6, "ABORT"},        {7, "SHUTDOWN"},
            {8, "SHUTDOWN-ACK"}, {10, "COOKIE-ECHO"},
            {11, "COOKIE-ACK"},  {14, "SHUTDOWN-COMPLETE"}};
        constexpr int heartbeat = 4, heartbeat_ack = 5;
        std::ostringstream text;
        while (rest.size() >= 4) {
            const std::size_t length = static_cast<std::size_t>(rest[2] << 8 | rest[3]);
            if (rest[0] != heartbeat && rest[0] != heartbeat_ack) {
                const auto name = names.find(rest[0]);
                text << " ";
                if (name != names.end())
                    text << name->second;
                else
                    text << int{rest[0]};
                text << "(" << int{rest[1]} << "," << length << ")";
            }
            rest =
                rest.subspan(std::min((std::max<std::size_t>(length, 4) + 3) / 4 * 4, rest.size()));
        }
        return text.str();
    }

    fd socket_;
    double start_ = 0;
};

std::vector<std::byte> packed(const addresses &all)
{
    std::vector<std::byte> result(all.size() * sizeof(sockaddr_in));
    for (std::size_t i = 0; i < all.size(); i++)
        all[i].store(std::span(result).subspan(i * sizeof(sockaddr_in), sizeof(sockaddr_in)));
    return result;
}

int with_all(int socket, int option, const addresses &all)
{
    const auto list = packed(all);
    return setsockopt(socket, IPPROTO_SCTP, option, list.data(),
                      static_cast<socklen_t>(list.size()));
}

class Ordinary : public Setup {
  protected:
    static void SetUpTestSuite()
    {
        ktap::test_limit = 2000; // SCTP tries for 342 seconds
        Setup::SetUpTestSuite();
    }

    fd listens(const addresses &all, int type = SOCK_STREAM) const
    {
        return hosts().server.in(hosts().client, [&] {
            fd result = open_socket(type, AF_INET);
            if (with_all(result, SCTP_SOCKOPT_BINDX_ADD, all) < 0 || ::listen(result, 8) < 0)
                net::fail("the server's bindx and listen");
            return result;
        });
    }

    // What @call of a new socket puts on the wire until two seconds after it.
    template <typename F>
    void record(const std::string &name, F call, int type = SOCK_STREAM)
    {
        const capture packets;
        const double start = now();
        {
            const fd socket = open_socket(type, AF_INET);
            seen_ << "# " << name << ": " << outcome(call(socket)) << "\n";
            seen_ << std::fixed << std::setprecision(2) << now() - start << " done\n";
        }
        poll(nullptr, 0, 2000);
        seen_ << packets.lines();
        port = next_port();
    }

    std::ostringstream seen_;
};

constexpr const char *recorded =
#include "bundle_ordinary.inc"
    ;

struct line {
    double seconds = 0;
    std::string text;
};
std::vector<line> lines_of(const std::string &text)
{
    std::istringstream in(text);
    std::vector<line> result;
    for (std::string l; std::getline(in, l);) {
        line next;
        if (l.starts_with("#"))
            next.text = l;
        else {
            std::istringstream words(l);
            words >> next.seconds;
            std::getline(words, next.text);
        }
        result.push_back(next);
    }
    return result;
}

TEST_F(Ordinary, ConnectsArePacketForPacketTheStockKernels)
{
    const auto one = [](const addresses &all) {
        return [all](int socket) { return connect_to(socket, all.front()); };
    };
    const auto all_of = [](const addresses &all) {
        return [all](int socket) { return with_all(socket, SCTP_SOCKOPT_CONNECTX, all); };
    };
    const auto talks = [](auto connects, const fd &listening) {
        return [=, &listening](int socket) {
            const int result = connects(socket);
            const fd peer = accept(listening);
            std::array<char, 1000> text{};
            for (int i = 0; i < 3; i++) {
                if (send(socket, text.data(), text.size(), 0) != 1000 ||
                    recv(peer, text.data(), text.size(), 0) != 1000 ||
                    send(peer, text.data(), 10, 0) != 10 || recv(socket, text.data(), 10, 0) != 10)
                    net::fail("talk");
            }
            return result;
        };
    };
    {
        const fd listening = listens(server(1));
        record("connect, alive", talks(one(server(1)), listening));
    }
    {
        const fd listening = listens(server(3));
        record("sctp_connectx, all alive", talks(all_of(server(3)), listening));
    }
    {
        const fd listening = listens(server(3));
        const dead silent(hosts(), {server(3)[0], server(3)[1]});
        record("sctp_connectx, the first two of three silent", all_of(server(3)));
    }
    {
        const fd listening = listens({server(3)[1], server(3)[2]});
        record("sctp_connectx, the first of three refuses", all_of(server(3)));
    }
    record("connect, refused", one(server(1)));
    {
        const fd listening = listens({server(3)[1]}, SOCK_SEQPACKET);
        const dead silent(hosts(), {server(3)[0]});
        record(
            "sctp_connectx of a one-to-many socket, the first silent, the third without a server",
            all_of(server(3)), SOCK_SEQPACKET);
    }
    {
        const fd listening = listens(server(1), SOCK_SEQPACKET);
        const auto sends = [to = server(1)](int socket) {
            std::array<std::byte, 28> room;
            const auto length = static_cast<socklen_t>(to.front().store(room));
            return static_cast<int>(
                ::sendto(socket, "hello", 5, 0, as_sockaddr(room.data()), length));
        };
        record("sendto of a one-to-many socket", sends, SOCK_SEQPACKET);
    }
    {
        const dead silent(hosts(), server(2));
        record("connect, silent", one(server(1)));
        record("sctp_connectx, both silent", all_of(server(2)));
    }

    if (const char *file = getenv("BUNDLE_RECORD"))
        std::ofstream(file) << "R\"trace(" << seen_.str() << ")trace\"\n";
    const auto wanted = lines_of(recorded), got = lines_of(seen_.str());
    for (std::size_t i = 0; i < std::min(wanted.size(), got.size()); i++) {
        ASSERT_EQ(got[i].text, wanted[i].text) << "line " << i + 1 << "\n" << seen_.str();
        // The timer wheel may be late by an eighth.
        EXPECT_NEAR(got[i].seconds, wanted[i].seconds, 0.02 + 0.125 * wanted[i].seconds)
            << "line " << i + 1 << wanted[i].text;
    }
    EXPECT_EQ(got.size(), wanted.size()) << seen_.str();
    EXPECT_GT(wanted.size(), 60U);
}

} // namespace
