// The limits of requests that wait for the DNS: of all, of one client, of one site of clients, of
// one registrable domain.
// One thread; throws std::bad_alloc only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "base/keyed_hash.h"
#include "config/config.h"
#include "protocol/limit.h"
#include "protocol/request.h"

namespace http01 {

// The addresses that count as one client, from REMOTE_ADDR; "" for what is no address ("unix:",
// where another proxy is before the web server). Such a request counts for no client, but for all
// and for its domain.
std::string client_key(std::string_view client);

class Admission {
 public:
  // Whoever has an IPv6 /48 has 65 536 networks that count as one client each. Together they may
  // have so many times what one may.
  static constexpr std::size_t kClientsOfSite = 10;

  // What a request is counted by while it waits. Of one for the relay's own host there is no
  // domain.
  struct Admitted {
    std::string client;
    std::string site;  // of IPv6
    std::string domain;
  };

  // The limit that is reached, if one is. What is admitted is released once.
  std::variant<Admitted, protocol::Limit> admit(const Limits& limits,
                                                const protocol::Request& request);
  void release(const Admitted& admitted);

 private:
  using Counts = std::unordered_map<std::string, std::size_t, base::KeyedHash>;

  static std::size_t count_of(const Counts& counts, const std::string& key);
  static void count(Counts& counts, const std::string& key);
  static void uncount(Counts& counts, const std::string& key);

  std::size_t waiting_ = 0;
  Counts per_client_ = Counts(0, base::KeyedHash::of_process());
  Counts per_site_ = Counts(0, base::KeyedHash::of_process());
  Counts per_domain_ = Counts(0, base::KeyedHash::of_process());
};

}  // namespace http01
