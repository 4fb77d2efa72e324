// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * Looks a host name up several times, as an ordinary program does, for bench/lookup.sh to count
 * what that costs. How many instructions string functions take depends on how their arguments are
 * aligned, by up to 3 % of a look-up; so each call has another alignment of its stack.
 */

#include <cstdio>
#include <cstdlib>

#include <alloca.h>
#include <netdb.h>

/** A function of its own, whose instructions can be told from those around it. */
extern "C" [[gnu::noinline]] int look_up(const char *name)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *list = nullptr;
    const int error = getaddrinfo(name, "80", &hints, &list);
    if (error == 0)
        freeaddrinfo(list);
    return error;
}

/** Number SHIFT of the 256 alignments of the stack that differ for string functions. */
[[gnu::noinline]] static int look_up_shifted(const char *name, int shift)
{
    constexpr int alignment = 16;
    constexpr int page = 4096;
    auto *hole = static_cast<volatile char *>(alloca(1 + shift * alignment % page));
    *hole = 0;
    return look_up(name);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        std::fputs("usage: lookup COUNT NAME SHIFT\n", stderr);
        return 2;
    }
    const int shift = std::atoi(argv[3]);
    int error = 0;
    for (int i = std::atoi(argv[1]); i > 0; i--)
        error |= look_up_shifted(argv[2], shift + i);
    if (error != 0)
        std::fprintf(stderr, "lookup: %s: %s\n", argv[2], gai_strerror(error));
    return error != 0;
}
