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

// The gateway reads it with Rust's parser of u16, which takes one "+" and any number of zeros.
base::Result<std::string, AppAddressFault> read_port(std::string_view text) {
  if (text.empty()) return base::Failure{AppAddressFault::kNoPort};
  if (text.front() == '+') text.remove_prefix(1);
  if (text.empty() || !std::ranges::all_of(text, base::is_digit)) {
    return base::Failure{AppAddressFault::kPortNoNumber};
  }
  const auto port = base::parse_number<std::uint16_t>(text);
  if (!port) return base::Failure{AppAddressFault::kPortTooLarge};
  if (*port == 0) return base::Failure{AppAddressFault::kPortZero};
  return std::to_string(*port);
}

bool is_lower(std::string_view port, std::string_view other) {
  return port.size() != other.size() ? port.size() < other.size() : port < other;
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
  auto port = read_port(text.substr(colon + 1));
  if (!port) return base::Failure{port.error()};
  AppAddress address{base::lowered(text.substr(0, colon)), std::move(*port)};
  if (const auto fault = fault_of_id(app_id, address.id)) return base::Failure{*fault};
  return address;
}

base::Result<AppAddress, AppAddressFault> read_app_address(const base::Pattern& app_id,
                                                           const TxtRecord& record) {
  auto joined = read_app_address(app_id, record.text);
  if (joined || record.strings < 2) return joined;
  auto first = read_app_address(app_id, std::string_view(record.text).substr(0, record.first_size));
  return first ? std::move(first) : std::move(joined);
}

std::variant<AppAddress, RecordFault> select_app_address(const base::Pattern& app_id,
                                                         const std::vector<TxtRecord>& records,
                                                         PortUse port) {
  std::optional<AppAddress> found;
  bool malformed = false;
  for (const TxtRecord& record : records) {
    if (is_versioned(record.text)) continue;
    auto address = read_app_address(app_id, record);
    if (!address) {
      malformed = true;
    } else if (found && (found->id != address->id ||
                         (port == PortUse::kInTarget && found->port != address->port))) {
      return RecordFault::kAmbiguous;
    } else if (!found || is_lower(address->port, found->port)) {
      found = std::move(*address);
    }
  }
  if (found) return std::move(*found);
  return malformed ? RecordFault::kMalformed : RecordFault::kAbsent;
}

}  // namespace http01::protocol
