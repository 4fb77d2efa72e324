// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Standard input to a socket and back, see relay.hpp.
 */

#include "relay.hpp"

#include "association.hpp"
#include "system.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

namespace tool {

namespace {

using clock = std::chrono::steady_clock;

/** One direction: what was read and isn't written yet. */
class direction {
  public:
    [[nodiscard]] bool wants_input() const noexcept { return open_ && begin_ == end_; }
    [[nodiscard]] std::size_t pending() const noexcept { return end_ - begin_; }
    [[nodiscard]] bool done() const noexcept { return !open_ && begin_ == end_; }
    void close() noexcept { open_ = false; }
    void drop() noexcept { begin_ = end_ = 0; }

    /** @return what @p read returned. */
    template <typename Read>
    ssize_t fill(Read read)
    {
        const ssize_t got = read(buffer_.data(), buffer_.size());
        begin_ = 0;
        end_ = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
        open_ = open_ && got != 0;
        return got;
    }
    template <typename Write>
    ssize_t drain(Write write)
    {
        const ssize_t put = write(buffer_.data() + begin_, end_ - begin_);
        begin_ += static_cast<std::size_t>(std::max<ssize_t>(put, 0));
        return put;
    }

  private:
    std::array<char, 32768> buffer_{};
    std::size_t begin_ = 0, end_ = 0;
    bool open_ = true;
};

bool not_now()
{
    return errno == EAGAIN || errno == EINTR;
}

class relaying {
  public:
    relaying(int fd, const relay_options &options) : fd_(fd), options_(options)
    {
        must(::fcntl(fd, F_SETFL, must(::fcntl(fd, F_GETFL), "fcntl") | O_NONBLOCK), "fcntl");
        if (!options.input)
            out_.close();
    }

    relayed run()
    {
        auto last = clock::now();
        bool watching = true;
        for (;;) {
            if (options_.input && out_.done() && !told_)
                tell();
            if (in_.done() && finished_sending())
                break;
            watching = watching && options_.watch && options_.watch();
            if (step(wait_time(last, watching)))
                last = clock::now();
            else if (options_.idle.count() > 0 && clock::now() - last >= options_.idle) {
                result_.idle = true;
                break;
            }
        }
        lose();
        return result_;
    }

  private:
    [[nodiscard]] bool finished_sending() const
    {
        return out_.done() && (told_ || !options_.input);
    }

    /** The end of standard input, once everything before it is on its way. */
    void tell()
    {
        told_ = true;
        if (options_.shutdown && ::shutdown(fd_, SHUT_WR) < 0 && errno != ENOTCONN)
            must(-1, "shutdown");
    }

    /** What was read, and the peer won't take. */
    void lose()
    {
        result_.lost += out_.pending();
        out_.drop();
    }

    /** There is no use in reading standard input any more. */
    void stop_sending()
    {
        lose();
        out_.close();
        told_ = true;
    }

    [[nodiscard]] int wait_time(clock::time_point last, bool watching) const
    {
        using std::chrono::milliseconds;
        milliseconds wait{watching ? 100 : -1};
        if (options_.idle.count() > 0) {
            const auto left = std::chrono::ceil<milliseconds>(last + options_.idle - clock::now());
            wait = wait.count() < 0 ? left : std::min(wait, left);
            wait = std::max(wait, milliseconds{0});
        }
        return static_cast<int>(wait.count());
    }

    ssize_t receive()
    {
        const ssize_t got =
            in_.fill([&](char *to, std::size_t size) { return ::recv(fd_, to, size, 0); });
        if (got > 0)
            result_.received += static_cast<std::uint64_t>(got);
        if (got < 0 && !not_now())
            must(got, "receiving");
        // Unlike TCP, SCTP tells a peer that has closed from one that still listens.
        if (got == 0 && peer_has_closed(fd_))
            stop_sending();
        return got;
    }

    /** @return whether anything moved. */
    bool step(int wait)
    {
        std::array<::pollfd, 3> fds{};
        fds[0] = {out_.wants_input() ? STDIN_FILENO : -1, POLLIN, 0};
        fds[1].events = static_cast<short>((in_.wants_input() ? POLLIN : 0) |
                                           (out_.pending() > 0 ? POLLOUT : 0));
        fds[1].fd = fds[1].events != 0 ? fd_ : -1; // else its end would come again and again
        fds[2] = {in_.pending() > 0 ? STDOUT_FILENO : -1, POLLOUT, 0};
        if (::poll(fds.data(), fds.size(), wait) < 0) {
            if (errno == EINTR)
                return false;
            must(-1, "poll");
        }
        bool moved = false;
        if (fds[0].revents != 0)
            moved |= take_input();
        if (fds[1].revents != 0 && in_.wants_input())
            moved |= receive() >= 0;
        if (fds[1].revents != 0 && out_.pending() > 0)
            moved |= send();
        if (fds[2].revents != 0)
            moved |= give_output();
        return moved;
    }

    bool take_input()
    {
        const ssize_t got =
            out_.fill([](char *to, std::size_t size) { return ::read(STDIN_FILENO, to, size); });
        if (got < 0 && !not_now())
            must(got, "reading standard input");
        return got >= 0;
    }

    bool send()
    {
        const ssize_t put = out_.drain([&](const char *from, std::size_t size) {
            return ::send(fd_, from, size, MSG_NOSIGNAL);
        });
        if (put > 0)
            result_.sent += static_cast<std::uint64_t>(put);
        if (put < 0 && errno == EPIPE) {
            // The peer wants no more; what it has sent is still to be read.
            stop_sending();
            return true;
        }
        if (put < 0 && !not_now())
            must(put, "sending");
        return put > 0;
    }

    bool give_output()
    {
        const ssize_t put = in_.drain(
            [](const char *from, std::size_t size) { return ::write(STDOUT_FILENO, from, size); });
        if (put < 0 && !not_now())
            must(put, "writing to standard output");
        return put > 0;
    }

    int fd_;
    const relay_options &options_;
    bool told_ = false;
    direction in_, out_;
    relayed result_;
};

} // namespace

relayed relay(int fd, const relay_options &options)
{
    return relaying(fd, options).run();
}

} // namespace tool
