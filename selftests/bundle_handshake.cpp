// SPDX-License-Identifier: GPL-2.0
// Setting up an association with a bundle together with what else SCTP does meanwhile: peers that
// call each other, authentication, ASCONF, cookies that expire, streams, interleaving; and with
// what programs do: signals, time-outs, close. Times are measured: run it in a guest in virtual
// time.
#include "routed.hpp"

#include <atomic>
#include <csignal>
#include <thread>

#include <sys/time.h>

namespace {

using namespace sctp;

// A sysctl of SCTP's in a namespace as long as it lives.
class setting {
  public:
    setting(const net::netns &where, const net::netns &home, const std::string &name,
            const std::string &value)
        : where_(where), home_(home)
    {
        where_.in(home_, [&] { set_ = std::make_unique<net::sysctl>("net/sctp/" + name, value); });
    }
    setting(const setting &) = delete;
    ~setting()
    {
        where_.in(home_, [&] { set_.reset(); });
    }

  private:
    const net::netns &where_, &home_;
    std::unique_ptr<net::sysctl> set_;
};

class Handshake : public Setup {
  protected:
    // Of these, the one that answers first is deaf to cookies, and is left for the other.
    [[nodiscard]] addresses bad() const { return other(2); }
    [[nodiscard]] addresses good() const { return server(1); }
    [[nodiscard]] static filter good_answers_late()
    {
        return {hosts().router, hosts().client,
                "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk init exists numgen inc mod 2 0 "
                "drop"};
    }
    [[nodiscard]] static filter bad_is_deaf()
    {
        return {hosts().other, hosts().client,
                "meta l4proto sctp sctp chunk cookie-echo exists drop"};
    }

    // A setting in all three namespaces.
    [[nodiscard]] static std::array<setting, 3> everywhere(const char *name, const char *value)
    {
        return {setting(hosts().client, hosts().client, name, value),
                setting(hosts().server, hosts().client, name, value),
                setting(hosts().other, hosts().client, name, value)};
    }

    // A message waits for room then, after its association has been made, and isn't woken by more
    // room before that one has begun. The receiver doesn't read.
    static void leave_no_room(int socket, const addresses &to)
    {
        set_option(socket, SOL_SOCKET, SO_SNDBUF, little_room);
        const std::string some(1000, 'x');
        if (sendto(socket, to, some) < 0)
            net::fail("the first message");
        while (net::eventually([&] { return sendto(socket, to, some, MSG_DONTWAIT) > 0; }, 1000))
            ;
    }
    static constexpr int little_room = 65536;

    // How many associations have a transport to an address.
    [[nodiscard]] static long count_of_transports(const address &a)
    {
        std::istringstream lines(net::slurp("/proc/thread-self/net/sctp/remaddr"));
        const std::vector<std::string> words{std::istream_iterator<std::string>(lines), {}};
        return std::count(words.begin(), words.end(), a.to_string());
    }

