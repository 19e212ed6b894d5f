#include "doctor/app_address_text.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/escape.h"

namespace http01::doctor {

using protocol::AppAddressFault;

namespace {

constexpr std::size_t kIdDigits = 40;  // of the app ids that dstack makes

bool is_hex(char c) { return base::hex_value(c) >= 0; }
bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }

std::string octet(char c) { return base::escaped(std::string_view(&c, 1), 1); }

// Of an id that is no label or not what the operator allows: what people write instead.
std::string explain_id(std::string_view id) {
  if (id.find('-') == kIdDigits) {
    return "the port belongs behind the colon only, not into the app id";
  }
  if (id.find_first_of("./@") != std::string_view::npos) {
    return "what is before the colon is an address or a host name, not an app id";
  }
  if (const auto wrong = std::ranges::find_if_not(id, is_hex); wrong != id.end()) {
    return "the app id has \"" + octet(*wrong) + "\" in it, allowed are 0-9 and a-f";
  }
  if (id.size() != kIdDigits) {
    return "the app id has " + std::to_string(id.size()) + " characters, not " +
           std::to_string(kIdDigits);
  }
  return "the app id is not what app.id_pattern of this relay allows";
}

}  // namespace

std::string explain_fault(AppAddressFault fault, const base::Pattern& app_id,
                          std::string_view text) {
  // What a person sees first, whatever the parser met first.
  if (text.empty()) return "it is empty";
  if (std::ranges::any_of(text, is_quote)) return "the quotes are part of the text";
  if (text.find(' ') != std::string_view::npos) return "there is a blank in it";
  if (const auto wrong = std::ranges::find_if_not(text, base::is_visible); wrong != text.end()) {
    return "there is the octet " + octet(*wrong) + " in it";
  }
  const std::size_t colon = std::min(text.find(':'), text.size());
  if (text.substr(colon).starts_with("://")) return "it is a URL, not an app address";
  const std::string_view id = text.substr(0, colon);
  switch (fault) {
    case AppAddressFault::kNoColon:
      return app_id.matches(text) ? "the port is missing" : "there is no colon and no port in it";
    case AppAddressFault::kNoPort:
      return "there is no port behind the colon";
    case AppAddressFault::kPortNoNumber:
      return text.find(':', colon + 1) == std::string_view::npos ? "the port is no number"
                                                                 : "there is more than one colon";
    case AppAddressFault::kPortZero:
      return "the port is 0";
    case AppAddressFault::kPortTooLarge:
      return "the port is more than 65535";
    case AppAddressFault::kNoId:
      return "there is no app id before the colon";
    case AppAddressFault::kIdReserved:
      return "the gateway keeps \"" + std::string(id) + "\" for itself";
    case AppAddressFault::kIdNoLabel:
    case AppAddressFault::kIdPattern:
      return explain_id(id);
  }
  return {};
}

std::optional<protocol::AppAddress> meant_by(const base::Pattern& app_id, std::string_view text) {
  std::string kept;
  std::ranges::copy_if(text, std::back_inserter(kept),
                       [](char c) { return base::is_visible(c) && !is_quote(c); });
  std::size_t colon = std::min(kept.find(':'), kept.size());
  std::string id = kept.substr(0, colon);
  std::string port = colon < kept.size() ? kept.substr(colon + 1) : "";
  port.erase(0, std::min(port.find_first_not_of("+0"), port.size()));
  // Where there is none it is the one of nearly all records.
  if (port.empty()) port = "443";
  auto address = protocol::read_app_address(app_id, id + ":" + port);
  if (!address) return std::nullopt;
  return std::move(*address);
}

}  // namespace http01::doctor
