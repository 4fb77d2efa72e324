// SPDX-License-Identifier: GPL-2.0
// One-to-many sockets: bundles in sendto(2), sendmsg(2) and connect(2), and peeled-off sockets.
#include "two_hosts.hpp"

namespace {

using namespace sctp;

class Seqpacket : public TwoHosts {
  protected:
    static void SetUpTestSuite()
    {
        TwoHosts::SetUpTestSuite();
        if (!hosts_)
            return;
        std::ostringstream more;
        for (int i = 1; i <= 64; i++)
            more << "addr add 10.0.3." << i << "/24 dev v3\n";
        hosts().on_server([&] { net::ip(more.str()); });
        net::ip("addr add 10.0.3.100/24 dev v3\n");
    }

    fd bound_client(int family = AF_BUNDLE) const
    {
        fd s = open_socket(SOCK_SEQPACKET, family);
        if (bind_to(s, clients) < 0)
            net::fail("the client's bind");
        return s;
    }

    // The one association that is there.
    static sctp_assoc_t only_association(int s)
    {
        const auto ids = associations(s);
        if (ids.size() != 1)
            throw std::runtime_error(std::to_string(ids.size()) + " associations");
        return ids[0];
    }
};

// What left this host on a link, headers included.
long bytes_sent(const std::string &link)
{
    std::istringstream lines(net::slurp("/proc/thread-self/net/dev"));
    std::string word;
    while (lines >> word)
        if (word == link + ":") {
            for (int skipped = 0; skipped < 8; skipped++)
                lines >> word;
            long sent = -1;
            lines >> sent;
            return sent;
        }
    throw std::runtime_error("no link " + link);
}

ssize_t sendmsg_to(int s, const void *name, std::size_t length, int flags = 0)
{
    char byte = 'x';
    iovec part{&byte, 1};
    msghdr m{};
    m.msg_name = const_cast<void *>(name);
    m.msg_namelen = static_cast<socklen_t>(length);
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    return sendmsg(s, &m, flags | MSG_NOSIGNAL);
}

TEST_F(Seqpacket, TheFirstMessageSetsUpAnAssociationWithAll)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    const address from = message_from(server);
    EXPECT_EQ(std::count(clients.begin(), clients.end(), from), 1);
    EXPECT_EQ(peer_set(client, only_association(client)), sorted(servers));
    EXPECT_EQ(local_set(client, only_association(client)), sorted(clients));
    EXPECT_EQ(peer_set(server, only_association(server)), sorted(clients));
    EXPECT_EQ(sctp_peer_set(client, only_association(client)), sorted(servers));
    const auto here = proc_assoc(client_port, port);
    EXPECT_EQ(here.count, 1);
    EXPECT_EQ(here.peer, sorted(servers));
}

TEST_F(Seqpacket, EverySendCallTakesShortAndLongBundles)
{
    for (const int n : {1, 5, 6, 64}) {
        const addresses all = range("10.0.3.", n, next_port());
        const socket_address b(all);
        const fd server = hosts().listener(all, SOCK_SEQPACKET);
        const fd client = open_socket(SOCK_SEQPACKET);
        ASSERT_EQ(outcome(sendto(client, b)), "ok") << n;
        message_from(server);
        EXPECT_EQ(peer_set(client, only_association(client)), sorted(all)) << n;

        const fd by_sendmsg = open_socket(SOCK_SEQPACKET);
        ASSERT_EQ(outcome(sendmsg_to(by_sendmsg, b.data(), b.size())), "ok") << n;
        message_from(server);
        EXPECT_EQ(peer_set(by_sendmsg, only_association(by_sendmsg)), sorted(all)) << n;

        const fd by_sendmmsg = open_socket(SOCK_SEQPACKET);
        char byte = 'x';
        iovec part{&byte, 1};
        std::array<mmsghdr, 3> m{};
        for (mmsghdr &one : m) {
            one.msg_hdr.msg_name = const_cast<sockaddr *>(b.data());
            one.msg_hdr.msg_namelen = b.size();
            one.msg_hdr.msg_iov = &part;
            one.msg_hdr.msg_iovlen = 1;
        }
        EXPECT_EQ(sendmmsg(by_sendmmsg, m.data(), m.size(), MSG_NOSIGNAL), 3) << n;
        for (std::size_t i = 0; i < m.size(); i++)
            message_from(server);
        EXPECT_EQ(peer_set(by_sendmmsg, only_association(by_sendmmsg)), sorted(all)) << n;
    }
}

