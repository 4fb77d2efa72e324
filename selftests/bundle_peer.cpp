// SPDX-License-Identifier: GPL-2.0
// What a peer made of raw packets can do to an association that is being set up with a bundle:
// answer late, twice, from elsewhere, with a wrong tag, malformed.
#include "raw_peer.hpp"

namespace {

using namespace sctp;

const auto out_of_resource = parameter(4), restart_with_new_addresses = parameter(11),
           by_the_user = parameter(12), stale_cookie = parameter(3, {0, 0, 0x27, 0x10});

class Peer : public Setup {
  protected:
    void SetUp() override
    {
        Setup::SetUp();
        if (HasFatalFailure() || IsSkipped())
            return;
        peer = std::make_unique<raw_peer>(hosts().server, hosts().client, port);
        open();
    }
    void TearDown() override
    {
        socket.reset();
        peer.reset();
    }

    void open(int type = SOCK_STREAM)
    {
        socket = open_socket(type);
        nonblocking(socket);
    }

    // The INITs of an association to these addresses, in their order.
    std::vector<packet> inits_to(const addresses &to)
    {
        std::vector<packet> inits;
        for (const address &a : to) {
            inits.push_back(peer->next(init_chunk, 2000));
            EXPECT_EQ(inits.back().to, a);
            EXPECT_EQ(inits.back().tag, 0U);
            EXPECT_EQ(inits.back().word(4), inits.front().word(4)) << "one tag for all";
        }
        initiate_tag = inits.front().word(4);
        return inits;
    }
    std::vector<packet> connect_and_hear(const socket_address &to, const addresses &first)
    {
        if (outcome(connect_to(socket, to)) != "EINPROGRESS")
            throw std::runtime_error("connect");
        return inits_to(first);
    }
    std::vector<packet> connect_and_hear(const addresses &to)
    {
        return connect_and_hear(socket_address(to), to);
    }

    // Answers an INIT, and what comes of it with an ERROR or an ABORT.
    void answer_and_fail(const packet &init, const std::vector<std::uint8_t> &failure,
                         const init_ack &with = {})
    {
        peer->answer(init, with);
        peer->reply(peer->next(cookie_echo_chunk), init.word(4), failure);
    }

    // Whether the cookie comes back to @where, and the association is there after its answer.
    testing::AssertionResult completes_at(const address &where, std::uint32_t tag = init_ack{}.tag)
    {
        const packet echo = peer->next(cookie_echo_chunk);
        if (echo.to != where || echo.tag != tag)
            return testing::AssertionFailure() << "COOKIE ECHO to " << echo.to.to_string();
        peer->reply(echo, initiate_tag, chunk(cookie_ack_chunk, {}));
        if (net::wait_for(socket, POLLOUT, 2000) != POLLOUT)
            return testing::AssertionFailure() << "not connected";
        return testing::AssertionSuccess();
    }

