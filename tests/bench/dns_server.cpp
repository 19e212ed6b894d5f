// A name server for the benchmarks, on a loopback port that it prints: every name has an app
// address, no name has an alias, and what has "dead" in it is never answered.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t kHeader = 12;
constexpr std::uint8_t kTxt = 16;
constexpr std::uint8_t kCname = 5;
constexpr std::string_view kGateway =
    "\x01_\x0c"
    "dstack-prod5\x05"
    "phala\x07"
    "network";  // and the root's octet
constexpr std::string_view kText = "5b912f5cec6c02d851db76bc20f410700f01fc65:443";

// A record at the name asked for, of class IN with an hour to live.
std::string record(std::uint8_t type, std::string_view data) {
  std::string out{'\xc0', '\x0c', 0, static_cast<char>(type), 0, 1, 0, 0, '\x0e', '\x10', 0};
  out += static_cast<char>(data.size());
  return out.append(data);
}

// Empty: nothing is to be said.
std::string answer_to(std::string_view query) {
  std::size_t at = kHeader;
  while (at < query.size() && query[at] != 0) at += 1 + static_cast<unsigned char>(query[at]);
  const std::size_t end = at + 5;
  if (end > query.size()) return {};
  const std::string_view name = query.substr(kHeader, at - kHeader);
  if (name.find("dead") != std::string_view::npos) return {};
  std::string answer(query.substr(0, 2));
  answer.append({'\x81', '\x80', 0, 1, 0, 1, 0, 0, 0, 0});
  answer.append(query.substr(kHeader, end - kHeader));
  if (query[at + 2] == kCname) return answer + record(kCname, std::string(kGateway) + '\0');
  return answer + record(kTxt, static_cast<char>(kText.size()) + std::string(kText));
}

}  // namespace

int main() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int octets = 8 << 20;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("dns_server");
    return 1;
  }
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  std::array<char, 4096> buffer;
  while (true) {
    sockaddr_in client{};
    socklen_t client_size = sizeof client;
    const ssize_t count = ::recvfrom(fd, buffer.data(), buffer.size(), 0,
                                     reinterpret_cast<sockaddr*>(&client), &client_size);
    if (count <= 0) continue;
    const std::string answer = answer_to({buffer.data(), static_cast<std::size_t>(count)});
    if (!answer.empty()) {
      ::sendto(fd, answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&client),
               client_size);
    }
  }
}
