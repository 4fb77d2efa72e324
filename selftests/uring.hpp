// SPDX-License-Identifier: GPL-2.0
// An io_uring for one request at a time, by its system calls alone.
#pragma once

#include "net.hpp"

#include <atomic>
#include <optional>

#include <linux/io_uring.h>

namespace net {

class uring {
  public:
    uring()
    {
        io_uring_params params{};
        ring_ = fd(static_cast<int>(syscall(__NR_io_uring_setup, 4, &params)));
        if (ring_ < 0)
            fail("io_uring_setup");
        submitted_ =
            map(params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
        completed_ =
            map(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
        entries_ = reinterpret_cast<io_uring_sqe *>(
            map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
        params_ = params;
    }

    // The request's result, as of a system call.
    long operator()(const io_uring_sqe &request)
    {
        submit(request);
        const auto result = completed();
        if (!result)
            throw std::runtime_error("io_uring: nothing completed");
        errno = *result < 0 ? -*result : 0;
        return *result < 0 ? -1 : *result;
    }

    void submit(const io_uring_sqe &request)
    {
        auto *tail = reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.tail);
        const unsigned index =
            *tail & *reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.ring_mask);
        entries_[index] = request;
        reinterpret_cast<unsigned *>(submitted_ + params_.sq_off.array)[index] = index;
        std::atomic_ref(*tail).store(*tail + 1, std::memory_order_release);
        if (syscall(__NR_io_uring_enter, int{ring_}, 1, 0, 0, nullptr, 0) != 1)
            fail("io_uring_enter");
    }

    // What a request has come to, negative for an error, unless there is none for so long.
    std::optional<int> completed(int milliseconds = 5000)
    {
        auto *head = reinterpret_cast<unsigned *>(completed_ + params_.cq_off.head);
        auto *end = reinterpret_cast<unsigned *>(completed_ + params_.cq_off.tail);
        if (!wait_for(ring_, POLLIN, milliseconds) ||
            std::atomic_ref(*end).load(std::memory_order_acquire) == *head)
            return {};
        const auto &done = reinterpret_cast<io_uring_cqe *>(
            completed_ + params_.cq_off.cqes)[*head & *reinterpret_cast<unsigned *>(
                                                          completed_ + params_.cq_off.ring_mask)];
        const int result = done.res;
        std::atomic_ref(*head).store(*head + 1, std::memory_order_release);
        return result;
    }

    static io_uring_sqe request(int operation, int s, const void *address, std::uint64_t second)
    {
        io_uring_sqe sqe{};
        sqe.opcode = static_cast<std::uint8_t>(operation);
        sqe.fd = s;
        sqe.addr = reinterpret_cast<std::uintptr_t>(address);
        sqe.off = second;
        return sqe;
    }

  private:
    std::byte *map(std::size_t size, off_t offset) const
    {
        void *p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring_, offset);
        if (p == MAP_FAILED)
            fail("mmap of a ring");
        return static_cast<std::byte *>(p);
    }

    fd ring_;
    std::byte *submitted_, *completed_;
    io_uring_sqe *entries_;
    io_uring_params params_;
};

} // namespace net