    std::unique_ptr<raw_peer> peer;
    fd socket;
    std::uint32_t initiate_tag = 0;
};

TEST_F(Peer, TheFirstInitAckWinsAndTheOthersAreDropped)
{
    const auto inits = connect_and_hear(server(4));
    peer->answer(inits[2]);
    peer->answer(inits[0], {.tag = 5});
    peer->answer(inits[3], {.tag = 6});
    EXPECT_TRUE(completes_at(server(4)[2]));
    EXPECT_EQ(peername(socket), server(4)[2]);
    EXPECT_FALSE(peer->hears(cookie_echo_chunk, 3000)) << "no second cookie";
    const auto got = paths(socket);
    for (std::size_t i = 0; i < got.size(); i++)
        EXPECT_EQ(got[i].state, i == 2 ? BUNDLE_PATH_WON : BUNDLE_PATH_DROPPED) << i;
    EXPECT_EQ(sctp_peer_set(socket), addresses{server(4)[2]}) << "the peer lists no others";
}

TEST_F(Peer, AnAnswerThatComesTwiceCountsOnce)
{
    const auto inits = connect_and_hear(server(2));
    peer->answer(inits[1]);
    peer->answer(inits[1]);
    EXPECT_TRUE(completes_at(server(2)[1]));
    peer->answer(inits[1]);
    EXPECT_FALSE(peer->hears(cookie_echo_chunk, 500));
    EXPECT_EQ(peername(socket), server(2)[1]);
}

TEST_F(Peer, AnAnswerToTheSecondRoundIsAsGood)
{
    connect_and_hear(server(2));
    peer->answer(inits_to(server(2))[1]);
    EXPECT_TRUE(completes_at(server(2)[1]));
    EXPECT_EQ(status_of(socket).sstat_primary.spinfo_srtt, 0U)
        << "which INIT it answers isn't clear";
}

TEST_F(Peer, AWrongTagIsNoAnswer)
{
    const auto inits = connect_and_hear(server(2));
    peer->reply(inits[0], initiate_tag + 1, init_ack{}.chunk());
    EXPECT_FALSE(peer->hears(cookie_echo_chunk, 200));
    peer->reply(inits[0], initiate_tag + 1, chunk(abort_chunk, {}));
    EXPECT_EQ(paths(socket)[0].state, BUNDLE_PATH_TRYING) << "nor a refusal";
    peer->answer(inits[1]);
    EXPECT_TRUE(completes_at(server(2)[1]));
}

TEST_F(Peer, AnAnswerFromElsewhereIsNone)
{
    const auto inits = connect_and_hear(server(2));
    peer->send({server(3)[2], inits[0].from, initiate_tag, init_ack{}.chunk()});
    const init_ack of_another{.listed = {server(2)[0]}};
    peer->send({server(3)[2], inits[0].from, initiate_tag, of_another.chunk()});
    EXPECT_FALSE(peer->hears(cookie_echo_chunk, 200));
    peer->answer(inits[0]);
    EXPECT_TRUE(completes_at(server(2)[0]));
}

TEST_F(Peer, MalformedAnswersFailTheirAddressAlone)
{
    const init_ack bad[] = {
        {.tag = 0}, {.window = 100}, {.streams = 0}, {.cookie = false}, {.cut = 8},
    };
    const addresses all = server(1 + static_cast<int>(std::size(bad)));
    const auto inits = connect_and_hear(all);
    for (std::size_t i = 0; i < std::size(bad); i++)
        peer->answer(inits[i], bad[i]);
    EXPECT_FALSE(peer->hears(cookie_echo_chunk, 200));
    for (std::size_t i = 0; i + 1 < std::size(bad); i++)
        EXPECT_EQ(paths(socket)[i].state, BUNDLE_PATH_REFUSED) << i;
    peer->answer(inits.back());
    EXPECT_TRUE(completes_at(all.back()));
}

TEST_F(Peer, AllAnswersMalformedIsEconnrefused)
{
    const auto inits = connect_and_hear(server(2));
    for (const packet &init : inits)
        peer->answer(init, {.cookie = false});
    EXPECT_TRUE(net::wait_for(socket, POLLOUT, 500) & POLLERR);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
}

// RFC 5061, section 4.2.7: an INIT ACK with ASCONF is to have AUTH, of which this one lacks the
// parameters.
TEST_F(Peer, AnInitAckThatIsNotTakenFailsItsAddressAlone)
{
    const net::sysctl asconf("net/sctp/addip_enable", "1"), auth("net/sctp/auth_enable", "1");
    const init_ack bad{
        .more = {parameter(supported_extensions, {forward_tsn_chunk, asconf_chunk, auth_chunk})}};
    open();
    auto inits = connect_and_hear(server(3));
    peer->answer(inits[0], bad);
    EXPECT_FALSE(peer->hears(cookie_echo_chunk, 200));
    for (const path &p : paths(socket))
        EXPECT_EQ(p.state, p.addr == server(1)[0] ? BUNDLE_PATH_REFUSED : BUNDLE_PATH_TRYING);
    peer->answer(inits[2]);
    EXPECT_TRUE(completes_at(server(3)[2]));
    sctp_assoc_value partial{};
    socklen_t length = sizeof(partial);
    ASSERT_EQ(getsockopt(socket, IPPROTO_SCTP, SCTP_PR_SUPPORTED, &partial, &length), 0);
    EXPECT_EQ(partial.assoc_value, 0U) << "it was the other one that can do that";

    open();
    inits = connect_and_hear(server(2));
    for (const packet &init : inits)
        peer->answer(init, bad);
    EXPECT_TRUE(net::wait_for(socket, POLLOUT, 500) & POLLERR);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
}

TEST_F(Peer, AnAnswerOutweighsAnIcmpErrorBeforeIt)
{
    const addresses all = server(2);
    const filter rejecting(hosts().router, hosts().client,
                           "ip daddr 10.1.0.1 meta l4proto sctp sctp chunk init exists "
                           "reject with icmp type host-unreachable");
    packet init = connect_and_hear(socket_address(all), {all[1]})[0];
    poll(nullptr, 0, 100);
    EXPECT_EQ(paths(socket)[0].error, EHOSTUNREACH);
    init.to = all[0];
    peer->answer(init);
    EXPECT_TRUE(completes_at(all[0]));
    EXPECT_EQ(paths(socket)[0].state, BUNDLE_PATH_WON);
    EXPECT_EQ(paths(socket)[0].error, 0);
}

TEST_F(Peer, AnAnswerOfAHostWhoseTimeIsOverIsOutOfTheBlue)
{
    const auto late = connect_and_hear(hosts_of({server(1), {server(2)[1]}}), server(1));
    inits_to({server(2)[1]});
    peer->answer(late[0]);
    EXPECT_EQ(peer->next(abort_chunk, 100).to, server(1)[0]);
}

TEST_F(Peer, ACallThatCrossesOursIsAnsweredFromWhereItWent)
{
    net::ip("addr add 10.0.0.77/24 dev r\n");
    const addresses ours = addrs({"10.0.0.1", "10.0.0.77"}, next_port()), theirs = server(2);
    ASSERT_EQ(bind_to(socket, ours), 0);
    connect_and_hear(theirs);
    // An address that isn't whole is none.
    peer->send({theirs[1], ours[1], 0,
                init_ack{.cookie = false, .more = {parameter(5)}}.chunk(init_chunk)});
    const packet answer = peer->next(init_ack_chunk);
    EXPECT_EQ(answer.from, ours[1]);
    EXPECT_EQ(answer.to, theirs[1]);
    peer->reply(answer, answer.word(4), chunk(cookie_echo_chunk, answer.parameter(state_cookie)));
    EXPECT_EQ(net::wait_for(socket, POLLOUT, 500), POLLOUT);
    EXPECT_EQ(peername(socket), theirs[1]);
    EXPECT_EQ(paths(socket)[1].state, BUNDLE_PATH_WON);
    EXPECT_EQ(sctp_peer_set(socket), addresses{theirs[1]}) << "nothing says whose the other is";
    socket.reset();
    net::ip("addr del 10.0.0.77/24 dev r\n");
}

// Whoever lists an address that is asked would learn our tag.
TEST_F(Peer, ACallFromElsewhereIsNotAnswered)
{
    const addresses all = server(3);
    const packet init = connect_and_hear(server(2))[0];
    peer->send({all[2], init.from, 0,
                init_ack{.cookie = false, .listed = {all[0], all[2]}}.chunk(init_chunk)});
    EXPECT_FALSE(peer->hears(init_ack_chunk, 200));
    peer->answer(init);
    EXPECT_TRUE(completes_at(all[0]));
}

TEST_F(Peer, WhatAnotherOneWantedAuthenticatedIsForgotten)
{
    const net::sysctl auth("net/sctp/auth_enable", "1"), asconf("net/sctp/addip_enable", "1");
    const auto able = parameter(supported_extensions, {auth_chunk}),
               random = parameter(random_numbers, std::vector<std::uint8_t>(32)),
               hmacs = parameter(hmac_algorithms, {0, SCTP_AUTH_HMAC_ID_SHA1});
    open();
    const auto inits = connect_and_hear(server(2));
    answer_and_fail(inits[0], chunk(abort_chunk, {}),
                    {.more = {able, random, hmacs, parameter(chunk_list, {data_chunk})}});
    const packet again = inits_to({server(2)[1]})[0];
    EXPECT_NE(again.parameter(random_numbers), inits[0].parameter(random_numbers));
    peer->answer(again, {.more = {able, random, hmacs}});
    EXPECT_TRUE(completes_at(server(2)[1]));
    sctp_authchunks wanted{};
    socklen_t length = sizeof(wanted);
    ASSERT_EQ(getsockopt(socket, IPPROTO_SCTP, SCTP_PEER_AUTH_CHUNKS, &wanted, &length), 0);
    EXPECT_EQ(wanted.gauth_number_of_chunks, 0U);

    // One that can do ASCONF, which takes AUTH, then one that can do neither.
    open();
    const packet init = connect_and_hear(server(2))[0];
    answer_and_fail(
        init, chunk(abort_chunk, {}),
        {.more = {parameter(supported_extensions, {asconf_chunk, auth_chunk}), random, hmacs}});
    peer->answer(inits_to({server(2)[1]})[0]);
    EXPECT_TRUE(completes_at(server(2)[1]));
}

TEST_F(Peer, WhatWasAskedForIsThePeersWhateverItsScope)
{
    const addresses all = addrs({"198.51.100.1", "10.1.0.1"}, port);
    hosts().route("route add 198.51.100.1 via 10.0.1.1\n");
    hosts().server.in(hosts().client, [] { net::ip("addr add 198.51.100.1/32 dev lo\n"); });
    peer->answer(connect_and_hear(all)[0], {.listed = {all[1]}});
    EXPECT_TRUE(completes_at(all[0]));
    EXPECT_EQ(sctp_peer_set(socket), sorted(all));
    hosts().server.in(hosts().client, [] { net::ip("addr del 198.51.100.1/32 dev lo\n"); });
    hosts().route("route del 198.51.100.1 via 10.0.1.1\n");
}

TEST_F(Peer, INITsHeldBackAreNotSentAfterAStaleCookieEither)
{
    const net::sysctl burst("net/sctp/bundle_init_burst", "1");
    const addresses all = server(6);
    const packet init = connect_and_hear(socket_address(all), server(1))[0];
    peer->answer(init);
    peer->reply(init, initiate_tag, chunk(error_chunk, stale_cookie)); // before it is sent
    while (const auto next = peer->hear(init_chunk, 200))
        EXPECT_NE(next->to, all.back());
}

TEST_F(Peer, DataGoesOnlyWithACookieThatNobodyElseCanTake)
{
    const addresses all = server(2);
    const std::size_t alone = 12;
    for (const bool others : {true, false}) {
        open(SOCK_SEQPACKET);
        ASSERT_EQ(outcome(sendto(socket, all, "once", MSG_DONTWAIT)), "ok");
        peer->answer(inits_to(all)[0], {.listed = others ? addresses{} : addresses{all[1]}});
        EXPECT_EQ(peer->next(cookie_echo_chunk).chunks.size() == alone, others);
        for (int i = others ? 1 : 0; i < 2; i++)
            EXPECT_EQ(peer->next(cookie_echo_chunk).chunks.size(), alone)
                << "again, perhaps to several addresses";
        EXPECT_EQ(peer->heard[data_chunk], 0);
    }
}

// What was sent is lost, and somebody has to say so; what wasn't goes to whoever is connected to.
TEST_F(Peer, DataThatWentWithAStaleCookieEndsTheAttemptAndOtherDataStays)
{
    const addresses all = server(2);
    const std::size_t alone = 12;
    for (const bool sent : {true, false}) {
        SCOPED_TRACE(sent);
        open(SOCK_SEQPACKET);
        const auto send_once = [&] {
            EXPECT_EQ(outcome(sendto(socket, all, "once", MSG_DONTWAIT)), "ok");
        };
        if (sent)
            send_once();
        else
            EXPECT_EQ(outcome(connect_to(socket, all)), "EINPROGRESS");
        peer->answer(inits_to(all)[0], {.listed = {all[1]}});
        const packet echo = peer->next(cookie_echo_chunk);
        EXPECT_EQ(echo.chunks.size() > alone, sent);
        if (!sent)
            send_once();
        peer->reply(echo, initiate_tag, chunk(error_chunk, stale_cookie));
        if (sent) {
            EXPECT_FALSE(peer->hears(init_chunk, 3000));
            EXPECT_TRUE(associations(socket).empty());
            continue;
        }
        const packet init = inits_to({all[0]})[0];
        peer->answer(init);
        peer->reply(peer->next(cookie_echo_chunk), initiate_tag, chunk(cookie_ack_chunk, {}));
        EXPECT_EQ(peer->next(data_chunk).word(4), init.word(16));
    }
}

// --- After the answer ----------------------------------------------------------------------------

// The peer's own INIT crossed ours, and its COOKIE ECHO comes when the association is there: case B
// of RFC 9260, section 5.2.4, with fewer streams than are in use.
TEST_F(Peer, ACookieThatComesLaterTakesNoStreamAway)
{
    const addresses all = server(2);
    for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
        SCOPED_TRACE(type);
        open(type);
        const auto inits = connect_and_hear(all);
        const init_ack crossing{.tag = 5, .streams = 1, .cookie = false};
        peer->send({all[0], inits[0].from, 0, crossing.chunk(init_chunk)});
        const auto cookie = peer->next(init_ack_chunk).parameter(state_cookie);
        peer->answer(inits[0], {.more = {parameter(partial_reliability)}});
        EXPECT_TRUE(completes_at(all[0]));

        const bool stream = type == SOCK_STREAM;
        std::array<std::byte, 28> to{};
        const auto length = static_cast<socklen_t>(all[0].store(to));
        ASSERT_EQ(outcome(sctp_sendmsg(socket, "x", 1, stream ? nullptr : as_sockaddr(to.data()),
                                       stream ? 0 : length, 0, stream ? 0 : SCTP_PR_SCTP_TTL,
                                       stream ? 0 : 5, stream ? 0 : 100, 0)),
                  "ok");
        peer->next(data_chunk);
        peer->send({all[0], inits[0].from, initiate_tag, chunk(cookie_echo_chunk, cookie)});
        peer->next(cookie_ack_chunk);
        if (stream) {
            char byte = 0;
            EXPECT_EQ(outcome(recv(socket, &byte, 1, 0)), "ECONNRESET") << "two streams aren't one";
        } else {
            EXPECT_TRUE(peer->hears(forward_tsn_chunk, 10000)) << "of what was in a stream";
        }
    }
}