TEST_F(Seqpacket, ABundleReachesTheAssociationThatHasOneOfItsAddresses)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    message_from(server);
    const sctp_assoc_t id = only_association(client);
    const addresses to[] = {
        servers,
        {servers.rbegin(), servers.rend()},
        {servers[1]},
        {servers[2]},
        {servers[2], addr("10.0.3.1", port)},
        {addr("192.0.2.1", port), addr("10.0.3.1", port), servers[1]},
    };
    for (const addresses &a : to) {
        EXPECT_EQ(outcome(sendto(client, a)), "ok") << bundle::to_string(socket_address(a));
        message_from(server);
        EXPECT_EQ(only_association(client), id);
        EXPECT_EQ(peer_set(client, id), sorted(servers)) << "the others aren't added";
    }
    for (const address &a : servers) {
        EXPECT_EQ(outcome(sendto(client, addresses{a})), "ok");
        message_from(server);
    }
    EXPECT_EQ(only_association(client), id);
}

TEST_F(Seqpacket, MembersOfTwoAssociationsAreEinval)
{
    const addresses a{servers[0]}, b{servers[1]};
    const fd server_a = hosts().listener(a, SOCK_SEQPACKET);
    const fd server_b = hosts().listener(b, SOCK_SEQPACKET);
    const fd client = bound_client();
    ASSERT_EQ(outcome(sendto(client, a)), "ok");
    ASSERT_EQ(outcome(sendto(client, b)), "ok");
    message_from(server_a);
    message_from(server_b);
    EXPECT_EQ(associations(client).size(), 2U);
    EXPECT_EQ(outcome(sendto(client, a + b)), "EINVAL");
    EXPECT_EQ(outcome(sendto(client, b + a)), "EINVAL");
    EXPECT_EQ(outcome(sendto(client, addrs({"192.0.2.1"}, port) + b + a)), "EINVAL");
    EXPECT_EQ(associations(client).size(), 2U);
    EXPECT_EQ(outcome(sendto(client, a)), "ok");
    message_from(server_a);
}

TEST_F(Seqpacket, FlagsThatEndAnAssociationStartNone)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET);
    const socket_address to(servers);
    for (const int flag : {SCTP_EOF, SCTP_ABORT}) {
        const fd client = open_socket(SOCK_SEQPACKET);
        sctp_sndinfo info{};
        info.snd_flags = static_cast<std::uint16_t>(flag);
        EXPECT_EQ(outcome(send_with(client, to, SCTP_SNDINFO, info, {})), "EINVAL") << flag;
        EXPECT_TRUE(associations(client).empty()) << flag;
        ASSERT_EQ(outcome(sendto(client, to)), "ok");
        message_from(server);
        EXPECT_EQ(outcome(send_with(client, to, SCTP_SNDINFO, info, {})), "ok") << flag;
        EXPECT_TRUE(net::eventually([&] { return associations(client).empty(); })) << flag;
    }
}

TEST_F(Seqpacket, AMessageCanBringTheParametersOfItsAssociation)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET);
    const fd client = open_socket(SOCK_SEQPACKET);
    const socket_address to(servers);
    sctp_initmsg init{};
    init.sinit_num_ostreams = 3;
    ASSERT_EQ(outcome(send_with(client, to, SCTP_INIT, init)), "ok");
    message_from(server);
    sctp_status status{};
    status.sstat_assoc_id = only_association(client);
    socklen_t length = sizeof(status);
    ASSERT_EQ(outcome(getsockopt(client, IPPROTO_SCTP, SCTP_STATUS, &status, &length)), "ok");
    EXPECT_EQ(status.sstat_outstrms, 3);

    sctp_initmsg hasty{};
    hasty.sinit_max_attempts = 1;
    hasty.sinit_max_init_timeo = 100;
    const fd other = open_socket(SOCK_SEQPACKET);
    const socket_address silent(addrs({"10.0.1.77", "10.0.2.77"}, port));
    ASSERT_EQ(outcome(send_with(other, silent, SCTP_INIT, hasty)), "ok");
    EXPECT_TRUE(net::eventually([&] { return associations(other).empty(); }))
        << "as often as the message says, and not until the bound";

    // But no more addresses.
    EXPECT_EQ(outcome(send_with(client, to, SCTP_DSTADDRV4, in_addr{htonl(0x0a000301)})), "EINVAL");
}