    // The text of the next message that comes to a listening socket, of either style.
    [[nodiscard]] std::string heard(int listening, int milliseconds = 10000) const
    {
        if (!net::wait_for(listening, POLLIN, milliseconds))
            return "nothing";
        const fd accepted =
            get_option(listening, SOL_SOCKET, SO_TYPE) == SOCK_STREAM
                ? hosts().server.in(hosts().client, [&] { return accept(listening); })
                : fd(dup(listening));
        std::array<char, 64> text{};
        if (!net::wait_for(accepted, POLLIN, milliseconds))
            return "nothing";
        const ssize_t n = recv(accepted, text.data(), text.size(), 0);
        return n < 0 ? outcome(n) : std::string(text.data(), static_cast<std::size_t>(n));
    }
};

// --- Authentication ------------------------------------------------------------------------------

constexpr std::uint8_t data_chunk = 0, cookie_echo_chunk = 10;

void use_key(int fd, std::string_view key)
{
    std::vector<std::uint8_t> room(sizeof(sctp_authkey) + key.size());
    auto *option = reinterpret_cast<sctp_authkey *>(room.data());
    option->sca_keylength = static_cast<std::uint16_t>(key.size());
    std::memcpy(option->sca_key, key.data(), key.size());
    if (setsockopt(fd, IPPROTO_SCTP, SCTP_AUTH_KEY, room.data(),
                   static_cast<socklen_t>(room.size())) < 0)
        net::fail("SCTP_AUTH_KEY");
}

void must_be_authenticated(int fd, std::uint8_t chunk)
{
    if (set_option(fd, IPPROTO_SCTP, SCTP_AUTH_CHUNK, sctp_authchunk{chunk}) < 0)
        net::fail("SCTP_AUTH_CHUNK");
}

void use_hmacs(int fd, std::initializer_list<std::uint16_t> ids)
{
    std::vector<std::uint8_t> room(sizeof(sctp_hmacalgo) + ids.size() * 2);
    auto *option = reinterpret_cast<sctp_hmacalgo *>(room.data());
    option->shmac_num_idents = static_cast<std::uint32_t>(ids.size());
    std::copy(ids.begin(), ids.end(), option->shmac_idents);
    if (setsockopt(fd, IPPROTO_SCTP, SCTP_HMAC_IDENT, room.data(),
                   static_cast<socklen_t>(room.size())) < 0)
        net::fail("SCTP_HMAC_IDENT");
}

TEST_F(Handshake, AServerWithAnotherKeyIsLeftForOneWithOurs)
{
    const auto authentication = everywhere("auth_enable", "1");
    const filter late = good_answers_late();
    for (const bool hosts_apart : {false, true}) {
        const fd unlucky = listener(hosts().other, bad()), listening = listener(good());
        use_key(unlucky, "theirs");
        use_key(listening, "ours");
        for (const int l : {static_cast<int>(unlucky), static_cast<int>(listening)})
            must_be_authenticated(l, cookie_echo_chunk);
        must_be_authenticated(listening, data_chunk);
        fd socket = open_socket();
        use_key(socket, "ours");
        socket_address to;
        to.add_host(bad()[0]);
        to.add(bad()[1]);
        if (hosts_apart)
            to.add_host(good()[0]);
        else
            to.add(good()[0]);
        const auto got = timed_connect(to, std::move(socket));
        ASSERT_EQ(got.result, "ok") << hosts_apart;
        EXPECT_EQ(peername(got.socket), good()[0]);
        EXPECT_NEAR(got.seconds, 2.2, 0.4) << "after two T1-cookie periods";
        ASSERT_EQ(outcome(send(got.socket, "once", 4, 0)), "ok");
        EXPECT_EQ(heard(listening), "once");
        EXPECT_TRUE(associations_become(0, hosts().other));
        port = next_port();
    }
}

TEST_F(Handshake, TheNextPeersAlgorithmIsItsOwn)
{
    const auto authentication = everywhere("auth_enable", "1");
    const filter late = good_answers_late(), deaf = bad_is_deaf();
    const fd unlucky = listener(hosts().other, bad()), listening = listener(good());
    use_hmacs(unlucky, {SCTP_AUTH_HMAC_ID_SHA256, SCTP_AUTH_HMAC_ID_SHA1});
    use_hmacs(listening, {SCTP_AUTH_HMAC_ID_SHA1});
    for (const int l : {static_cast<int>(unlucky), static_cast<int>(listening)})
        must_be_authenticated(l, data_chunk);
    const auto got = timed_connect(bad() + good());
    ASSERT_EQ(got.result, "ok");
    ASSERT_EQ(outcome(send(got.socket, "once", 4, 0)), "ok");
    EXPECT_EQ(heard(listening), "once");
}

TEST_F(Handshake, MessagesQueuedForAPeerWithAuthenticationReachOneWithout)
{
    const setting ours(hosts().client, hosts().client, "auth_enable", "1"),
        theirs(hosts().other, hosts().client, "auth_enable", "1");
    const filter late = good_answers_late(), deaf = bad_is_deaf();
    const fd unlucky = listener(hosts().other, bad(), SOCK_SEQPACKET),
             listening = listener(hosts().server, good(), SOCK_SEQPACKET);
    must_be_authenticated(unlucky, data_chunk);
    const fd socket = open_socket(SOCK_SEQPACKET);
    ASSERT_EQ(outcome(sendto(socket, bad() + good(), "once", MSG_DONTWAIT)), "ok");
    EXPECT_EQ(heard(listening), "once");
    EXPECT_EQ(heard(unlucky, 100), "nothing");
}

// --- ASCONF --------------------------------------------------------------------------------------

TEST_F(Handshake, AnAddressCanBeAddedAfterwards)
{
    const auto asconf = everywhere("addip_enable", "1"),
               alone = everywhere("addip_noauth_enable", "1");
    const addresses ours = addrs({"10.0.0.1", "fd00::1"}, next_port());
    const filter late = good_answers_late(), deaf = bad_is_deaf();
    const fd unlucky = listener(hosts().other, bad()), listening = listener(good());
    fd socket = open_socket();
    ASSERT_EQ(bind_to(socket, addresses{ours[0]}), 0);
    const auto got = timed_connect(bad() + good(), std::move(socket));
    ASSERT_EQ(got.result, "ok");
    const fd accepted = hosts().server.in(hosts().client, [&] { return accept(listening); });
    EXPECT_EQ(sctp_peer_set(accepted).size(), 1U);
    std::array<std::byte, 28> room{};
    ASSERT_EQ(setsockopt(got.socket, IPPROTO_SCTP, SCTP_SOCKOPT_BINDX_ADD, room.data(),
                         static_cast<socklen_t>(ours[1].store(room))),
              0);
    EXPECT_TRUE(net::eventually([&] { return sctp_peer_set(accepted) == sorted(ours); }));
}

// RFC 5061, section 4.2.7: an INIT ACK with ASCONF and without AUTH isn't taken.
TEST_F(Handshake, AnInitAckThatIsNotTakenFailsItsAddressAlone)
{
    const setting ours(hosts().client, hosts().client, "addip_enable", "1"),
        with(hosts().client, hosts().client, "auth_enable", "1"),
        theirs(hosts().other, hosts().client, "addip_enable", "1"),
        without(hosts().other, hosts().client, "addip_noauth_enable", "1");
    const fd unlucky = listener(hosts().other, bad()), listening = listener(good());
    const auto got = timed_connect(bad() + good());
    ASSERT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 3 * round_trip);
    EXPECT_EQ(peername(got.socket), good()[0]);
    EXPECT_EQ(sctp_peer_set(got.socket), good()) << "no path to the other";
    EXPECT_EQ(timed_connect(bad()).result, "ECONNREFUSED");
}

