// The name servers of the machine: the nameserver lines of resolv.conf(5), "options use-vc", and
// whether they have changed. Everything else in that file is for resolvers that complete names,
// which is not done here. One thread; never throws: what cannot be read is the local machine.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ip_address.h"

namespace http01::dns {

struct MachineServers {
  std::vector<base::Endpoint> servers;  // one at least
  bool tcp_alone = false;               // options use-vc
};

// Lines that are none, or name no address, are skipped. Without any: 127.0.0.1.
MachineServers parse_resolv_conf(std::string_view text);

class ResolvConf {
 public:
  explicit ResolvConf(std::string path) : path_(std::move(path)) {}

  // Looks at the file at most once a second. True if servers() may have changed, and at first. A
  // file that is not there is taken to be on its way: what was read before stays.
  bool refresh(base::TimePoint now);
  // Looks now. For a reload, which may come right after the change.
  bool read(base::TimePoint now);
  const std::vector<base::Endpoint>& servers() const { return known_.servers; }
  bool tcp_alone() const { return known_.tcp_alone; }

 private:
  struct Stamp {
    ino_t inode;
    off_t size;
    std::int64_t seconds;
    std::int64_t nanoseconds;
    bool operator==(const Stamp&) const = default;
  };

  std::string path_;
  std::optional<base::TimePoint> looked_;
  std::optional<Stamp> stamp_;
  MachineServers known_;
};

}  // namespace http01::dns
