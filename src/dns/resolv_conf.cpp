#include "dns/resolv_conf.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "base/ascii.h"
#include "base/fd.h"
#include "base/posix.h"

namespace http01::dns {
namespace {

constexpr std::uint16_t kDnsPort = 53;
// The C library takes three. More than these only make a dead network slower to notice.
constexpr std::size_t kMaxServers = 8;
constexpr std::size_t kMaxFile = 65536;
constexpr std::chrono::seconds kLookEvery{1};
constexpr std::string_view kSpace = " \t\r";

// The next word of the line, which loses it.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

MachineServers parse_resolv_conf(std::string_view text) {
  MachineServers known;
  std::vector<base::Endpoint>& servers = known.servers;
  while (!text.empty()) {
    std::string_view line = base::split_off(text, '\n');
    const std::string_view keyword = take_word(line);
    if (keyword == "options") {
      for (auto option = take_word(line); !option.empty(); option = take_word(line)) {
        known.tcp_alone |= option == "use-vc";
      }
    }
    if (keyword != "nameserver" || servers.size() == kMaxServers) continue;
    const auto server = base::Endpoint::parse(take_word(line), kDnsPort);
    if (server && std::ranges::count(servers, *server) == 0) servers.push_back(*server);
  }
  if (servers.empty()) servers.push_back(*base::Endpoint::parse("127.0.0.1", kDnsPort));
  return known;
}

bool ResolvConf::refresh(base::TimePoint now) {
  if (looked_ && now - *looked_ < kLookEvery) return false;
  return read(now);
}

bool ResolvConf::read(base::TimePoint now) {
  const bool first = !looked_;
  looked_ = now;
  if (first) known_ = parse_resolv_conf("");

  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return first;
  const Stamp stamp{status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  if (stamp == stamp_) return first;
  // Should it be written to from here on, its stamp is already another one.
  const base::Fd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  if (!file || !base::read_up_to(file.get(), kMaxFile, text)) return first;
  stamp_ = stamp;
  known_ = parse_resolv_conf(text);
  return true;
}

}  // namespace http01::dns