// --- Cookies that expire -------------------------------------------------------------------------

TEST_F(Handshake, AStaleCookieIsAskedForAgainWithMoreTime)
{
    const setting hurry(hosts().server, hosts().client, "valid_cookie_life", "10");
    const addresses all = server(3);
    const fd listening = listener(all);
    const dead silent(hosts(), {all[0]});
    const auto got = timed_connect(all);
    EXPECT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 5 * round_trip);
}

TEST_F(Handshake, AServerWhoseCookiesAreAlwaysStaleIsLeftForAnother)
{
    const setting hurry(hosts().other, hosts().client, "valid_cookie_life", "10"),
        mercy(hosts().other, hosts().client, "cookie_preserve_enable", "0");
    const fd unlucky = listener(hosts().other, bad()), listening = listener(good());
    const filter late = good_answers_late();
    const auto got = timed_connect(bad() + good());
    ASSERT_EQ(got.result, "ok");
    EXPECT_LT(got.seconds, 1);
    EXPECT_EQ(peername(got.socket), good()[0]);
    EXPECT_EQ(sctp_peer_set(got.socket), good());
    EXPECT_EQ(timed_connect(bad()).result, "ETIMEDOUT");
}

TEST_F(Handshake, AHostThatRestartsMeanwhileIsLeftForTheNext)
{
    const fd listening = listener(good());
    for (const bool comes_back : {false, true}) {
        const filter lossy(hosts().router, hosts().client,
                           "ip daddr 10.2.0.0/24 meta l4proto sctp sctp chunk cookie-echo exists "
                           "numgen inc mod 2 0 drop");
        fd unlucky;
        const auto listens = [&] {
            try {
                unlucky = listener(hosts().other, bad());
            } catch (const std::runtime_error &) {
                return false; // the one before is still being closed
            }
            return true;
        };
        ASSERT_TRUE(net::eventually(listens));
        fd socket = open_socket();
        nonblocking(socket);
        socket_address to;
        to.add_host(bad()[0]);
        to.add(bad()[1]);
        to.add_host(good()[0]);
        const double start = now();
        ASSERT_EQ(outcome(connect_to(socket, to)), "EINPROGRESS");
        poll(nullptr, 0, 200);
        unlucky.reset();
        if (comes_back) {
            ASSERT_TRUE(net::eventually(listens)); // and doesn't know its cookie any more
        }
        EXPECT_EQ(net::wait_for(socket, POLLOUT, 4000), POLLOUT) << comes_back;
        EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), 0);
        EXPECT_NEAR(now() - start, comes_back ? 2.2 : 1.2, 0.4) << comes_back;
        EXPECT_EQ(peername(socket), good()[0]);
        EXPECT_EQ(sctp_peer_set(socket), good());
    }
}