TEST_F(Seqpacket, AMessageCanChooseItsPath)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    message_from(server);
    sctp_sndinfo info{};
    info.snd_flags = SCTP_ADDR_OVER;
    const std::string data(1000, 'x');
    for (std::size_t i = 0; i < servers.size(); i++) {
        const std::string link = "v" + std::to_string(i + 1);
        const long before = bytes_sent(link);
        EXPECT_EQ(outcome(send_with(client, {servers[i]}, SCTP_SNDINFO, info, data)), "ok");
        EXPECT_TRUE(net::eventually([&] { return bytes_sent(link) >= before + 1000; })) << link;
    }
}

TEST_F(Seqpacket, ConnectSetsUpAnAssociation)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    const sctp_assoc_t id = only_association(client);
    EXPECT_EQ(peer_set(client, id), sorted(servers));
    EXPECT_EQ(outcome(connect_to(client, servers)), "EISCONN");
    EXPECT_EQ(only_association(client), id);
    // One more, to another peer.
    const addresses others = range("10.0.3.", 3, port);
    const fd other = hosts().listener(others, SOCK_SEQPACKET);
    const fd unbound_client = open_socket(SOCK_SEQPACKET);
    EXPECT_EQ(outcome(connect_to(unbound_client, servers)), "ok");
    EXPECT_EQ(outcome(connect_to(unbound_client, others)), "ok");
    EXPECT_EQ(associations(unbound_client).size(), 2U);
}

TEST_F(Seqpacket, OneToManyAndOneToOneSocketsReachEachOther)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET);
    const fd client = open_socket(SOCK_STREAM);
    ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
    ASSERT_EQ(send(client, "x", 1, MSG_NOSIGNAL), 1);
    message_from(server);
    const addresses others = range("10.0.3.", 3, port);
    const fd listener = hosts().listener(others);
    const fd sender = open_socket(SOCK_SEQPACKET);
    ASSERT_EQ(outcome(sendto(sender, others)), "ok");
    const fd accepted = accept(listener);
    EXPECT_TRUE(net::wait_for(accepted, POLLIN));
}

TEST_F(Seqpacket, WholeSetsNeedAKnownAssociation)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    message_from(server);
    const sctp_assoc_t id = only_association(client);
    alignas(8) std::array<std::byte, bundle::max_length> room{};
    for (const int option : {BUNDLE_LOCAL_ADDRS, BUNDLE_PEER_ADDRS, BUNDLE_PATHS})
        for (const sctp_assoc_t wrong : {id + 4711, sctp_assoc_t{-1}}) {
            std::memcpy(room.data(), &wrong, sizeof(wrong));
            socklen_t length = room.size();
            EXPECT_EQ(outcome(getsockopt(client, SOL_BUNDLE, option, room.data(), &length)),
                      "EINVAL")
                << option << ", " << wrong;
        }
    EXPECT_EQ(local_set(client, 0), sorted(clients)) << "0 is the endpoint";
    EXPECT_EQ(local_set(client, id), sorted(clients));
    room = {};
    socklen_t length = room.size();
    EXPECT_EQ(outcome(getsockopt(client, SOL_BUNDLE, BUNDLE_PEER_ADDRS, room.data(), &length)),
              "EINVAL")
        << "the endpoint has no peer";
    const net::guarded_memory memory;
    length = bundle::max_length;
    EXPECT_EQ(outcome(getsockopt(client, SOL_BUNDLE, BUNDLE_PEER_ADDRS, memory.last(2), &length)),
              "EFAULT");
}

TEST_F(Seqpacket, NamesAskedForAreTrimmedToTheBuffer)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    ASSERT_TRUE(net::wait_for(server, POLLIN));
    const int s = server;
    const auto peek = by_recvfrom(s, MSG_PEEK);
    const address from = plain_name(peek), local = sockname(server);
    EXPECT_EQ(local, servers[0]);
    ASSERT_EQ(outcome(set_option(server, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    expect_bundle_names(peek, from, clients, every_size());
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getsockname(s, a, n); }, local,
                        servers, every_size());
}

