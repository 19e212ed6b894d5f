// What came of going a CA's way over the network: one GET at each address, and what it brought.
// Plain values.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip_address.h"

namespace http01::doctor {

struct ProbeResult {
  std::string url;
  base::IpAddress address;
  std::string error{};  // why there is no answer; "" where there is one
  bool tls_failed = false;
  int status = 0;
  std::string location{};  // as sent, any octets
  std::string reason{};    // X-Relay-Reason: this relay, or one like it, has answered
  std::string server{};    // the Server header, as sent
  std::size_t body_octets = 0;
  bool body_cut = false;  // there was more
  base::Duration took{};
};

struct Probe {
  bool done = false;
  std::string path;                  // with its random token
  std::vector<ProbeResult> domain;   // http://{domain}{path} at each of its addresses
  std::vector<ProbeResult> gateway;  // the redirect, at each address of its host
};

}  // namespace http01::doctor
