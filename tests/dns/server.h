// A name server inside the test, on the loop of what it tests, on a port of 127.0.0.1 or ::1 that
// was free. What it answers is up to the test; it only counts and remembers.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/loop.h"
#include "tests/dns/packets.h"

namespace http01::dns::testing {

class DnsServer {
 public:
  struct Query {
    std::vector<std::uint8_t> packet;
    bool tcp = false;
    sockaddr_storage from{};
    socklen_t from_size = 0;
    int connection = -1;

    std::uint16_t id() const { return static_cast<std::uint16_t>(packet[0] << 8 | packet[1]); }
    bool edns() const { return packet[11] == 1; }
    // A reply to what was asked, without records.
    Message reply(std::uint16_t flags = 0x8180) const {
      std::size_t end = 12;
      while (packet[end] != 0) end += 1U + packet[end];
      Question asked{*Name::from_wire(std::span(packet).subspan(12, end - 11)),
                     static_cast<RecordType>(packet[end + 1] << 8 | packet[end + 2])};
      return {.question = std::move(asked), .id = id(), .flags = flags};
    }
    Message text(const std::string& text, std::uint32_t ttl = 60) const {
      Message message = reply();
      message.answer = {record("\xc0\x0c", 16, ttl, static_cast<char>(text.size()) + text)};
      return message;
    }
  };
  using Script = std::function<void(const Query&)>;

  DnsServer(base::Loop& loop, Script script, bool v6 = false, bool tcp = true)
      : loop_(loop), script_(std::move(script)), v6_(v6) {
    while (!bind(tcp)) {
    }
    loop_.watch(udp_.get(), EPOLLIN, [this](std::uint32_t) { take_datagram(); });
    if (tcp) loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_connection(); });
  }

  const base::Endpoint& endpoint() const { return endpoint_; }
  const std::vector<Query>& queries() const { return queries_; }
  // Those too that the loop has not told of yet.
  const std::vector<Query>& queries_so_far() {
    while (take_datagram()) {
    }
    return queries_;
  }

  void send(const Query& to, const Message& message) { send_raw(to, message.octets()); }
  void send_raw(const Query& to, std::vector<std::uint8_t> octets) {
    if (!to.tcp) {
      ::sendto(udp_.get(), octets.data(), octets.size(), 0,
               reinterpret_cast<const sockaddr*>(&to.from), to.from_size);
      return;
    }
    const std::string length = u16(octets.size());
    octets.insert(octets.begin(), length.begin(), length.end());
    send_stream(to, octets);
  }
  void send_stream(const Query& to, const std::vector<std::uint8_t>& octets) {
    const auto sent = ::send(to.connection, octets.data(), octets.size(), MSG_NOSIGNAL);
    BOOST_TEST(sent == static_cast<ssize_t>(octets.size()));
  }
  // The octet at `at` and those after it, one in each turn of the loop.
  void trickle(const Query& to, const std::vector<std::uint8_t>& octets, std::size_t at = 0) {
    if (at == octets.size()) return;
    ::send(to.connection, &octets[at], 1, MSG_NOSIGNAL);
    loop_.after(base::Duration::zero(), [this, to, octets, at] { trickle(to, octets, at + 1); });
  }
  void hang_up(const Query& to) {
    loop_.forget(watches_.at(to.connection));
    connections_.erase(to.connection);
  }

 private:
  bool bind(bool tcp) {
    endpoint_.address = *base::IpAddress::parse(v6_ ? "::1" : "127.0.0.1");
    endpoint_.port = 0;
    sockaddr_storage address;
    socklen_t size = endpoint_.to_sockaddr(address);
    udp_.reset(::socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    BOOST_TEST_REQUIRE(::bind(udp_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    ::getsockname(udp_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_.port = ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    if (!tcp) return true;
    listener_.reset(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0));
    return ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
           ::listen(listener_.get(), 16) == 0;
  }

  bool take_datagram() {
    Query query;
    query.packet.resize(1024);
    query.from_size = sizeof query.from;
    const ssize_t size = ::recvfrom(udp_.get(), query.packet.data(), query.packet.size(), 0,
                                    reinterpret_cast<sockaddr*>(&query.from), &query.from_size);
    if (size < 0) return false;
    query.packet.resize(static_cast<std::size_t>(size));
    queries_.push_back(query);
    script_(query);
    return true;
  }

  void on_connection() {
    base::Fd accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK));
    const int fd = accepted.get();
    connections_[fd] = std::move(accepted);
    watches_[fd] = loop_.watch(fd, EPOLLIN, [this, fd](std::uint32_t) { on_stream(fd); });
  }

  // The length and the message come in one piece: the relay writes them so.
  void on_stream(int fd) {
    Query query;
    query.tcp = true;
    query.connection = fd;
    query.packet.resize(1024);
    const ssize_t size = ::recv(fd, query.packet.data(), query.packet.size(), 0);
    if (size <= 0) {
      if (size == 0 || errno != EAGAIN) hang_up(query);
      return;
    }
    query.packet.resize(static_cast<std::size_t>(size));
    BOOST_TEST_REQUIRE(size > 2);
    BOOST_TEST(size - 2 == (query.packet[0] << 8 | query.packet[1]));
    query.packet.erase(query.packet.begin(), query.packet.begin() + 2);
    queries_.push_back(query);
    script_(query);
  }

  base::Loop& loop_;
  Script script_;
  bool v6_;
  base::Fd udp_;
  base::Fd listener_;
  base::Endpoint endpoint_;
  std::vector<Query> queries_;
  std::map<int, base::Fd> connections_;
  std::map<int, base::Loop::WatchId> watches_;
};

}  // namespace http01::dns::testing