TEST_F(Peer, WithNothingElseLeftTheCookieGoesAgainWithTwiceTheTime)
{
    // Of the other addresses, the one that was asked for is known to be the peer's, too.
    const addresses all = server(3);
    const auto inits = connect_and_hear({all[0], all[1]});
    peer->answer(inits[0], {.listed = {all[1], all[2]}});
    addresses heard;
    while (const auto echo = peer->hear(cookie_echo_chunk, 2200))
        heard.push_back(echo->to);
    EXPECT_EQ(heard, (addresses{all[0], all[0], all[1], all[0], all[1]})) << "after 0, 1 and 3 s";
}

TEST_F(Peer, AnAbortForTheCookieStartsANewAssociation)
{
    const auto inits = connect_and_hear(server(3));
    const std::uint32_t before = inits[0].word(4);
    answer_and_fail(inits[1], chunk(abort_chunk, {}), {.streams = 1});

    // Not the one that was lost.
    const auto again = inits_to({server(3)[0], server(3)[2]});
    EXPECT_NE(again[0].word(4), before) << "a tag of its own";
    EXPECT_NE(again[0].word(16), inits[0].word(16)) << "and a TSN";
    EXPECT_EQ(again[0].word(12), inits[0].word(12)) << "as many streams";

    peer->answer(inits[0]); // late, to the one that is no more
    auto reflected = chunk(abort_chunk, {});
    reflected[1] = 1;
    peer->reply(again[0], init_ack{}.tag, reflected); // with the former peer's tag
    EXPECT_FALSE(peer->hears(cookie_echo_chunk, 200));
    EXPECT_EQ(paths(socket)[0].state, BUNDLE_PATH_TRYING);
    EXPECT_EQ(peer->heard[abort_chunk], 0) << "who sends an ABORT needs none";
    peer->answer(again[1], {.tag = 77});
    EXPECT_TRUE(completes_at(server(3)[2], 77));
    EXPECT_EQ(paths(socket)[1].state, BUNDLE_PATH_REFUSED);
}

