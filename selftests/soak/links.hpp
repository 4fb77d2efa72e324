// SPDX-License-Identifier: GPL-2.0
// The links between the two hosts go down at either end, lose some or all packets, and come back.
#pragma once

#include "../topology.hpp"
#include "bytes.hpp"

#include <algorithm>

namespace soak {

class links {
  public:
    long changes = 0;

    links(const sctp::two_hosts &hosts, dice &numbers) : hosts_(hosts), dice_(numbers) {}

    // Any of them, one way or the other.
    void change()
    {
        one_link &p = all_[static_cast<std::size_t>(dice_.between(0, 2))];
        changes++;
        if (p.dead() || p.lossy)
            return revive(p);
        const auto alive =
            std::count_if(all_.begin(), all_.end(), [](const one_link &x) { return !x.dead(); });
        if (dice_.one_in(6) || alive < 2) {
            const std::string loss = std::to_string(dice_.between(2, 30)) + "%",
                              delay = std::to_string(dice_.between(0, 50)) + "ms";
            net::run({"tc", "qdisc", "add", "dev", p.link.c_str(), "root", "netem", "loss",
                      loss.c_str(), "delay", delay.c_str(), "5ms"});
            p.lossy = true;
        } else {
            kill(p, dice_.between(0, 4));
        }
    }
    void all_down()
    {
        for (one_link &p : all_)
            if (!p.dead())
                kill(p, dice_.between(0, 4));
    }
    void all_up()
    {
        for (one_link &p : all_)
            revive(p);
    }

  private:
    struct one_link {
        std::string link;
        bool down = false, server_down = false, dropped = false, lossy = false;
        [[nodiscard]] bool dead() const { return down || server_down || dropped; }
    };

    static void set_link(const one_link &p, bool up)
    {
        net::ip("link set " + p.link + (up ? " up\n" : " down\n"));
    }
    // The server has a table that drops what comes from the set's interfaces.
    void drop(one_link &p, bool on)
    {
        hosts_.on_server([&] {
            const std::string command =
                std::string(on ? "add" : "delete") + " element inet soak dead { " + p.link + " }";
            net::run({"nft", command.c_str()});
        });
        p.dropped = on;
    }
    void revive(one_link &p)
    {
        if (p.down)
            set_link(p, true);
        if (p.server_down)
            hosts_.on_server([&] { set_link(p, true); });
        p.down = p.server_down = false;
        if (p.dropped)
            drop(p, false);
        if (p.lossy)
            net::run({"tc", "qdisc", "del", "dev", p.link.c_str(), "root"});
        p.lossy = false;
    }
    void kill(one_link &p, int how)
    {
        switch (how) {
        case 0:
        case 1:
            set_link(p, false);
            p.down = true;
            break;
        case 2:
        case 3:
            hosts_.on_server([&] { set_link(p, false); });
            p.server_down = true;
            break;
        default:
            drop(p, true);
        }
    }

    const sctp::two_hosts &hosts_;
    dice &dice_;
    std::vector<one_link> all_{{"v1"}, {"v2"}, {"v3"}};
};

} // namespace soak