// --- What a peer that was left leaves behind -----------------------------------------------------

TEST_F(Handshake, APeerWithFewStreamsCostsAnotherOneNoMessages)
{
    const filter late = good_answers_late(), deaf = bad_is_deaf();
    const fd unlucky = listener(hosts().other, bad(), SOCK_SEQPACKET),
             listening = listener(hosts().server, good(), SOCK_SEQPACKET);
    sctp_initmsg few{};
    few.sinit_max_instreams = 1;
    ASSERT_EQ(set_option(unlucky, IPPROTO_SCTP, SCTP_INITMSG, few), 0);
    const fd socket = open_socket(SOCK_SEQPACKET);
    sctp_sndrcvinfo info{};
    info.sinfo_stream = 5;
    ASSERT_EQ(set_option(socket, IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, info), 0);
    ASSERT_EQ(outcome(sendto(socket, bad() + good(), "once", MSG_DONTWAIT)), "ok");
    EXPECT_EQ(heard(listening), "once");
}

TEST_F(Handshake, TheOnlyPeersFewStreamsCount)
{
    const fd listening = listener(server(2));
    sctp_initmsg few{};
    few.sinit_max_instreams = 2;
    ASSERT_EQ(set_option(listening, IPPROTO_SCTP, SCTP_INITMSG, few), 0);
    const auto got = timed_connect(server(2) + other(1));
    ASSERT_EQ(got.result, "ok");
    EXPECT_EQ(status_of(got.socket).sstat_outstrms, 2);
}

void interleave(int fd)
{
    const int level = 2;
    if (set_option(fd, IPPROTO_SCTP, SCTP_FRAGMENT_INTERLEAVE, level) < 0 ||
        set_option(fd, IPPROTO_SCTP, SCTP_INTERLEAVING_SUPPORTED, sctp_assoc_value{0, 1}) < 0)
        net::fail("I-DATA");
}

TEST_F(Handshake, APeerWithInterleavingLeavesNothingToOneWithout)
{
    const auto allowed = everywhere("intl_enable", "1");
    const filter late = good_answers_late(), deaf = bad_is_deaf();
    const fd unlucky = listener(hosts().other, bad(), SOCK_SEQPACKET),
             listening = listener(hosts().server, good(), SOCK_SEQPACKET);
    interleave(unlucky);
    const fd socket = open_socket(SOCK_SEQPACKET);
    interleave(socket);
    nonblocking(socket);
    ASSERT_EQ(outcome(connect_to(socket, bad() + good())), "EINPROGRESS");
    poll(nullptr, 0, 200); // it has answered, and has the cookie
    EXPECT_EQ(outcome(sendto(socket, bad() + good(), "once")), "EAGAIN");
    nonblocking(socket, false);
    EXPECT_EQ(outcome(sendto(socket, bad() + good(), "once")), "ok");
    EXPECT_EQ(heard(listening), "once");
}

TEST_F(Handshake, AStreamThatThePeerLacksIsRefusedOnceItIsKnown)
{
    const auto allowed = everywhere("intl_enable", "1");
    const fd listening = listener(hosts().server, server(2), SOCK_SEQPACKET),
             socket = open_socket(SOCK_SEQPACKET);
    sctp_initmsg few{};
    few.sinit_max_instreams = 1;
    ASSERT_EQ(set_option(listening, IPPROTO_SCTP, SCTP_INITMSG, few), 0);
    sctp_sndrcvinfo info{};
    info.sinfo_stream = 5;
    ASSERT_EQ(set_option(socket, IPPROTO_SCTP, SCTP_DEFAULT_SEND_PARAM, info), 0);
    interleave(listening);
    interleave(socket);
    nonblocking(socket);
    ASSERT_EQ(outcome(connect_to(socket, server(2))), "EINPROGRESS");
    nonblocking(socket, false);
    EXPECT_EQ(outcome(sendto(socket, server(2), "x")), "EINVAL");
}

