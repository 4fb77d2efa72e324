// SPDX-License-Identifier: GPL-2.0
/**
 * @file
 * One socket call or one transfer with a bundle of addresses, for the topology scripts. Prints
 * "ok", or the call that failed and its error by name ("bind: EACCES"), and exits 0 or 1.
 */

#include "descriptor.hpp"

#include <bundle/bundle.hpp>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <linux/sctp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

/** What the command line asks for. */
struct request {
    std::map<std::string, int> families{
        {"bundle", AF_BUNDLE}, {"inet", AF_INET}, {"inet6", AF_INET6}};
    std::map<std::string, int> types{{"stream", SOCK_STREAM}, {"seqpacket", SOCK_SEQPACKET}};
    int family = AF_BUNDLE;
    int type = SOCK_STREAM;
    bool plain = false;
    bool hold = false;
    bool listen = false;
    bool message = false;
    bool names = false;
    unsigned limit = 60;
    std::string addresses; // separated by commas
    std::string from;
    std::string instead;
    std::uint16_t port = 0;
    std::uint16_t from_port = 0;
    std::string file;
    std::string which;
    std::string profile;
};

/** The socket address for a call: a bundle, or with --plain the only address itself. */
class target {
  public:
    target(const request &r, const std::string &texts, std::uint16_t port)
    {
        std::vector<bundle::address> parsed;
        std::istringstream in(texts);
        for (std::string text; std::getline(in, text, ',');) {
            const auto a = bundle::address::parse(text, port);
            if (!a)
                throw std::invalid_argument("not an address: " + text);
            parsed.push_back(*a);
        }
        if (r.plain)
            length_ = static_cast<socklen_t>(parsed.at(0).store(bytes_));
        else {
            const bundle::socket_address all(parsed);
            std::ranges::copy(all.bytes(), bytes_.begin());
            length_ = all.size();
        }
    }

    const ::sockaddr *data() const { return reinterpret_cast<const ::sockaddr *>(bytes_.data()); }
    socklen_t size() const { return length_; }
    std::span<const std::byte> bytes() const { return std::span(bytes_).first(length_); }

  private:
    alignas(8) std::array<std::byte, bundle::max_length> bytes_{};
    socklen_t length_ = 0;
};

descriptor make_socket(const request &r)
{
    descriptor fd(::socket(r.family, r.type, IPPROTO_SCTP), "socket");
    const int on = 1;
    if (r.names)
        must(::setsockopt(fd, SOL_BUNDLE, BUNDLE_NAMES, &on, sizeof(on)), "BUNDLE_NAMES");
    // What the socket was made with is no longer what judges its calls.
    if (!r.profile.empty() &&
        !(std::ofstream("/proc/self/attr/current") << "changeprofile " << r.profile << std::flush))
        throw failure("changeprofile");
    return fd;
}

/** A socket, bound if --from says so. */
descriptor make_client(const request &r)
{
    descriptor fd = make_socket(r);
    if (!r.from.empty()) {
        const target local(r, r.from, r.from_port);
        must(::bind(fd, local.data(), local.size()), "bind");
    }
    return fd;
}

descriptor make_bound(const request &r)
{
    descriptor fd = make_socket(r);
    const target local(r, r.addresses, r.port);
    must(::bind(fd, local.data(), local.size()), "bind");
    return fd;
}

descriptor make_listener(const request &r)
{
    descriptor fd = make_bound(r);
    must(::listen(fd, 8), "listen");
    return fd;
}

void done(const request &r)
{
    std::cout << "ok" << std::endl;
    while (r.hold)
        ::pause(); // until killed, or the alarm
}

/** "bound", "unbound", or why it can't be known. */
std::string state_of(int fd)
{
    ::sockaddr_storage name{};
    socklen_t length = sizeof(name);
    if (::getsockname(fd, reinterpret_cast<::sockaddr *>(&name), &length) < 0)
        return failure("getsockname").what();
    const auto local = bundle::address::from(std::as_bytes(std::span(&name, 1)).first(length));
    return !local || local->port() != 0 ? "bound" : "unbound";
}

/**
 * Makes a call with the addresses, and if that fails and --or says so, once more with others on the
 * same socket. --hold keeps the socket even of a call that failed. After a failure the next line
 * tells whether it has left the socket bound.
 */