TEST_F(Seqpacket, APeeledOffSocketIsABundleSocket)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(set_option(server, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    ASSERT_TRUE(net::wait_for(server, POLLIN));
    // Only within the socket's namespace.
    const fd off = hosts().on_server([&] { return peeled_off(server, only_association(server)); });
    EXPECT_EQ(get_option(off, SOL_SOCKET, SO_PROTOCOL), IPPROTO_SCTP);
    EXPECT_EQ(get_option(off, SOL_BUNDLE, BUNDLE_NAMES), 1) << "it is inherited";
    EXPECT_EQ(peer_set(off), sorted(clients));
    EXPECT_EQ(local_set(off), sorted(servers));
    ASSERT_TRUE(net::wait_for(off, POLLIN));
    const int s = off;
    ASSERT_EQ(outcome(set_option(off, SOL_BUNDLE, BUNDLE_NAMES, 0)), "ok");
    const address peer = peername(off);
    EXPECT_EQ(sockname(off), servers[0]);
    ASSERT_EQ(outcome(set_option(off, SOL_BUNDLE, BUNDLE_NAMES, 1)), "ok");
    expect_bundle_names([s](sockaddr *a, socklen_t *n) { return getpeername(s, a, n); }, peer,
                        clients, every_size());
    expect_bundle_names(by_recvfrom(s, MSG_PEEK), peer, clients, every_size());
    EXPECT_TRUE(associations(server).empty());
    for (const addresses &to : {clients, addrs({"192.0.2.1"}, client_port) + clients})
        EXPECT_EQ(outcome(sendto(server, to)), "EADDRNOTAVAIL") << "they are the other socket's";
    EXPECT_EQ(outcome(sendto(off, addrs({"192.0.2.1"}, port))), "ok") << "to its peer as ever";
}

TEST_F(Seqpacket, OrdinarySocketsTakeBundles)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET, AF_INET6);
    const fd client = bound_client(AF_INET6);
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    ASSERT_TRUE(net::wait_for(server, POLLIN));
    const sctp_assoc_t id = only_association(client);
    EXPECT_EQ(sctp_peer_set(client, id), sorted(servers));
    EXPECT_EQ(outcome(sendto(client, addresses{servers[1], addr("10.0.3.1", port)})), "ok");
    EXPECT_EQ(only_association(client), id);

    const addresses all = range("10.0.3.", 64, port);
    const fd v4_server = hosts().listener(all, SOCK_SEQPACKET, AF_INET);
    const fd v4 = open_socket(SOCK_SEQPACKET, AF_INET);
    ASSERT_EQ(outcome(sendto(v4, all)), "ok");
    EXPECT_EQ(sctp_peer_set(v4, only_association(v4)), sorted(all));
    EXPECT_EQ(outcome(sendto(v4, servers)), "EAFNOSUPPORT") << "an IPv6 member";
    EXPECT_EQ(outcome(connect_to(v4, servers)), "EAFNOSUPPORT") << "an IPv6 member";
}

TEST_F(Seqpacket, RefusesWhatIsMalformedAndChangesNothing)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET);
    for (const int family : {AF_BUNDLE, AF_INET6}) {
        const fd client = open_socket(SOCK_SEQPACKET, family);
        for (const auto &input : malformed(servers[0], servers[1])) {
            EXPECT_EQ(outcome(::sendto(
                          client, "x", 1, MSG_NOSIGNAL, as_sockaddr(input.data.data()),
                          input.addrlen.value_or(static_cast<socklen_t>(input.data.size())))),
                      input.error)
                << input.what;
            EXPECT_EQ(outcome(sendmsg_to(
                          client, input.data.data(),
                          input.addrlen.value_or(static_cast<socklen_t>(input.data.size())))),
                      input.error)
                << input.what << ", sendmsg";
        }
        EXPECT_TRUE(associations(client).empty());
        EXPECT_TRUE(unbound(client));
        EXPECT_EQ(outcome(sendto(client, servers)), "ok");
        message_from(server);
    }
}

TEST_F(Seqpacket, LengthsAreTakenAsBindTakesThem)
{
    const addresses all = range("10.0.3.", 6, port);
    const fd server = hosts().listener(all, SOCK_SEQPACKET);
    bytes b = raw(socket_address(all));
    const std::size_t exact = b.size();
    b.resize(8192, std::byte{0xff});
    for (const std::size_t length : {std::size_t{128}, exact - 8, exact - 1, exact, exact + 1,
                                     std::size_t{2056}, std::size_t{2057}, std::size_t{8192}}) {
        for (const bool message : {false, true}) {
            const fd client = open_socket(SOCK_SEQPACKET);
            const std::string got =
                outcome(message ? sendmsg_to(client, b.data(), length)
                                : ::sendto(client, "x", 1, MSG_NOSIGNAL, as_sockaddr(b.data()),
                                           static_cast<socklen_t>(length)));
            EXPECT_EQ(got, length < exact ? "EINVAL" : "ok") << length << ", " << message;
            if (got == "ok") {
                message_from(server);
                EXPECT_EQ(peer_set(client, only_association(client)), sorted(all)) << length;
            }
        }
    }
}