TEST_F(Handshake, DataThatGoesWithTheCookieDoesNotTakeThePathOutOfUse)
{
    // T3-rtx and T1-cookie expire together: the address is "potentially failed", and still the
    // only one that takes the cookie.
    const addresses all = server(3);
    const fd listening = listener(hosts().server, all, SOCK_SEQPACKET);
    const dead silent(hosts(), {all[1], all[2]});
    const filter lossy(hosts().router, hosts().client,
                       "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk cookie-echo exists "
                       "numgen inc mod 2 0 drop");
    const fd socket = open_socket(SOCK_SEQPACKET);
    const double start = now();
    ASSERT_EQ(outcome(sendto(socket, all, "once", MSG_DONTWAIT)), "ok");
    EXPECT_TRUE(associations_become(1, hosts().server, 2000));
    EXPECT_LT(now() - start, 1.5);
    EXPECT_EQ(heard(listening), "once");
}

TEST_F(Handshake, DataThatGoesWithALostCookieFollowsTheNextOneAtOnce)
{
    const addresses all = server(3);
    const fd listening = listener(hosts().server, all, SOCK_SEQPACKET);
    const filter lossy(hosts().router, hosts().client,
                       "meta l4proto sctp sctp chunk cookie-echo exists numgen inc mod 4 0 drop");
    const fd socket = open_socket(SOCK_SEQPACKET);
    sctp_rtoinfo times{};
    times.srto_initial = 300; // T1-cookie's, and T3-rtx has a second
    ASSERT_EQ(set_option(socket, IPPROTO_SCTP, SCTP_RTOINFO, times), 0);
    const double start = now();
    ASSERT_EQ(outcome(sendto(socket, all, "once", MSG_DONTWAIT)), "ok");
    EXPECT_EQ(heard(listening), "once");
    EXPECT_NEAR(now() - start, 0.3 + 2 * round_trip, 0.1);
}

// The first message to a bundle waits for room when the second begins to set up the association.
TEST_F(Handshake, TwoMessagesCanBeTheFirst)
{
    const auto allowed = everywhere("intl_enable", "1");
    const filter silent{hosts().other, hosts().client,
                        "meta l4proto sctp sctp chunk init exists drop"};
    const fd listening = listener(hosts().server, good(), SOCK_SEQPACKET),
             socket = open_socket(SOCK_SEQPACKET);
    sctp_initmsg twice{};
    twice.sinit_max_attempts = 2;
    ASSERT_EQ(set_option(listening, SOL_SOCKET, SO_RCVBUF, 16384), 0);
    ASSERT_EQ(set_option(socket, IPPROTO_SCTP, SCTP_INITMSG, twice), 0);
    interleave(socket);
    const std::string more(100000, 'x');
    leave_no_room(socket, good());

    std::string first, second;
    std::atomic<int> attempts = 0;
    std::thread waits([&] { first = outcome(sendto(socket, bad(), more, MSG_NOSIGNAL)); });
    poll(nullptr, 0, 200);
    std::thread begins([&] {
        do {
            attempts++;
            second = outcome(sendto(socket, bad(), "x", MSG_DONTWAIT | MSG_NOSIGNAL));
            poll(nullptr, 0, 5);
        } while (second == "EAGAIN");
    });
    std::array<char, 2000> text{};
    const auto read_one = [&] { return recv(listening, text.data(), text.size(), MSG_DONTWAIT); };
    for (int before = -1; before != attempts; poll(nullptr, 0, 100)) {
        before = attempts;
        read_one();
    }
    std::atomic<bool> done = false;
    std::thread reader([&] {
        for (; !done; poll(nullptr, 0, 1))
            read_one();
    });
    waits.join();
    begins.join();
    done = true;
    reader.join();
    EXPECT_EQ(first, "ESRCH");
    EXPECT_EQ(second, "ESRCH");
    EXPECT_EQ(associations(socket).size(), 1U);
    EXPECT_EQ(outcome(sendto(socket, good(), "x")), "ok");
}

TEST_F(Handshake, AMessageThatBeginsAnothersAssociationDoesNotKeepItsPath)
{
    const addresses none = addrs({"10.9.0.1"}, port);
    const fd full = listener(hosts().server, good(), SOCK_SEQPACKET),
             listening = listener(hosts().other, bad(), SOCK_SEQPACKET),
             socket = open_socket(SOCK_SEQPACKET);
    ASSERT_EQ(set_option(socket, SOL_SOCKET, SO_SNDTIMEO, timeval{20, 0}), 0);
    leave_no_room(socket, good());
    net::ip("route add unreachable 10.9.0.0/16\n");
    std::thread waits([&] {
        EXPECT_EQ(outcome(sendto(socket, hosts_of({none, bad()}), "first")), "ok");
    });
    poll(nullptr, 0, 200);
    EXPECT_EQ(set_option(socket, SOL_SOCKET, SO_SNDBUF, 2 * little_room), 0);
    sctp_sndinfo info{};
    info.snd_flags = SCTP_ADDR_OVER;
    EXPECT_EQ(outcome(send_with(socket, {none[0]}, SCTP_SNDINFO, info, "second")), "ok");
    EXPECT_EQ(heard(listening), "second");
    EXPECT_EQ(heard(listening), "first");
    waits.join();
    net::ip("route del unreachable 10.9.0.0/16\n");
}

