// What the dns floor is told by the configuration. A value.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "base/ip_address.h"

namespace http01::dns {

struct Settings {
  std::vector<base::Endpoint> servers;       // empty: the nameserver lines of /etc/resolv.conf
  std::chrono::milliseconds timeout{1000};   // of one try
  std::size_t attempts = 3;                  // tries of one look-up, next server first
  std::chrono::milliseconds deadline{4000};  // of one request; the last try waits until then
  bool tcp_alone = false;                    // those servers are never asked over UDP
  bool checking = true;                      // false: also what a validating resolver holds back
};

struct CacheSettings {
  std::size_t entries = 100'000;
  std::chrono::seconds max_ttl{60};
  std::chrono::seconds negative_ttl{10};

  bool operator==(const CacheSettings&) const = default;
};

}  // namespace http01::dns
