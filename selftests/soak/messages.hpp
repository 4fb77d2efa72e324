// SPDX-License-Identifier: GPL-2.0
// One-to-many sockets: talkers send numbered messages to one server, which answers each. None is
// lost, comes twice or is changed in an association that lives.
#pragma once

#include "../stream.hpp"
#include "bytes.hpp"

#include <deque>
#include <list>
#include <map>

#include <poll.h>

namespace soak {

using namespace sctp;

class one_to_many {
  public:
    struct {
        long associations = 0, messages = 0, bytes = 0;
    } total;

    one_to_many(dice &numbers, addresses where) : dice_(numbers), where_(std::move(where)) {}

    // The server's part, in its namespace. Whether the port was free.
    bool bind()
    {
        server_ = open_socket(SOCK_SEQPACKET);
        set_option(server_, IPPROTO_SCTP, SCTP_RECVRCVINFO, 1);
        return bind_to(server_, where_) == 0;
    }
    int listen() const { return ::listen(server_, 8); }
    void stop_server() { server_.reset(); }

    void stop_talkers(bool aborting)
    {
        for (talker &t : talkers_)
            if (aborting)
                set_option(t.socket, SOL_SOCKET, SO_LINGER, abort_on_close);
        talkers_.clear();
        answers_.clear();
    }
    void forget() { heard_.clear(); }
    // All of them close as soon as what they have sent is answered.
    void finish()
    {
        for (talker &t : talkers_)
            t.end = now();
    }
    [[nodiscard]] bool idle() const { return talkers_.empty(); }

    // Until there are so many.
    void open_talkers(std::size_t count)
    {
        if (server_ < 0 || talkers_.size() >= count)
            return;
        talkers_.push_back({open_socket(SOCK_SEQPACKET), next_id_++,
                            now() + dice_.between(30.0, 600.0), now(), now()});
        total.associations++;
    }

    // What poll(2) is to look at, the server first, and when the next message is due.
    double poll_for(std::vector<pollfd> &polled, double wake) const
    {
        polled.push_back(
            {server_, static_cast<short>(answers_.empty() ? POLLIN : POLLIN | POLLOUT), 0});
        for (const talker &x : talkers_) {
            polled.push_back({x.socket, POLLIN, 0});
            wake = std::min(wake, x.next);
        }
        return wake;
    }
    // Takes what has come, and sends. Returns how many of @polled were its.
    std::size_t serve(std::span<const pollfd> polled)
    {
        const double t = now();
        std::size_t i = 1;
        for (auto x = talkers_.begin(); x != talkers_.end(); i++)
            x = talk(*x, polled[i].revents, t) ? std::next(x) : talkers_.erase(x);
        if (server_ >= 0) {
            if (polled[0].revents)
                hear_talkers();
            send_answers();
        }
        return i;
    }

  private:
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
        total.bytes += static_cast<long>(text.size());
    }

    void hear_talkers()
    {
        std::string text;
        for (sctp_assoc_t from = 0; take(server_, text, &from);) {
            std::uint32_t id = 0;
            std::memcpy(&id, text.data(), std::min(sizeof(id), text.size()));
            const bool known = std::any_of(talkers_.begin(), talkers_.end(),
                                           [&](const talker &t) { return t.id == id; });
            if (!known)
                continue; // aborted since
            check(text, heard_[id], true, id);
            const message reply{id, heard_[id]++,
                                static_cast<std::uint32_t>(dice_.between(1, 3000))};
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
            if (::sendmsg(server_, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
                return;
            answers_.pop_front(); // or the association has gone: its talker notices
        }
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
            x.next = t + dice_.between(0.2, 2.0);
            // Until one is answered there may be no association, and what it was to carry is lost
            // with it.
            if (t < x.end && x.sent - x.answered < (x.answered ? 16U : 1U)) {
                const message m{x.id, x.sent, static_cast<std::uint32_t>(dice_.between(1, 3000))};
                const socket_address to(where_);
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

    dice &dice_;
    const addresses where_;
    fd server_;
    std::uint32_t next_id_ = 1;
    std::list<talker> talkers_;
    std::deque<answer> answers_;
    std::map<std::uint32_t, std::uint32_t> heard_; // the number of a talker's next message
};

} // namespace soak
