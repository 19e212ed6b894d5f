// The configuration, as values that the rooms above and the program read. A value.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "dns/settings.h"
#include "log/settings.h"
#include "protocol/policy.h"

namespace http01 {

struct Limits {
  std::size_t in_flight = 10'000;           // requests that wait for DNS
  std::size_t in_flight_per_client = 100;   // of one address, or one IPv6 /64
  std::size_t in_flight_per_domain = 1000;  // for names of one registrable domain
  std::size_t checks_per_client = 6;        // a minute at /check, of one network (/24, /48)
  std::size_t checks = 60;                  // a minute at /check, of all
};

// Not yet the defaults where it is not from parse_config(): gateways.allow is empty.
struct Config {
  protocol::Policy policy;
  dns::Settings dns;
  dns::CacheSettings cache;
  Limits limits;
  std::string state_file;  // service.state_file, "" for none
  LogSettings log;
  bool file_has_keys = false;  // the file sets one key at least, even if to its default
};

}  // namespace http01