TEST_F(Peer, AnErrorForTheCookieLikewiseAndThePeerIsTold)
{
    const auto inits = connect_and_hear(server(2));
    auto failure = chunk(error_chunk, out_of_resource);
    const auto more = chunk(shutdown_ack_chunk, {}); // for an association that is no more
    failure.insert(failure.end(), more.begin(), more.end());
    answer_and_fail(inits[0], failure);
    const packet abort = peer->next(abort_chunk, 200);
    EXPECT_EQ(abort.to, server(2)[0]);
    EXPECT_EQ(abort.tag, init_ack{}.tag);
    EXPECT_EQ(peer->next(init_chunk, 200).to, server(2)[1]);
    EXPECT_FALSE(peer->hears(shutdown_complete_chunk, 200));
}

TEST_F(Peer, WhatIsLeftOfAHostComesBeforeTheNextOne)
{
    const addresses all = server(4), first = server(3);
    const auto inits = connect_and_hear(hosts_of({first, {all[3]}}), first);
    answer_and_fail(inits[0], chunk(abort_chunk, {}), {.listed = {all[1]}});
    inits_to({all[2]});
    for (int i : {0, 1})
        EXPECT_EQ(paths(socket)[static_cast<std::size_t>(i)].state, BUNDLE_PATH_REFUSED)
            << i << ", of the peer that has sent the ABORT";
}

