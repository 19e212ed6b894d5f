// The words that log and metrics use for what a request is. Label values come from here only, never
// from a request.
#pragma once

#include <string_view>

#include "protocol/request.h"

namespace http01 {

inline std::string_view word(protocol::PathKind kind) {
  switch (kind) {
    case protocol::PathKind::kChallenge:
      return "/.well-known/acme-challenge/*";
    case protocol::PathKind::kHealth:
      return "/health";
    case protocol::PathKind::kReady:
      return "/ready";
    case protocol::PathKind::kMetrics:
      return "/metrics";
    case protocol::PathKind::kIndex:
      return "/";
    case protocol::PathKind::kCheck:
      return "/check";
    case protocol::PathKind::kOther:
      return "/*";
  }
  return "/*";
}

}  // namespace http01
