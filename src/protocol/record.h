// The app address record: TXT "{app_id}:{port}". Pure; never throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/pattern.h"
#include "base/result.h"
#include "protocol/answer.h"

namespace http01::protocol {

struct AppAddress {
  std::string id;    // lower case, one label of [a-z0-9]
  std::string port;  // 1-65535, decimal, without "+" or zeros in front

  bool operator==(const AppAddress&) const = default;
};

// What is wrong with a text that is no app address: the first of these, in the order in which the
// text is read.
enum class AppAddressFault : std::uint8_t {
  kNoColon,
  kNoPort,
  kPortNoNumber,
  kPortZero,
  kPortTooLarge,
  kNoId,
  kIdNoLabel,   // longer than a label, or other characters than letters and digits
  kIdReserved,  // the gateway answers for it itself
  kIdPattern,   // not what the operator allows
};

// The address that a text is, exactly: no blanks, no quotes, nothing before or behind. The port is
// written as the gateway's parser takes it: "+" and zeros may stand in front of it.
base::Result<AppAddress, AppAddressFault> read_app_address(const base::Pattern& app_id,
                                                           std::string_view text);

// The address that a record is: its strings joined or, where that is no address, the first string
// alone, which is all that the gateway looks at. The failure is the joined text's.
base::Result<AppAddress, AppAddressFault> read_app_address(const base::Pattern& app_id,
                                                           const TxtRecord& record);

// A record of another kind, which a DNS wildcard lets shine through: SPF, DMARC, DKIM and their kin
// all begin so.
bool is_versioned(std::string_view text);

// What the TXT records at one name say together.
enum class RecordFault : std::uint8_t {
  kAbsent,  // none, or only somebody else's ("v=spf1 ...", which a DNS wildcard lets shine through)
  kMalformed,  // none of them is an app address
  kAmbiguous,  // two of them are, and differ
};

// Whether the port goes into the redirect. Where it does not, several ports of one app are no
// difference, and the lowest is the record's.
enum class PortUse : bool { kNone, kInTarget };

std::variant<AppAddress, RecordFault> select_app_address(const base::Pattern& app_id,
                                                         const std::vector<TxtRecord>& records,
                                                         PortUse port);

}  // namespace http01::protocol
