// The limits of requests that wait for the DNS: of all, of one client, of one registrable domain.
// One thread; throws std::bad_alloc only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/config.h"
#include "protocol/request.h"

namespace http01 {

// The addresses that count as one client, from REMOTE_ADDR; "" for what is no address ("unix:",
// where another proxy is before the web server). Such a request counts for no client, but for all
// and for its domain.
std::string client_key(std::string_view client);

class Admission {
 public:
  // What a request is counted by while it waits. Of one for the relay's own host there is no
  // domain.
  struct Admitted {
    std::string client;
    std::string domain;
  };

  // Nothing where a limit is reached. What is admitted is released once.
  std::optional<Admitted> admit(const Limits& limits, const protocol::Request& request);
  void release(const Admitted& admitted);

 private:
  std::size_t waiting_ = 0;
  std::unordered_map<std::string, std::size_t> per_client_;
  std::unordered_map<std::string, std::size_t> per_domain_;
};

}  // namespace http01
