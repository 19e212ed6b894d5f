#include "serve/announce.h"

#include <unistd.h>

#include "transport/listen.h"

namespace http01 {
namespace {

void add_name(std::string& list, const std::string& name) {
  if (!list.empty()) list += ',';
  list += name;
}

// As gateways.allow has them.
std::string allowed(const protocol::GatewayPolicy& gateways) {
  std::string list;
  for (const protocol::Name& base : gateways.bases) add_name(list, base.text());
  for (const protocol::Name& parent : gateways.wildcard_parents) {
    add_name(list, "*." + parent.text());
  }
  return list.empty() ? "none" : list;
}

}  // namespace

std::string serving_line(std::string_view version, int socket, const std::string& config_path,
                         const Config& config) {
  const protocol::GatewayPolicy& gateways = config.policy.gateways;
  std::string line = "serving version=" + std::string(version);
  line += " socket=" + transport::socket_address(socket);
  line += " config=" + config_path;
  if (::access(config_path.c_str(), F_OK) != 0) line += " (not there, the defaults hold)";
  line += " gateways=" + allowed(gateways);
  if (gateways.fallback) line += " fallback=" + gateways.fallback->text();
  if (gateways.regex) line += " allow_regex=" + gateways.regex->text();
  return line;
}

}  // namespace http01
