#include "doctor/app_address_text.h"

#include <algorithm>

#include "base/escape.h"

namespace http01::doctor {
namespace {

constexpr std::size_t kIdDigits = 40;  // of the app ids that dstack makes

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }
bool is_visible(char c) { return c > ' ' && c <= '~'; }

bool has(std::string_view text, bool (*is)(char)) { return std::ranges::any_of(text, is); }

std::string octet(char c) { return base::escaped(std::string_view(&c, 1), 1); }

std::string id_fault(std::string_view id) {
  if (id.empty()) return "there is no app id before the colon";
  if (id == "gateway" || id == "health" || id == "localhost") {
    return "the gateway keeps \"" + std::string(id) + "\" for itself";
  }
  if (const std::size_t hyphen = id.find('-'); hyphen == kIdDigits) {
    return "the port belongs behind the colon only, not into the app id";
  }
  if (id.find_first_of("./@") != std::string_view::npos) {
    return "what is before the colon is an address or a host name, not an app id";
  }
  const auto wrong = std::ranges::find_if_not(id, is_hex);
  if (wrong != id.end()) {
    return "the app id has \"" + octet(*wrong) + "\" in it, allowed are 0-9 and a-f";
  }
  if (id.size() != kIdDigits) {
    return "the app id has " + std::to_string(id.size()) + " characters, not " +
           std::to_string(kIdDigits);
  }
  return "the app id is not what app.id_pattern of this relay allows";
}

std::string port_fault(std::string_view port) {
  if (port.empty()) return "there is no port behind the colon";
  if (port.find(':') != std::string_view::npos) return "there is more than one colon";
  if (!std::ranges::all_of(port, is_digit)) {
    return "the port is no number";
  }
  if (port.front() == '0') return "the port is 0 or begins with 0";
  return "the port is more than 65535";
}

}  // namespace

std::string fault_of(const base::Pattern& app_id, std::string_view text) {
  if (text.empty()) return "it is empty";
  if (has(text, is_quote)) return "the quotes are part of the text";
  if (text.find(' ') != std::string_view::npos) return "there is a blank in it";
  if (const auto wrong = std::ranges::find_if_not(text, is_visible); wrong != text.end()) {
    return "there is the octet " + octet(*wrong) + " in it";
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return app_id.matches(text) ? "the port is missing" : "there is no colon and no port in it";
  }
  if (text.substr(colon).starts_with("://")) return "it is a URL, not an app address";
  // With a port that is right, what is wrong is the id.
  if (const std::string_view port = text.substr(colon + 1);
      port.empty() || port.size() > 5 || port.front() == '0' ||
      !std::ranges::all_of(port, is_digit) || (port.size() == 5 && port > "65535")) {
    return port_fault(port);
  }
  return id_fault(text.substr(0, colon));
}

std::optional<protocol::AppAddress> meant_by(const base::Pattern& app_id, std::string_view text) {
  std::string kept;
  std::ranges::copy_if(text, std::back_inserter(kept),
                       [](char c) { return is_visible(c) && !is_quote(c); });
  std::size_t colon = std::min(kept.find(':'), kept.size());
  std::string id = kept.substr(0, colon);
  std::string port = colon < kept.size() ? kept.substr(colon + 1) : "";
  port.erase(0, std::min(port.find_first_not_of("+0"), port.size()));
  // Where there is none it is the one of nearly all records.
  if (port.empty()) port = "443";
  return protocol::read_app_address(app_id, id + ":" + port);
}

}  // namespace http01::doctor