TEST_F(Seqpacket, UnreadableMemoryIsEfault)
{
    const net::guarded_memory memory;
    const addresses all = range("10.0.3.", 64, port);
    const fd server = hosts().listener(all, SOCK_SEQPACKET);
    const fd client = open_socket(SOCK_SEQPACKET);
    const bytes b = raw(socket_address(all));
    for (const std::size_t readable : {std::size_t{0}, std::size_t{2}, std::size_t{8},
                                       std::size_t{128}, std::size_t{129}, b.size() - 1}) {
        std::byte *at = memory.last(readable);
        std::copy_n(b.begin(), readable, at);
        EXPECT_EQ(outcome(::sendto(client, "x", 1, MSG_NOSIGNAL, as_sockaddr(at),
                                   static_cast<socklen_t>(b.size()))),
                  "EFAULT")
            << readable;
        EXPECT_EQ(outcome(sendmsg_to(client, at, b.size())), "EFAULT") << readable << ", sendmsg";
    }
    EXPECT_TRUE(associations(client).empty());
    EXPECT_EQ(outcome(sendto(client, all)), "ok");
}

TEST_F(Seqpacket, OtherFamiliesAreCutOrRefusedAsEver)
{
    // sendmsg cuts what is above 128 bytes, sendto refuses it.
    bytes b(4096);
    servers[0].store(b);
    const fd server = hosts().listener(servers, SOCK_SEQPACKET);
    const fd client = open_socket(SOCK_SEQPACKET);
    EXPECT_EQ(outcome(::sendto(client, "x", 1, MSG_NOSIGNAL, as_sockaddr(b.data()), 129)),
              "EINVAL");
    EXPECT_EQ(outcome(sendmsg_to(client, b.data(), 129)), "ok");
    message_from(server);
    EXPECT_EQ(outcome(sendmsg_to(client, b.data(), b.size())), "ok");
    message_from(server);

    const fd udp(::socket(servers[0].family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(outcome(sendmsg_to(udp, b.data(), b.size())), "ok");
    const bytes bundle = raw(socket_address(range("10.0.3.", 64, port)));
    EXPECT_EQ(outcome(sendmsg_to(udp, bundle.data(), bundle.size())), "EAFNOSUPPORT");
}

TEST_F(Seqpacket, ABufferThatCannotBeWrittenIsEfault)
{
    const fd server = hosts().listener(servers, SOCK_SEQPACKET), client = bound_client();
    ASSERT_EQ(outcome(sendto(client, servers)), "ok");
    ASSERT_TRUE(net::wait_for(server, POLLIN));
    const net::guarded_memory memory;
    EXPECT_EQ(outcome(::recv(server, memory.last(0), 1, MSG_PEEK)), "EFAULT");
    message_from(server);
}

TEST_F(Seqpacket, OneToOneSocketsSendToTheirPeer)
{
    // A one-to-one socket that isn't connected connects by its first message, as SCTP's do.
    const fd listener = hosts().listener(servers);
    for (const bool connects : {true, false}) {
        const fd client = open_socket();
        if (connects) {
            ASSERT_EQ(outcome(connect_to(client, servers)), "ok");
        }
        EXPECT_EQ(outcome(sendto(client, servers)), "ok");
        const fd server = accept(listener);
        message_from(server);
        EXPECT_EQ(peer_set(client), sorted(servers));
        EXPECT_EQ(outcome(sendto(client, addrs({"10.0.3.1"}, port))), "EADDRNOTAVAIL");
    }
}

TEST_F(Seqpacket, ManyPeersOfOneSocket)
{
    const fd client = bound_client();
    std::vector<fd> peers;
    for (int i = 0; i < 8; i++) {
        const addresses a = two_hosts::server_addrs(next_port());
        peers.push_back(hosts().listener(a, SOCK_SEQPACKET));
        ASSERT_EQ(outcome(sendto(client, a)), "ok");
    }
    for (const fd &peer : peers) {
        message_from(peer);
        EXPECT_EQ(peer_set(peer, only_association(peer)), sorted(clients));
    }
    EXPECT_EQ(associations(client).size(), peers.size());
}

} // namespace
