// A configuration file of any octets. One that is accepted is printed as a file that says the same.

#include "config/load.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

std::optional<std::string> nothing(const char*) { return std::nullopt; }

bool is_one_line(std::string_view text) {
  return text.find_first_of("\r\n") == std::string_view::npos;
}

FUZZ_TARGET(config, text) {
  const auto config = parse_config(text, "f", nothing);
  if (!config) {
    require(!config.error().empty(), "refused without a fault");
    for (const std::string& fault : config.error()) {
      require(fault.starts_with("f:"), "a fault without its place");
      require(is_one_line(fault), "a fault of several lines");
    }
    return;
  }
  const std::string printed = to_toml(*config);
  const auto again = parse_config(printed, "printed", nothing);
  require(bool(again), again ? "" : again.error().front() + " in\n" + printed);
  require(to_toml(*again) == printed, "reads back as something else:\n" + printed);
  require(protocol::is_redirect(config->policy.redirect_status), "a redirect that is none");
  require(!config->policy.gateways.regex ||
              config->policy.gateways.capture_group <= config->policy.gateways.regex->groups(),
          "a capture group that does not exist");
}

}  // namespace
}  // namespace http01::fuzz
