#include "protocol/record.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ascii.h"
#include "base/char_set.h"
#include "protocol/name.h"

namespace http01::protocol {
namespace {

// The gateway answers for these itself, or for its own host, whatever app is asked for.
constexpr std::array<std::string_view, 3> kReservedIds{"localhost", "gateway", "health"};

constexpr base::CharSet kIdChars{base::kLowerCase, base::kDigits};

bool is_port(std::string_view text) {
  return !text.starts_with('0') && base::parse_number<std::uint16_t>(text).has_value();
}

}  // namespace

bool is_versioned(std::string_view text) {
  return text.starts_with("v=") || text.starts_with("V=");
}

std::optional<AppAddress> read_app_address(const base::Pattern& app_id, std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_port(text.substr(colon + 1))) return std::nullopt;
  AppAddress address{base::lowered(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  if (address.id.empty() || address.id.size() > Name::kMaxLabelOctets) return std::nullopt;
  if (!kIdChars.holds_all(address.id)) return std::nullopt;
  if (std::ranges::find(kReservedIds, address.id) != kReservedIds.end()) return std::nullopt;
  if (!app_id.matches(address.id)) return std::nullopt;
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
      found = std::move(address);
    }
  }
  if (found) return std::move(*found);
  return malformed ? RecordFault::kMalformed : RecordFault::kAbsent;
}

}  // namespace http01::protocol