TEST_F(Peer, AHostThatListsAnothersAddressesDoesNotSpeakForIt)
{
    const addresses all = server(2);
    for (const bool silent : {false, true}) {
        SCOPED_TRACE(silent);
        open();
        const packet init =
            connect_and_hear(hosts_of({addresses{all[0]}, addresses{all[1]}}), {all[0]})[0];
        peer->answer(init, {.listed = {all[1]}});
        const packet echo = peer->next(cookie_echo_chunk);
        if (!silent)
            peer->reply(echo, initiate_tag, chunk(abort_chunk, {}));
        const packet other = inits_to({all[1]})[0];
        EXPECT_NE(other.word(4), init.word(4));
        EXPECT_EQ(paths(socket)[0].state, silent ? BUNDLE_PATH_TIMED_OUT : BUNDLE_PATH_REFUSED);
        peer->answer(other, {.tag = 77});
        EXPECT_TRUE(completes_at(all[1], 77));
    }
}

TEST_F(Peer, WhatAnswersAPeerIsNotSentToTheNext)
{
    const addresses all = server(2);
    peer->answer(connect_and_hear(all)[0]);
    auto both = chunk(heartbeat_chunk, parameter(1, std::vector<std::uint8_t>(40)));
    const auto abort = chunk(abort_chunk, {});
    both.insert(both.end(), abort.begin(), abort.end());
    peer->reply(peer->next(cookie_echo_chunk), initiate_tag, both);
    const packet ack = peer->next(heartbeat_ack_chunk, 200);
    EXPECT_EQ(ack.to, all[0]);
    EXPECT_EQ(ack.tag, init_ack{}.tag);
    inits_to({all[1]});
}