TEST_F(Handshake, AnAssociationThatAnotherMessageCantBeginIsGivenUp)
{
    const addresses none = addrs({"10.9.0.1", "10.9.0.2"}, port);
    const fd full = listener(hosts().server, good(), SOCK_SEQPACKET);
    net::ip("route add unreachable 10.9.0.0/16\n");
    for (const int family : {AF_INET, AF_BUNDLE}) {
        const fd socket = open_socket(SOCK_SEQPACKET, family);
        ASSERT_EQ(set_option(socket, SOL_SOCKET, SO_SNDTIMEO, timeval{20, 0}), 0);
        leave_no_room(socket, good());
        std::thread waits([&] { EXPECT_EQ(outcome(sendto(socket, none)), "ESRCH") << family; });
        poll(nullptr, 0, 200);
        EXPECT_EQ(set_option(socket, SOL_SOCKET, SO_SNDBUF, 2 * little_room), 0);
        EXPECT_EQ(outcome(sendto(socket, none)), "ENETUNREACH") << family;
        waits.join();
        EXPECT_EQ(associations(socket).size(), 1U) << family;
    }
    net::ip("route del unreachable 10.9.0.0/16\n");
}

TEST_F(Handshake, WhoWaitsWithAnotherMessageLearnsThatItsAssociationIsGone)
{
    struct sigaction noted {
    }, before{};
    noted.sa_handler = [](int) {};
    ASSERT_EQ(sigaction(SIGUSR1, &noted, &before), 0);
    const fd full = listener(hosts().server, good(), SOCK_SEQPACKET),
             listening = listener(hosts().other, bad(), SOCK_SEQPACKET),
             socket = open_socket(SOCK_SEQPACKET);
    ASSERT_EQ(set_option(socket, SOL_SOCKET, SO_SNDTIMEO, timeval{20, 0}), 0);
    leave_no_room(socket, good());
    std::thread makes([&] { EXPECT_EQ(outcome(sendto(socket, bad())), "EINTR"); });
    poll(nullptr, 0, 200);
    EXPECT_EQ(outcome(connect_to(socket, bad())), "EALREADY") << "it may never begin";
    std::thread waits([&] { EXPECT_EQ(outcome(sendto(socket, bad())), "ESRCH"); });
    poll(nullptr, 0, 200);
    pthread_kill(makes.native_handle(), SIGUSR1);
    makes.join();
    waits.join();
    sigaction(SIGUSR1, &before, nullptr);
    EXPECT_EQ(outcome(connect_to(socket, bad())), "ok");
}

TEST_F(Handshake, AnAttemptDoesNotTakeTheAddressesOfAPeeledOffSocket)
{
    const fd listening = listener(hosts().other, bad(), SOCK_SEQPACKET),
             socket = open_socket(SOCK_SEQPACKET);
    const dead silent(hosts(), good());
    nonblocking(socket);
    ASSERT_EQ(outcome(connect_to(socket, hosts_of({good(), bad()}))), "EINPROGRESS");
    std::array<std::byte, 28> to{}; // a bundle would be the attempt's
    const auto length = static_cast<socklen_t>(bad()[0].store(to));
    ASSERT_EQ(::sendto(socket, "first", 5, 0, as_sockaddr(to.data()), length), 5);
    EXPECT_EQ(heard(listening), "first");
    for (const sctp_assoc_t id : associations(socket)) {
        if (id == 0)
            continue; // nobody has answered it
        const fd peeled = peeled_off(socket, id);
        ASSERT_EQ(set_option(peeled, IPPROTO_SCTP, SCTP_NODELAY, 1), 0);
        for (int i = 0; i < 20; i++, poll(nullptr, 0, 50)) {
            EXPECT_EQ(count_of_transports(bad()[0]), 1) << i;
            ASSERT_EQ(outcome(send(peeled, "more", 4, MSG_DONTWAIT)), "ok") << i;
            ASSERT_EQ(heard(listening, 100), "more") << i;
        }
    }
    EXPECT_TRUE(net::eventually([&] { return associations(socket).empty(); }));
}

