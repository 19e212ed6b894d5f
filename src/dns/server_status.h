// What became of one query to one name server, which may be one of several that a look-up has sent.
// The words are those of the counters. Pure; never throws.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/enum.h"
#include "protocol/answer.h"

namespace http01::dns {

enum class ServerStatus : std::uint8_t {
  kData,  // the first four as protocol::Outcome has them
  kNoData,
  kNxDomain,
  kLoop,
  kFailure,      // SERVFAIL, REFUSED, nonsense
  kTruncated,    // to be asked again over TCP
  kNoEdns,       // to be asked again without EDNS
  kForged,       // too many answers with wrong ids
  kTimeout,      // nothing came in time
  kRefused,      // nothing listens there
  kUnreachable,  // there is no way to it
  kError,        // the socket failed otherwise; a TCP connection was closed without an answer
};

inline constexpr base::EnumWords<ServerStatus> kServerStatuses{{{
    {ServerStatus::kData, "data"},
    {ServerStatus::kNoData, "nodata"},
    {ServerStatus::kNxDomain, "nxdomain"},
    {ServerStatus::kLoop, "loop"},
    {ServerStatus::kFailure, "failure"},
    {ServerStatus::kTruncated, "truncated"},
    {ServerStatus::kNoEdns, "no-edns"},
    {ServerStatus::kForged, "forged"},
    {ServerStatus::kTimeout, "timeout"},
    {ServerStatus::kRefused, "refused"},
    {ServerStatus::kUnreachable, "unreachable"},
    {ServerStatus::kError, "error"},
}}};

constexpr ServerStatus status_of(protocol::Outcome outcome) {
  switch (outcome) {
    case protocol::Outcome::kData:
      return ServerStatus::kData;
    case protocol::Outcome::kNoData:
      return ServerStatus::kNoData;
    case protocol::Outcome::kNxDomain:
      return ServerStatus::kNxDomain;
    case protocol::Outcome::kLoop:
      return ServerStatus::kLoop;
    case protocol::Outcome::kFailure:
    case protocol::Outcome::kTimeout:
    case protocol::Outcome::kOverloaded:
      break;
  }
  return ServerStatus::kFailure;
}

constexpr ServerStatus status_of(protocol::Cause cause) {
  if (cause == protocol::Cause::kConnectionRefused) return ServerStatus::kRefused;
  if (cause == protocol::Cause::kUnreachable) return ServerStatus::kUnreachable;
  return ServerStatus::kError;
}

// Of the server, whatever it said.
constexpr bool is_answer(ServerStatus status) {
  switch (status) {
    case ServerStatus::kForged:
    case ServerStatus::kTimeout:
    case ServerStatus::kRefused:
    case ServerStatus::kUnreachable:
    case ServerStatus::kError:
      return false;
    case ServerStatus::kData:
    case ServerStatus::kNoData:
    case ServerStatus::kNxDomain:
    case ServerStatus::kLoop:
    case ServerStatus::kFailure:
    case ServerStatus::kTruncated:
    case ServerStatus::kNoEdns:
      return true;
  }
  return false;
}

}  // namespace http01::dns
