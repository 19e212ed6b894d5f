// What a web server says of a request (CGI variables, RFC 3875 4.1), and what the relay makes of
// it: the Host of RFC 9110 7.2 and the target of RFC 9112 3.2, sorted into the few kinds that
// matter. Pure; never throws, whatever the octets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/name.h"
#include "protocol/policy.h"
#include "protocol/reason.h"

namespace http01::protocol {

// The CGI variables that count, as sent, any octets. No other variable is ever looked at.
struct RawRequest {
  std::string method;           // REQUEST_METHOD
  std::string uri;              // REQUEST_URI
  std::string host;             // HTTP_HOST, "" where there is none
  std::string client;           // REMOTE_ADDR
  bool https = false;           // HTTPS is "on" or "1": the web server spoke TLS
  bool body_too_large = false;  // more than kMaxBody octets
  bool overloaded = false;      // given up before all of it had come, for want of room

  static constexpr std::size_t kMaxBody = std::size_t{64} * 1024;
};

enum class HostKind : std::uint8_t {
  kBad,
  kRelay,   // the relay itself: an IP literal, a single label, or one of service.hosts
  kDomain,  // a domain whose app address record can be asked for
};

struct Host {
  HostKind kind = HostKind::kBad;
  Name name;            // of a kDomain
  bool listed = false;  // a name of service.hosts, an address never is
  std::string text;     // lower case, without port and final dot; "" for kBad
  std::string port;     // ":8081" as sent, or ""
};

// The Host header's value, sorted.
Host read_host(const Policy& policy, std::string_view value);

enum class PathKind : std::uint8_t {
  kChallenge,
  kHealth,
  kReady,
  kMetrics,
  kIndex,
  kCheck,
  kOther
};
// As log and counters name it, never as a request has it: "/health",
// "/.well-known/acme-challenge/*".
std::string_view to_string(PathKind kind);

inline constexpr std::string_view kChallengePrefix =
    "/.well-known/acme-challenge/";  // RFC 8555 8.3

struct Request {
  static constexpr std::size_t kMaxTarget =
      2000;  // octets of path and query: what Boulder would follow

  // kOverloaded, kBadHost, kTooLarge, kNotFound, kBadPath or kTooLong, else nothing.
  std::optional<Reason> fault;
  Host host;
  std::string sent_host;  // the Host as sent, cut: for the log, nothing else may use it
  std::string method;
  PathKind kind = PathKind::kOther;
  std::string target;  // path and query as sent, without fragment; cut where there is a fault
  std::size_t path_size = 0;  // where the path ends in it
  std::string client;
  bool https = false;
  // For /ready: a label that nobody has asked a resolver for. The relay fills it in.
  std::string unknown_label;

  std::string_view path() const { return std::string_view(target).substr(0, path_size); }
  // With its "?", or "".
  std::string_view query() const { return std::string_view(target).substr(path_size); }
  // Of a kChallenge: what follows the prefix, any visible octets.
  std::string_view token() const { return path().substr(kChallengePrefix.size()); }
  bool is_head() const { return method == "HEAD"; }
};

// 1-128 of [A-Za-z0-9_-]: any base64url token, and the short ones that debuggers use.
bool is_token(std::string_view text);

Request read_request(const Policy& policy, const RawRequest& raw);

}  // namespace http01::protocol