template <typename Call>
void attempt(const request &r, int fd, Call call)
{
    try {
        call(target(r, r.addresses, r.port));
    } catch (const failure &f) {
        if (r.instead.empty() && !r.hold)
            throw;
        std::cout << f.what() << std::endl << state_of(fd) << std::endl;
        while (r.instead.empty())
            ::pause();
        call(target(r, r.instead, r.port));
    }
    done(r);
}

void run_bind(const request &r)
{
    const descriptor fd = make_socket(r);
    attempt(r, fd, [&](const target &local) {
        must(::bind(fd, local.data(), local.size()), "bind");
        if (r.listen)
            must(::listen(fd, 8), "listen");
    });
}

void run_connect(const request &r)
{
    const descriptor fd = make_client(r);
    attempt(r, fd,
            [&](const target &peer) { must(::connect(fd, peer.data(), peer.size()), "connect"); });
}

void run_sendto(const request &r)
{
    const descriptor fd = make_client(r);
    attempt(r, fd, [&](const target &peer) {
        char text[] = "hello";
        ::iovec data{text, 5};
        ::msghdr message{};
        message.msg_name = const_cast<::sockaddr *>(peer.data());
        message.msg_namelen = peer.size();
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        if (r.message)
            must(::sendmsg(fd, &message, 0), "sendmsg");
        else
            must(::sendto(fd, text, 5, 0, peer.data(), peer.size()), "sendto");
    });
}

/** Prints the addresses in order, each as it is usually written; /proc and ip(8) differ in that. */
void run_list(const request &r)
{
    const target all(r, r.addresses, 0);
    std::vector<bundle::address> addresses;
    for (const bundle::member &m : bundle::view(all.bytes()))
        addresses.push_back(m.addr);
    std::ranges::sort(addresses);
    for (std::size_t i = 0; i < addresses.size(); i++)
        std::cout << (i ? "," : "") << addresses[i].to_string();
    std::cout << std::endl;
}

/** Prints the socket address that other commands pass, as audit does. */
void run_hex(const request &r)
{
    const target address(r, r.addresses, r.port);
    const auto *bytes = reinterpret_cast<const unsigned char *>(address.data());
    for (socklen_t i = 0; i < address.size(); i++)
        std::printf("%02X", bytes[i]);
    std::printf("\n");
}