TEST_F(Peer, AfterAStaleCookieThePeerIsAskedOnceMoreAndThenAllOfThem)
{
    const addresses all = server(2);
    const auto inits = connect_and_hear(all);
    answer_and_fail(inits[0], chunk(error_chunk, stale_cookie));
    EXPECT_EQ(inits_to({all[0]})[0].word(4), inits[0].word(4));
    const auto again = inits_to(all);
    EXPECT_NE(again[0].word(4), inits[0].word(4)) << "which the first one knows";
    peer->answer(again[1], {.tag = 77});
    EXPECT_TRUE(completes_at(all[1], 77));
    EXPECT_EQ(sctp_peer_set(socket), addresses{all[1]});
}

TEST_F(Peer, WhatIsQueuedOutlivesAStaleCookie)
{
    open(SOCK_SEQPACKET);
    ASSERT_EQ(outcome(sendto(socket, server(2), "once", MSG_DONTWAIT)), "ok");
    answer_and_fail(inits_to(server(2))[0], chunk(error_chunk, stale_cookie));
    peer->answer(inits_to(server(1))[0]);
    peer->reply(peer->next(cookie_echo_chunk), initiate_tag, chunk(cookie_ack_chunk, {}));
    EXPECT_TRUE(peer->hears(data_chunk, 200));
}