TEST_F(Handshake, ASocketPeeledOffMeanwhileHasTheNameOfWhomItGot)
{
    const filter deaf = bad_is_deaf();
    const fd unlucky = listener(hosts().other, bad(), SOCK_SEQPACKET),
             socket = open_socket(SOCK_SEQPACKET);
    fd listening = listener(hosts().server, good(), SOCK_SEQPACKET);
    nonblocking(socket);
    ASSERT_EQ(outcome(connect_to(socket, hosts_of({bad(), good()}))), "EINPROGRESS");
    sctp_assoc_t id = 0;
    ASSERT_TRUE(net::eventually([&] { return (id = associations(socket).at(0)) != 0; }));
    const fd peeled = peeled_off(socket, id);
    EXPECT_EQ(peername(peeled), bad()[0]);
    ASSERT_EQ(outcome(send(peeled, "x", 1, 0)), "ok");
    EXPECT_EQ(heard(listening), "x");
    EXPECT_EQ(peername(peeled), good()[0]);
    listening.reset();
    ASSERT_TRUE(associations_become(0, hosts().client));
    EXPECT_EQ(peername(peeled), good()[0]);
}

// --- Calls that cross ----------------------------------------------------------------------------

TEST_F(Handshake, TwoBundlesThatCallEachOtherGetOneAssociation)
{
    // The server's call is still under way, for half of what the router delays, when the client
    // calls; or the other way round, to a socket that listens, too.
    for (const auto &one :
         {std::pair(SOCK_STREAM, false), {SOCK_SEQPACKET, false}, {SOCK_SEQPACKET, true}}) {
        const auto type = one.first;
        const bool client_first = one.second;
        const addresses there = server(3), here = addrs({"10.0.0.1", "fd00::1"}, port);
        // Not the first: the server's call comes from there, and must be answered.
        const dead silent(hosts(), {there[1]});
        const auto bound = [type](const addresses &a) {
            fd result = open_socket(type);
            if (bind_to(result, a) < 0 || (type == SOCK_SEQPACKET && ::listen(result, 8) < 0))
                net::fail("bind");
            nonblocking(result);
            return result;
        };
        const fd client = bound(here);
        const fd peer = hosts().server.in(hosts().client, [&] { return bound(there); });
        const auto call = [&](int socket, const addresses &to) {
            EXPECT_EQ(outcome(connect_to(socket, to)), "EINPROGRESS") << type << client_first;
        };
        if (client_first)
            call(client, there);
        call(peer, here);
        if (!client_first)
            call(client, there);
        const auto sends = [](int socket, const addresses &to, int style) {
            const auto done = [&] {
                return (style == SOCK_STREAM ? send(socket, "hello", 5, MSG_NOSIGNAL)
                                             : sendto(socket, to, "hello")) == 5;
            };
            return net::eventually(done, 4000);
        };
        EXPECT_TRUE(sends(client, {there[0]}, type));
        EXPECT_TRUE(sends(peer, {here[0]}, type));
        for (const int socket : {static_cast<int>(client), static_cast<int>(peer)}) {
            std::array<char, 16> text{};
            ASSERT_TRUE(net::wait_for(socket, POLLIN, 4000)) << type << client_first;
            EXPECT_EQ(recv(socket, text.data(), text.size(), 0), 5);
        }
        EXPECT_TRUE(associations_become(1, hosts().client));
        EXPECT_TRUE(associations_become(1, hosts().server));
        port = next_port();
    }
}

// --- Programs ------------------------------------------------------------------------------------

class on_alarm {
  public:
    explicit on_alarm(int flags, int milliseconds)
    {
        struct sigaction action {};
        action.sa_handler = [](int) {};
        action.sa_flags = flags;
        sigaction(SIGALRM, &action, &before_);
        const itimerval when{{}, {0, milliseconds * 1000}};
        setitimer(ITIMER_REAL, &when, nullptr);
    }
    on_alarm(const on_alarm &) = delete;
    ~on_alarm() { sigaction(SIGALRM, &before_, nullptr); }

  private:
    struct sigaction before_ {};
};

// The first INITs are lost, so that it takes until the second round.
filter first_round_lost(const routed &hosts)
{
    return {hosts.router, hosts.client,
            "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk init exists numgen inc mod 2 0 drop"};
}

