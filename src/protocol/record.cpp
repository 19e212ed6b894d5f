#include "protocol/record.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/char_set.h"
#include "protocol/name.h"

namespace http01::protocol {
namespace {

// The gateway answers for these itself, or for its own host, whatever app is asked for.
constexpr std::array<std::string_view, 3> kReservedIds{"localhost", "gateway", "health"};

constexpr base::CharSet kIdChars{base::kLowerCase, base::kDigits};

bool is_port(std::string_view text) {
  if (text.empty() || text.front() == '0') return false;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size();
}

// SPF, DMARC, DKIM and their kin all begin so.
bool is_versioned(std::string_view text) {
  return text.size() >= 2 && (text[0] == 'v' || text[0] == 'V') && text[1] == '=';
}

}  // namespace

std::optional<AppAddress> read_app_address(const base::Pattern& app_id, std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_port(text.substr(colon + 1))) return std::nullopt;
  AppAddress address{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  if (address.id.empty() || address.id.size() > Name::kMaxLabelOctets) return std::nullopt;
  if (!kIdChars.holds_all(address.id)) {
    for (char& c : address.id) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (!kIdChars.holds_all(address.id)) return std::nullopt;
  }
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