TEST_F(Peer, WithNothingElseLeftStaleCookiesAreAskedForAgain)
{
    auto inits = connect_and_hear(server(2));
    peer->reply(inits[1], initiate_tag, chunk(abort_chunk, {}));
    for (int i = 0; i < 3; i++) {
        answer_and_fail(inits[0], chunk(error_chunk, stale_cookie));
        inits = inits_to(server(1));
    }
    peer->answer(inits[0]);
    EXPECT_TRUE(completes_at(server(1)[0]));
}

TEST_F(Peer, StaleCookiesAreNotAskedForWithoutEnd)
{
    sctp_initmsg init{};
    init.sinit_max_attempts = 2;
    ASSERT_EQ(set_option(socket, IPPROTO_SCTP, SCTP_INITMSG, init), 0);
    auto inits = connect_and_hear(server(1));
    for (int i = 0; i < 2; i++) {
        answer_and_fail(inits[0], chunk(error_chunk, stale_cookie));
        inits = inits_to(server(1));
    }
    answer_and_fail(inits[0], chunk(error_chunk, stale_cookie));
    EXPECT_TRUE(net::wait_for(socket, POLLOUT, 200) & POLLERR);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ETIMEDOUT);
    EXPECT_FALSE(peer->hears(init_chunk, 200));
}

TEST_F(Peer, AStaleCookieAfterTheLastAttemptIsEtimedout)
{
    sctp_initmsg init{};
    init.sinit_max_attempts = 1;
    ASSERT_EQ(set_option(socket, IPPROTO_SCTP, SCTP_INITMSG, init), 0);
    const auto inits = connect_and_hear(server(2));
    peer->answer(inits[0], {.listed = {server(2)[1]}});
    for (int i = 0; i < 2; i++)
        peer->next(cookie_echo_chunk);
    peer->reply(inits[0], initiate_tag, chunk(error_chunk, stale_cookie));
    EXPECT_TRUE(net::wait_for(socket, POLLOUT, 200) & POLLERR);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ETIMEDOUT);
    EXPECT_EQ(paths(socket)[0].state, BUNDLE_PATH_TIMED_OUT);
}

TEST_F(Peer, ARefusalAfterAStaleCookieMakesRoomAtOnceAndLeavesNoTimer)
{
    const addresses all = server(3);
    const auto inits = connect_and_hear(hosts_of({server(2), {all[2]}}), server(2));
    answer_and_fail(inits[0], chunk(error_chunk, stale_cookie));
    peer->reply(inits_to({all[0]})[0], initiate_tag, chunk(abort_chunk, {}));
    const double start = now();
    inits_to({all[1]});
    EXPECT_LT(now() - start, 2 * round_trip);
    // After 0.25, 0.5, 1 and 1.5 s.
    for (const address &turn : {all[2], all[1], all[2], all[1]})
        inits_to({turn});
}

TEST_F(Peer, EachPeerMayHaveOneStaleCookie)
{
    const addresses all = server(3);
    const auto goes_stale = [&](const packet &init) {
        answer_and_fail(init, chunk(error_chunk, stale_cookie));
    };
    goes_stale(connect_and_hear(all)[0]);
    goes_stale(inits_to({all[0]})[0]);
    goes_stale(inits_to({all[1], all[2]})[0]);
    inits_to({all[1]});
}

TEST_F(Peer, ItsTimeBetweenThemDoesNotMakeItMore)
{
    const addresses all = server(2);
    const packet first =
        connect_and_hear(hosts_of({addresses{all[0]}, addresses{all[1]}}), {all[0]})[0];
    answer_and_fail(first, chunk(error_chunk, stale_cookie));
    EXPECT_EQ(inits_to({all[0]})[0].word(4), first.word(4));
    const packet again = inits_to({all[0]})[0];
    EXPECT_NE(again.word(4), first.word(4)) << "its time is over, and it begins anew";
    answer_and_fail(again, chunk(error_chunk, stale_cookie));
    inits_to({all[1]});
}