TEST_F(Handshake, ASignalEndsTheWaitingAndNotTheAttempt)
{
    const fd listening = listener(server(1));
    const addresses all = server(1) + other(1);
    const dead silent(hosts(), other(1));
    const filter lossy = first_round_lost(hosts());
    fd socket = open_socket();
    {
        const on_alarm interrupt(0, 300);
        const auto got = timed_connect(all, std::move(socket));
        EXPECT_EQ(got.result, "EINTR");
        EXPECT_NEAR(got.seconds, 0.3, 0.02);
        socket = fd(dup(got.socket));
    }
    EXPECT_EQ(net::wait_for(socket, POLLOUT, 2000), POLLOUT);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), 0);
    EXPECT_EQ(outcome(connect_to(socket, all)), "ok") << "the outcome, once";
    EXPECT_EQ(outcome(connect_to(socket, all)), "EISCONN");
}

TEST_F(Handshake, AfterASignalThatRestartsCallsItWaitsOn)
{
    const fd listening = listener(server(1));
    const dead silent(hosts(), other(1));
    const filter lossy = first_round_lost(hosts());
    const on_alarm interrupt(SA_RESTART, 300);
    const auto got = timed_connect(server(1) + other(1));
    EXPECT_EQ(got.result, "ok");
    EXPECT_NEAR(got.seconds, 1 + 2 * round_trip, 0.1);
}

TEST_F(Handshake, SndtimeoEndsTheWaitingAndNotTheAttempt)
{
    const fd listening = listener(server(1));
    const addresses all = server(1) + other(1);
    const dead silent(hosts(), other(1));
    const filter lossy = first_round_lost(hosts());
    fd socket = open_socket();
    ASSERT_EQ(set_option(socket, SOL_SOCKET, SO_SNDTIMEO, timeval{0, 300000}), 0);
    const auto got = timed_connect(all, std::move(socket));
    EXPECT_EQ(got.result, "EINPROGRESS");
    EXPECT_NEAR(got.seconds, 0.3, 0.02);
    EXPECT_EQ(outcome(connect_to(got.socket, all)), "EALREADY");
    EXPECT_EQ(net::wait_for(got.socket, POLLOUT, 2000), POLLOUT);
    EXPECT_EQ(outcome(connect_to(got.socket, all)), "ok");
}

TEST_F(Handshake, CloseAfterTheAnswerAndAfterTheSecondAttemptLeavesNothing)
{
    const filter deaf = bad_is_deaf();
    const dead silent(hosts(), good());
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET})
        for (const int wait : {100, 1500, 2500}) {
            const fd unlucky = listener(hosts().other, bad(), type);
            fd socket = open_socket(type);
            nonblocking(socket);
            const long before = counted("BundleSecondAttempts");
            ASSERT_EQ(outcome(connect_to(socket, bad() + good())), "EINPROGRESS");
            poll(nullptr, 0, wait);
            EXPECT_EQ(counted("BundleSecondAttempts") - before, wait > 2000) << wait;
            socket.reset();
            EXPECT_TRUE(associations_become(0, hosts().client)) << wait;
            EXPECT_TRUE(associations_become(0, hosts().other)) << wait;
            port = next_port();
        }
}

TEST_F(Handshake, TheDeadlineTellsThePeerThatHasAnswered)
{
    // Nothing else to turn to, and COOKIE ACKs are lost: the server has the association, we don't.
    const fd listening = listener(server(2));
    const filter mute(hosts().router, hosts().client,
                      "meta l4proto sctp sctp chunk cookie-ack exists drop");
    const auto got = timed_connect(server(2));
    EXPECT_EQ(got.result, "ETIMEDOUT");
    EXPECT_NEAR(got.seconds, 4, 0.1);
    EXPECT_TRUE(associations_become(0, hosts().server));
}

TEST_F(Handshake, BothStylesConnectPastTheDead)
{
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        const addresses all = server(8);
        const fd listening = listener(hosts().server, all, type);
        const dead silent(hosts(), {all.begin(), all.begin() + 7});
        const auto got = timed_connect(all, open_socket(type));
        EXPECT_EQ(got.result, "ok");
        EXPECT_LT(got.seconds, 3 * round_trip);
        if (type == SOCK_SEQPACKET) {
            const fd another = open_socket(type);
            const double start = now();
            EXPECT_EQ(outcome(sendto(another, all, "once")), "ok");
            EXPECT_EQ(heard(listening), "once");
            EXPECT_LT(now() - start, 4 * round_trip);
        }
        port = next_port();
    }
}

} // namespace
