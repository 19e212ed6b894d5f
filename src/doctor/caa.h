// Whether CAA records let a CA issue (RFC 8659), and let it use HTTP-01 for it (RFC 8657). Pure;
// never throws, whatever the octets.
#pragma once

#include <string>
#include <vector>

#include "doctor/evidence.h"

namespace http01::doctor {

// For the domain and every name above it, the nearest first: a CA asks for them all.
std::vector<protocol::Question> caa_questions(const protocol::Name& domain);

enum class CaaVerdict : std::uint8_t {
  kOpen,  // no record restricts anybody
  kAllowed,
  kAccount,    // for the accounts named only
  kForbidden,  // another CA, or none
  kMethod,     // this CA, but not by HTTP-01
  kCritical,   // a critical property that no CA knows
  kFailure,    // a CA takes the lack of an answer for a no
};

struct CaaResult {
  CaaVerdict verdict = CaaVerdict::kOpen;
  protocol::Name at{};                         // whose records count, or whose answer is missing
  std::vector<protocol::Name> aliases{};       // from there to where they stand
  std::vector<protocol::CaaRecord> records{};  // those that count
  std::vector<std::string> accounts{};         // of kAccount, as they stand there
  bool issuewild_would = false;                // issuewild names the CA, issue does not
};

CaaResult evaluate_caa(const Evidence& evidence);

}  // namespace http01::doctor
