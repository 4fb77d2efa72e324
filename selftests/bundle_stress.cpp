// SPDX-License-Identifier: GPL-2.0
// Many connections through one server: at the same time, and one after the other.
#include "ktap.hpp"
#include "stream.hpp"

#include <atomic>
#include <thread>

#include <sys/resource.h>

namespace {

using namespace sctp;

class Stress : public Stream {
  protected:
    static void SetUpTestSuite()
    {
        Stream::SetUpTestSuite();
        // A kernel full of checkers takes minutes.
        ktap::test_limit = 1000;
        const rlimit files{4096, 4096};
        if (setrlimit(RLIMIT_NOFILE, &files) < 0)
            net::fail("setrlimit");
    }

    static void say(int fd, const std::string &text)
    {
        ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    // All up to the end of the stream, or @bytes.
    static std::string hear(int fd, std::size_t bytes = SIZE_MAX)
    {
        std::string result;
        char room[100];
        for (ssize_t n; result.size() < bytes && net::wait_for(fd, POLLIN, 60000) != 0;
             result.append(room, static_cast<std::size_t>(n)))
            if ((n = ::recv(fd, room, sizeof(room), 0)) <= 0)
                break;
        return result;
    }
};

TEST_F(Stress, AThousandConnectionsAtOnce)
{
    constexpr int count = 1000;
    {
        const fd listening = hosts().on_server([&] {
            fd result = open_socket();
            if (bind_to(result, servers) < 0 || ::listen(result, count) < 0)
                net::fail("the server");
            return result;
        });
        std::vector<fd> clients_made, accepted;
        for (int i = 0; i < count; i++) {
            clients_made.push_back(open_socket());
            ASSERT_EQ(outcome(connect_to(clients_made.back(), servers)), "ok") << i;
            accepted.push_back(accept(listening));
        }
        for (int i = 0; i < count; i++)
            say(clients_made[i], "request " + std::to_string(i));
        for (int i = 0; i < count; i++) {
            const std::string request = "request " + std::to_string(i);
            ASSERT_EQ(hear(accepted[i], request.size()), request);
            say(accepted[i], "answer to " + request);
            ASSERT_EQ(::shutdown(accepted[i], SHUT_WR), 0);
        }
        for (int i = 0; i < count; i++)
            ASSERT_EQ(hear(clients_made[i]), "answer to request " + std::to_string(i));
    }
    EXPECT_TRUE(nothing_left(30000));
}

TEST_F(Stress, TenThousandShortConnections)
{
    constexpr int count = 10000;
    const fd listening = hosts().listener(servers);
    std::atomic<bool> done = false;
    std::atomic<int> served = 0;
    std::thread server([&] {
        while (!done)
            if (net::wait_for(listening, POLLIN, 200) != 0) {
                const fd one(::accept(listening, nullptr, nullptr));
                say(one, "answer to " + hear(one));
                served++;
            }
    });
    for (int i = 0; i < count && !HasFailure(); i++) {
        const fd client = open_socket();
        EXPECT_EQ(outcome(connect_to(client, servers)), "ok") << i;
        say(client, std::to_string(i));
        EXPECT_EQ(::shutdown(client, SHUT_WR), 0);
        EXPECT_EQ(hear(client), "answer to " + std::to_string(i));
    }
    done = true;
    server.join();
    EXPECT_EQ(served, count);
    EXPECT_TRUE(nothing_left(30000));
}

} // namespace
