#include "protocol/record.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "base/ascii.h"
#include "base/char_set.h"
#include "protocol/name.h"

namespace http01::protocol {
namespace {

// The gateway answers for these itself, or for its own host, whatever app is asked for.
constexpr std::array<std::string_view, 3> kReservedIds{"localhost", "gateway", "health"};

constexpr base::CharSet kIdChars{base::kLowerCase, base::kDigits};

std::optional<AppAddressFault> fault_of_port(std::string_view text) {
  if (text.empty()) return AppAddressFault::kNoPort;
  if (!std::ranges::all_of(text, base::is_digit)) return AppAddressFault::kPortNoNumber;
  if (text.front() == '0') return AppAddressFault::kPortZero;
  if (!base::parse_number<std::uint16_t>(text)) return AppAddressFault::kPortTooLarge;
  return std::nullopt;
}

std::optional<AppAddressFault> fault_of_id(const base::Pattern& app_id, std::string_view id) {
  if (id.empty()) return AppAddressFault::kNoId;
  if (id.size() > Name::kMaxLabelOctets || !kIdChars.holds_all(id)) {
    return AppAddressFault::kIdNoLabel;
  }
  if (std::ranges::find(kReservedIds, id) != kReservedIds.end())
    return AppAddressFault::kIdReserved;
  if (!app_id.matches(id)) return AppAddressFault::kIdPattern;
  return std::nullopt;
}

}  // namespace

bool is_versioned(std::string_view text) {
  return text.starts_with("v=") || text.starts_with("V=");
}

base::Result<AppAddress, AppAddressFault> read_app_address(const base::Pattern& app_id,
                                                           std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return base::Failure{AppAddressFault::kNoColon};
  const std::string_view port = text.substr(colon + 1);
  AppAddress address{base::lowered(text.substr(0, colon)), std::string(port)};
  auto fault = fault_of_port(port);
  if (!fault) fault = fault_of_id(app_id, address.id);
  if (fault) return base::Failure{*fault};
  return address;
}

std::variant<AppAddress, RecordFault> select_app_address(const base::Pattern& app_id,
                                                         const std::vector<TxtRecord>& records) {
  std::optional<AppAddress> found;
  bool malformed = false;
  for (const TxtRecord& record : records) {
    if (is_versioned(record.text)) continue;
    auto address = read_app_address(app_id, record.text);
    if (!address) {
      malformed = true;
    } else if (found && *found != *address) {
      return RecordFault::kAmbiguous;
    } else {
      found = std::move(*address);
    }
  }
  if (found) return std::move(*found);
  return malformed ? RecordFault::kMalformed : RecordFault::kAbsent;
}

}  // namespace http01::protocol
