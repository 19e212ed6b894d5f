// A FastCGI server on a socket, and up to four web servers before it. The octets say what these
// send, in what pieces, what they read, when they hang up, and when requests are answered. Each
// request that was begun has one end at most, answers come once and where they belong, what is sent
// is whole records, and once all have hung up no connection is left.

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/transport/records.h"
#include "transport/fastcgi.h"

namespace http01::fuzz {
namespace {

using namespace fastcgi_records;
using base::Fd;
using transport::FastCgiServer;

constexpr std::size_t kClients = 4;

struct Record {
  int version;
  int type;
  int id;
  std::string_view content;
};

// Takes a record off the front; nothing if it is not whole.
std::optional<Record> take_record(std::string_view& octets) {
  const auto at = [&octets](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(octets[i]));
  };
  if (octets.size() < 8) return std::nullopt;
  const std::size_t size = at(4) * 256 + at(5);
  if (octets.size() < 8 + size + at(6)) return std::nullopt;
  const Record record{static_cast<int>(at(0)), static_cast<int>(at(1)),
                      static_cast<int>(at(2) * 256 + at(3)), octets.substr(8, size)};
  octets.remove_prefix(8 + size + at(6));
  return record;
}

struct Client {
  Fd fd;
  std::string to_send;
  std::string sent;
  std::string received;
  bool raw = false;  // it has sent octets that may be anything
};

class World {
 public:
  World() {
    Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // Without a name it gets one of its own, outside the file system.
    sockaddr_un any{};
    any.sun_family = AF_UNIX;
    require(
        ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(sa_family_t)) == 0 &&
            ::listen(listener.get(), 16) == 0,
        "no socket");
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address_), &address_size_);
    const base::Duration never = std::chrono::hours(1);
    server_.emplace(
        loop_, std::move(listener),
        FastCgiServer::Handlers{
            [this](FastCgiServer::RequestId id, const protocol::RawRequest& request) {
              held_.push_back({id, request.host});
              if (at_once_) reply(held_.size() - 1, id % 7 * 100);
            },
            [this](FastCgiServer::RequestId id) {
              if (std::erase_if(held_, [id](const Held& h) { return h.id == id; }) != 1) {
                fault_ = "gone, but not held";
              }
            }},
        transport::FastCgiTimeouts{never, never, never, never});
  }

  void play(Input& input) {
    while (!input.empty()) {
      const std::size_t operation = input.below(20);
      Client& client = clients_[current_];
      const int id = 1 + static_cast<int>(input.below(3));
      switch (operation) {
        case 0:
          current_ = input.below(kClients);
          connect(clients_[current_]);
          break;
        case 1:
          client.raw = true;
          client.to_send += input.text();
          break;
        case 2:
          client.to_send += begin(id, static_cast<int>(input.below(2)),
                                  1 + static_cast<int>(input.below(3) == 2));
          break;
        case 3:
          client.to_send += params(variables(), id, 1 + input.octet());
          break;
        case 4:
          client.to_send += record(5, id, input.text(), input.below(9));
          break;
        case 5:
          client.to_send += record(5, id, "");
          break;
        case 6:
          client.to_send += record(2, id, "");
          break;
        case 7:
          client.to_send += record(9, 0, pair("FCGI_MAX_REQS", "") + pair("FCGI_MPXS_CONNS", ""));
          break;
        case 8:
          client.to_send +=
              record(static_cast<int>(input.octet()), input.yes() ? id : 0, input.text());
          break;
        case 9:
        case 10:
          client.to_send +=
              begin(id, input.yes() ? kKeep : 0) + params(variables(), id) + body("", id);
          break;
        case 11:
          for (std::size_t i = input.below(4); i > 0; --i) {
            client.to_send += record(5, id, std::string(32'768, 'b'));
          }
          break;
        case 12:
          send(client, 1 + input.octet());
          break;
        case 13:
          send(client, client.to_send.size());
          break;
        case 14:
          turn();
          break;
        case 15:
          if (!held_.empty()) reply(input.below(held_.size()), input.octet() * 1000);
          break;
        case 16:
          read(client, 1 + input.octet());
          break;
        case 17:
          if (client.fd) ::shutdown(client.fd.get(), SHUT_WR);
          break;
        case 18:
          input.yes() ? client.fd.reset() : void(at_once_ = !at_once_);
          break;
        case 19:
          if (input.octet() == 7) drain();
          break;
      }
    }
  }

  // All is sent, answered and read; then all hang up.
  void finish() {
    for (int round = 0; round < 300; ++round) {
      const std::size_t before = traffic_;
      for (Client& client : clients_) {
        send(client, client.to_send.size());
        turn();
        while (!held_.empty()) reply(0, 10);
        turn();
        read(client, buffer_.size());
      }
      if (traffic_ == before) break;
    }
    for (Client& client : clients_) client.fd.reset();
    for (int i = 0; i < 20 && server_->connections() > 0; ++i) turn();
    require(server_->connections() == 0, "a connection is left");
    require(held_.empty(), "a request is held for a client that has hung up");
    if (draining_) {
      turn();
      require(drained_, "drained, and nobody was told");
    }
    for (std::size_t i = 0; i < kClients; ++i) check(i);
    for (const Client& client : past_) check_records(client);
  }

 private:
  struct Held {
    FastCgiServer::RequestId id;
    std::string host;
  };

  Pairs variables() const {
    Pairs pairs = get("/");
    pairs[3].second = host_of(current_);
    return pairs;
  }
  static std::string host_of(std::size_t client) { return "client-" + std::to_string(client); }

  void connect(Client& client) {
    if (client.fd || draining_) return;
    past_.push_back(std::exchange(client, {}));
    client.fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(client.fd.get(), reinterpret_cast<const sockaddr*>(&address_), address_size_) !=
        0) {
      client.fd.reset();
    }
  }

  void send(Client& client, std::size_t size) {
    if (!client.fd || client.to_send.empty()) return;
    const std::size_t part = std::min(size, client.to_send.size());
    const ssize_t count = ::send(client.fd.get(), client.to_send.data(), part, MSG_NOSIGNAL);
    if (count <= 0) return;
    client.sent.append(client.to_send, 0, static_cast<std::size_t>(count));
    client.to_send.erase(0, static_cast<std::size_t>(count));
    ++traffic_;
  }

  void read(Client& client, std::size_t size) {
    if (!client.fd) return;
    const ssize_t count =
        ::recv(client.fd.get(), buffer_.data(), std::min(size, buffer_.size()), 0);
    if (count <= 0) return;
    client.received.append(buffer_.data(), static_cast<std::size_t>(count));
    ++traffic_;
  }

  void reply(std::size_t index, std::size_t size) {
    const Held held = held_[index];
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    server_->reply(held.id,
                   std::to_string(held.id) + " " + held.host + " " + std::string(size, 'a'));
  }

  void drain() {
    draining_ = true;
    server_->drain([this] { drained_ = true; });
  }

  void turn() {
    loop_.after(base::Duration::zero(), [this] { loop_.stop(); });
    loop_.run();
    require(fault_.empty(), fault_);
  }

  // What has come back to a client fits what it has sent.
  void check_records(const Client& client) {
    std::map<int, int> begun;
    int questions = 0;
    int unknown = 0;
    std::string_view sent = client.sent;
    while (const auto record = take_record(sent)) {
      if (record->version != 1) break;
      begun[record->id] += record->type == 1;
      questions += record->id == 0 && record->type == 9;
      unknown += record->id == 0 && (record->type == 0 || record->type > 9);
    }
    // The last one may be cut; its header is enough to be refused.
    if (sent.size() >= 8 && sent[0] == 1) {
      const int id =
          static_cast<unsigned char>(sent[2]) * 256 + static_cast<unsigned char>(sent[3]);
      begun[id] += sent[1] == 1;
      unknown += id == 0;
    }
    int answering = 0;  // an answer is not interrupted
    std::string answer;
    std::string_view received = client.received;
    while (const auto record = take_record(received)) {
      require(record->version == 1, "another version");
      require(answering == 0 || record->id == answering, "an answer within another");
      switch (record->type) {
        case 3:
          require(record->content.size() == 8, "END_REQUEST of another size");
          require(begun[record->id]-- > 0, "the end of a request that was not begun");
          if (answering != 0) {
            require(record->content == std::string(8, '\0'), "an answer with a bad end");
            check_answer(client, answer);
          } else {
            require(
                std::string_view("\0\1\3", 3).find(record->content[4]) != std::string_view::npos,
                "an end of another kind");
          }
          answering = 0;
          answer.clear();
          break;
        case 6:
          require(begun[record->id] > 0, "an answer without a request");
          answering = record->id;
          answer += record->content;
          break;
        case 10:
          require(record->id == 0 && questions-- > 0, "values that were not asked for");
          break;
        case 11:
          require(record->id == 0 && unknown-- > 0, "an unknown type that was not sent");
          break;
        default:
          require(false, "a record that the application does not send");
      }
    }
  }

  void check_answer(const Client& client, const std::string& answer) {
    require(answered_.insert(answer.substr(0, answer.find(' '))).second, "an answer twice");
    if (client.raw || client_ == kClients) return;
    require(answer.find(" " + host_of(client_) + " ") != std::string::npos, "another's answer");
  }

  void check(std::size_t index) {
    client_ = index;
    check_records(clients_[index]);
    client_ = kClients;
  }

  std::array<char, 65'536> buffer_;
  base::Loop loop_;
  sockaddr_un address_{};
  socklen_t address_size_ = sizeof address_;
  std::vector<Held> held_;
  bool at_once_ = false;
  std::string fault_;
  std::array<Client, kClients> clients_;
  std::vector<Client> past_;
  std::size_t current_ = 0;
  std::size_t client_ = kClients;
  std::size_t traffic_ = 0;
  bool draining_ = false;
  bool drained_ = false;
  std::set<std::string> answered_;
  std::optional<FastCgiServer> server_;
};

FUZZ_TARGET(fastcgi_server, octets) {
  Input input(octets);
  World world;
  world.play(input);
  world.finish();
}

}  // namespace
}  // namespace http01::fuzz
