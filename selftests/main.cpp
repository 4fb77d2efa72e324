// SPDX-License-Identifier: GPL-2.0
// The entry point of every test program.
#include "ktap.hpp"

int main(int argc, char **argv)
{
    testing::InitGoogleTest(&argc, argv);
    // A write to a socket whose peer has gone is an error to check, not the program's end.
    signal(SIGPIPE, SIG_IGN);
    return ktap::run_all();
}
