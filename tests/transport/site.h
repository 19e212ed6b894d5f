// A FastCgiServer on a loop of its own, the requests it has handed on, and web servers before it.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/transport/records.h"
#include "transport/fastcgi.h"

namespace http01::transport::fastcgi_site {

using namespace fastcgi_records;
using namespace std::chrono_literals;
using base::Clock;
using base::Fd;
using RequestId = FastCgiServer::RequestId;

inline const std::string kAnswer = "Status: 200 OK\r\nContent-Length: 2\r\n\r\nok";

// A listening socket without a name in the file system or a fixed port, and how to connect to it.
struct Socket {
  Fd fd;
  sockaddr_storage address{};
  socklen_t length = sizeof address;

  explicit Socket(int family, int backlog = 1000)
      : fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address.ss_family = static_cast<sa_family_t>(family);
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    socklen_t bound = sizeof(sa_family_t);  // a unix socket: any abstract name
    if (family == AF_INET) {
      reinterpret_cast<sockaddr_in*>(name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      bound = sizeof(sockaddr_in);
    }
    BOOST_REQUIRE(::bind(fd.get(), name, bound) == 0);
    BOOST_REQUIRE(::listen(fd.get(), backlog) == 0);
    BOOST_REQUIRE(::getsockname(fd.get(), name, &length) == 0);
  }
};

// The web server's end of a connection.
struct Client {
  Fd fd;
  std::string received;
  bool closed = false;
  bool reset = false;

  explicit Client(const Socket& socket, int flags = 0)
      : fd(::socket(socket.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)) {
    const auto* const peer = reinterpret_cast<const sockaddr*>(&socket.address);
    if (::connect(fd.get(), peer, socket.length) != 0) fd.reset();
  }

  // How many octets the socket took, which may be none.
  std::size_t send(std::string_view octets) const {
    const ssize_t count =
        ::send(fd.get(), octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }

  void read(std::size_t at_most = 1 << 20) {
    std::string buffer(at_most, '\0');
    const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) received.append(buffer, 0, static_cast<std::size_t>(count));
    if (count == 0) closed = true;
    if (count < 0 && errno != EAGAIN) closed = reset = true;
  }

  bool is_closed() {
    read();
    return closed;
  }

  // Takes a whole answer from what was received.
  std::optional<std::string> answer() {
    read();
    const auto found = read_answer(received);
    if (!found) return std::nullopt;
    received.erase(0, found->octets);
    return found->text;
  }
};

struct Site {
  struct Seen {
    RequestId id;
    protocol::RawRequest request;
  };

  base::Loop loop;
  Socket socket;
  std::vector<Seen> seen;
  std::vector<RequestId> gone;
  std::vector<Foreign> foreign;
  bool answer_at_once = true;
  std::function<void()> on_request = [] {};
  std::optional<FastCgiServer> server;

  explicit Site(FastCgiTimeouts timeouts = {}, int family = AF_UNIX, int backlog = 1000)
      : socket(family, backlog) {
    server.emplace(
        loop, Fd(::dup(socket.fd.get())),
        FastCgiServer::Handlers{[this](RequestId id, const protocol::RawRequest& request) {
                                  seen.push_back({id, request});
                                  on_request();
                                  if (answer_at_once) server->reply(id, "for " + request.uri);
                                },
                                [this](RequestId id) { gone.push_back(id); },
                                [this](Foreign kind) { foreign.push_back(kind); }},
        timeouts);
  }

  Client connect() const {
    Client client(socket);
    BOOST_REQUIRE(bool(client.fd));
    return client;
  }

  // Turns the loop until the condition holds, false if that takes too long.
  bool until(const std::function<bool()>& done) {
    const auto give_up = Clock::now() + 20s;
    bool held = false;
    std::function<void()> look = [&] {
      held = done();
      if (held || Clock::now() > give_up) {
        loop.stop();
      } else {
        loop.after(500us, look);
      }
    };
    loop.defer(look);
    loop.run();
    return held;
  }

  // A few turns in which nothing is expected.
  void settle() {
    int turns = 0;
    until([&turns] { return ++turns > 10; });
  }

  std::string answer_to(Client& client) {
    std::optional<std::string> answer;
    until([&] {
      answer = client.answer();
      return answer || client.closed;
    });
    return answer.value_or("(none)");
  }
};

inline FastCgiTimeouts short_times() { return {50ms, 50ms, 50ms, 50ms}; }

}  // namespace http01::transport::fastcgi_site