TEST_F(Peer, WhatTheNextPeerAcknowledgesIsNotSentAgain)
{
    for (int i = 0; i < 8; i++) { // the second TSN is above the first one or below
        open();
        answer_and_fail(connect_and_hear(server(2))[0], chunk(abort_chunk, {}));
        peer->answer(inits_to({server(2)[1]})[0]);
        ASSERT_TRUE(completes_at(server(2)[1]));
        ASSERT_EQ(outcome(::send(socket, "x", 1, 0)), "ok");
        const packet data = peer->next(data_chunk);
        std::vector<std::uint8_t> value;
        for (const std::uint32_t word : {data.word(4), 65536U, 0U})
            put32(value, word);
        peer->reply(data, initiate_tag, chunk(sack_chunk, value));
        EXPECT_FALSE(peer->hears(data_chunk, 1500)) << i;
    }
}

TEST_F(Peer, TheNextAssociationHasAllOfItsTime)
{
    const addresses all = server(2);
    connect_and_hear(all);
    answer_and_fail(inits_to(all)[0], chunk(abort_chunk, {})); // T1-init is 2 s
    inits_to({all[1]});
    double start = now();
    inits_to({all[1]});
    EXPECT_NEAR(now() - start, 1, 0.15);

    open();
    const auto inits = connect_and_hear(all);
    peer->answer(inits[0]);
    const packet echo = peer->next(cookie_echo_chunk);
    poll(nullptr, 0, 500); // of T1-cookie's second
    peer->reply(echo, initiate_tag, chunk(abort_chunk, {}));
    peer->answer(inits_to({all[1]})[0]);
    peer->next(cookie_echo_chunk);
    start = now();
    peer->next(cookie_echo_chunk);
    EXPECT_NEAR(now() - start, 1, 0.15);
}

TEST_F(Peer, WithNothingElseLeftAnAbortForTheCookieIsEconnrefused)
{
    const auto inits = connect_and_hear(server(3));
    peer->reply(inits[0], initiate_tag, chunk(abort_chunk, {}));
    answer_and_fail(inits[1], chunk(abort_chunk, {}), {.listed = {server(3)[2]}});
    EXPECT_TRUE(net::wait_for(socket, POLLOUT, 500) & POLLERR);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    for (const path &p : paths(socket))
        EXPECT_EQ(p.state, BUNDLE_PATH_REFUSED) << p.addr.to_string();
}

TEST_F(Peer, TheRestartThatALateInitSeemsToBeIsIgnored)
{
    const auto inits = connect_and_hear(server(2));
    peer->answer(inits[1]);
    const auto aborts = [&](const auto &why) {
        peer->reply(inits[1], initiate_tag, chunk(abort_chunk, why));
    };
    aborts(restart_with_new_addresses); // the COOKIE ACK is under way
    ASSERT_TRUE(completes_at(server(2)[1]));
    aborts(restart_with_new_addresses);
    EXPECT_FALSE(net::wait_for(socket, POLLIN, 200));
    EXPECT_EQ(outcome(::send(socket, "x", 1, 0)), "ok");
    aborts(by_the_user); // that is meant
    EXPECT_TRUE(net::wait_for(socket, POLLIN, 200) & POLLERR);
    EXPECT_EQ(get_option(socket, SOL_SOCKET, SO_ERROR), ECONNRESET);
    EXPECT_EQ(paths(socket)[1].state, BUNDLE_PATH_WON) << "as it was";
}

TEST_F(Peer, LikewiseWhenItIsBeingShutDown)
{
    for (const std::uint8_t last : {data_chunk, shutdown_chunk}) {
        open();
        const auto inits = connect_and_hear(server(2));
        peer->answer(inits[1]);
        ASSERT_TRUE(completes_at(server(2)[1]));
        if (last == data_chunk) {
            ASSERT_EQ(outcome(::send(socket, "x", 1, 0)), "ok");
        }
        ASSERT_EQ(outcome(shutdown(socket, SHUT_WR)), "ok");
        EXPECT_TRUE(peer->hears(last, 200));
        peer->reply(inits[1], initiate_tag, chunk(abort_chunk, restart_with_new_addresses));
        EXPECT_TRUE(peer->hears(last, 3000)) << "again, as nothing has acknowledged it";
    }
}

} // namespace