/** Accepts every association and drops what it says, until killed. */
void run_serve(const request &r)
{
    const descriptor listener = make_listener(r);
    std::cout << "ok" << std::endl;
    std::vector<pollfd> watched{{listener, POLLIN, 0}};
    std::array<char, 4096> buffer;
    for (;;) {
        must(::poll(watched.data(), watched.size(), -1), "poll");
        if (watched[0].revents) {
            if (r.type == SOCK_STREAM) {
                const int fd = ::accept(listener, nullptr, nullptr);
                if (fd >= 0)
                    watched.push_back({fd, POLLIN, 0});
            } else {
                must(::recv(listener, buffer.data(), buffer.size(), 0), "recv");
            }
        }
        for (std::size_t i = watched.size(); i-- > 1;) {
            if (!watched[i].revents ||
                ::recv(watched[i].fd, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0)
                continue;
            ::close(watched[i].fd);
            watched.erase(watched.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
}

void run_recv(const request &r)
{
    const descriptor listener = make_listener(r);
    std::cout << "ok" << std::endl;
    const descriptor fd(::accept(listener, nullptr, nullptr), "accept");
    std::ofstream out(r.file, std::ios::binary);
    std::vector<char> buffer(64 * 1024);
    for (;;) {
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
        must(got, "recv");
        if (got == 0)
            break;
        // Flushed, so that the file's size says how far the transfer is.
        if (!out.write(buffer.data(), got).flush())
            throw failure("write");
    }
}

void run_send(const request &r)
{
    const descriptor fd = make_client(r);
    const target peer(r, r.addresses, r.port);
    must(::connect(fd, peer.data(), peer.size()), "connect");
    std::ifstream in(r.file, std::ios::binary);
    std::vector<char> buffer(32 * 1024);
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0)
        must(::send(fd, buffer.data(), static_cast<std::size_t>(in.gcount()), 0), "send");
    must(::shutdown(fd, SHUT_WR), "shutdown");
    // Waits until the association is gone, after the last byte's acknowledgement. SCTP calls that
    // ENOTCONN on the side that began it, and an abort by another name.
    if (::recv(fd, buffer.data(), buffer.size(), 0) < 0 && errno != ENOTCONN)
        throw failure("recv");
    std::cout << "ok" << std::endl;
}

/** Of a listening and a connected socket, and what came of it, keeps one: "accepted" or "peeled".
 */
void run_keep(request r)
{
    r.addresses = "127.0.0.1,::1";
    r.port = 4444;
    r.type = r.which == "peeled" ? SOCK_SEQPACKET : SOCK_STREAM;
    int kept = -1;
    {
        const descriptor listener = make_listener(r);
        const target peer(r, r.addresses, r.port);
        const descriptor connected = make_socket(r);
        must(::connect(connected, peer.data(), peer.size()), "connect");
        if (r.which == "peeled") {
            // The id of the only association comes in a list of one.
            std::array<std::uint32_t, 2> ids{};
            socklen_t length = sizeof(ids);
            must(::getsockopt(connected, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, ids.data(), &length),
                 "SCTP_GET_ASSOC_ID_LIST");
            sctp_peeloff_arg_t arg{static_cast<sctp_assoc_t>(ids[1]), -1};
            length = sizeof(arg);
            must(::getsockopt(connected, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &arg, &length),
                 "SCTP_SOCKOPT_PEELOFF");
            kept = arg.sd;
        } else {
            kept = ::accept(listener, nullptr, nullptr);
            must(kept, "accept");
        }
    }
    const descriptor only(kept, "keep");
    r.hold = true;
    done(r);
}

} // namespace

int main(int argc, char **argv)
{
    request r;
    CLI::App app{"one socket call or one transfer with a bundle of addresses"};
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--socket", r.family, "family of the socket")
        ->transform(CLI::Transformer(r.families));
    app.add_option("--type", r.type, "type of the socket")->transform(CLI::Transformer(r.types));
    app.add_flag("--plain", r.plain, "the first address itself, no bundle");
    app.add_option("--change-profile", r.profile, "AppArmor's, once the socket is made");
    app.add_flag("--names", r.names, "with BUNDLE_NAMES");
    app.add_flag("--hold", r.hold, "afterwards keep the socket until killed");
    app.add_option("--limit", r.limit, "seconds until the program is ended");

    const auto add = [&](const char *name, const char *help) {
        return app.add_subcommand(name, help);
    };
    const auto add_target = [&](CLI::App *command) {
        command->add_option("addresses", r.addresses)->required();
        if (command->get_name() != "list")
            command->add_option("port", r.port)->required();
    };
    const auto add_from = [&](CLI::App *command) {
        command->add_option("--from", r.from, "bind to these first");
        command->add_option("--from-port", r.from_port, "and this port");
    };
    CLI::App *const socket = add("socket", "create a socket");
    CLI::App *const bind = add("bind", "bind to all addresses");
    CLI::App *const connect = add("connect", "connect to all addresses");
    CLI::App *const sendto = add("sendto", "send one message to all addresses");
    CLI::App *const serve = add("serve", "accept, and drop what comes, until killed");
    CLI::App *const recv = add("recv", "accept once, and write what comes to a file");
    CLI::App *const send = add("send", "connect, and send a file");
    CLI::App *const keep = add("keep", "keep the accepted or the peeled-off socket alone");
    for (CLI::App *command : {bind, connect, sendto})
        command->add_option("--or", r.instead, "if that fails, these on the same socket");
    bind->add_flag("--listen", r.listen, "and listen: /proc/net/sctp/eps has no others");
    CLI::App *const hex = add("hex", "print the socket address of these in hexadecimal");
    CLI::App *const list = add("list", "print these in order");
    sendto->add_flag("--sendmsg", r.message, "by sendmsg(2)");
    for (CLI::App *command : {bind, connect, sendto, serve, recv, send, hex, list})
        add_target(command);
    for (CLI::App *command : {connect, sendto, send})
        add_from(command);
    for (CLI::App *command : {recv, send})
        command->add_option("file", r.file)->required();
    keep->add_option("which", r.which)->required()->check(CLI::IsMember({"accepted", "peeled"}));
    CLI11_PARSE(app, argc, argv);

    ::alarm(r.limit);
    try {
        if (*socket) {
            const descriptor fd = make_socket(r);
            done(r);
        } else if (*bind) {
            run_bind(r);
        } else if (*connect)
            run_connect(r);
        else if (*sendto)
            run_sendto(r);
        else if (*serve)
            run_serve(r);
        else if (*recv)
            run_recv(r);
        else if (*send)
            run_send(r);
        else if (*keep)
            run_keep(r);
        else if (*hex)
            run_hex(r);
        else if (*list)
            run_list(r);
    } catch (const std::exception &e) {
        std::cout << e.what() << std::endl;
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
