#include "config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/ascii.h"
#include "base/fd.h"
#include "base/posix.h"
#include "config/environment.h"
#include "config/guess.h"
#include "config/keys.h"
#include "config/toml.h"
#include "config/values.h"
#include "protocol/gateway.h"

namespace http01 {
namespace {

using base::Failure;
using base::Result;

constexpr const char* kDefaultPath = "/etc/http01-relay/http01-relay.toml";

// A deny list of some ten thousand names; what is larger is another file.
constexpr std::size_t kMaxFileOctets = 1'048'576;

// "dns", but in quotes what is no bare key.
std::string key_text(const std::string& key) {
  const bool bare = !key.empty() && key.size() <= 64 && std::ranges::all_of(key, [](char c) {
    const char lower = base::to_lower(c);
    return (lower >= 'a' && lower <= 'z') || base::is_digit(c) || c == '_' || c == '-';
  });
  return bare ? key : in_quotes(key);
}

// One reading of a file and the environment.
class Reading {
 public:
  Reading(std::string file, const Environment& environment)
      : file_(std::move(file)), environment_(environment) {}

  void read_file(std::string_view text);
  void read_environment() { apply_environment(environment_, config_, environment_faults_); }
  // Once both are read: what only shows in several keys together.
  void check();

  // In the order of the file, then the environment's.
  Result<Config, ConfigFaults> finish();

 private:
  struct Fault {
    Place place;
    std::string text;
  };

  void read_table(const FileValue& table);
  void check_allow();
  void check_capture_group();
  void check_target();
  void check_files();

  void add(Place place, const std::string& key, const std::string& what) {
    faults_.push_back({place, key + ": " + what});
  }
  // Of a key or variable, by how its faults begin.
  bool has_fault(std::string_view beginning) const {
    const auto begins = [&](const std::string& text) { return text.starts_with(beginning); };
    return std::ranges::any_of(faults_, begins, &Fault::text) ||
           std::ranges::any_of(environment_faults_, begins);
  }
  const FileValue* find(std::string_view table, std::string_view name) const {
    const FileValue* found = root_.find(table);
    return found == nullptr ? nullptr : found->find(name);
  }
  // Something stands there, be it right or wrong.
  bool is_given(std::string_view table, std::string_view name) const {
    const FileValue* value = find(table, name);
    return value != nullptr && (!value->text.empty() || !value->items.empty());
  }

  std::string file_;
  const Environment& environment_;
  FileValue root_;
  Config config_;
  std::vector<Fault> faults_;
  ConfigFaults environment_faults_;
};

void Reading::read_file(std::string_view text) {
  auto root = parse_toml(text);
  if (!root) {
    add(root.error().place, "syntax", printable(root.error().message));
    return;
  }
  root_ = std::move(*root);
  const std::vector<std::string> tables = config_tables();
  for (const FileValue& item : root_.items) {
    const bool known = std::ranges::find(tables, item.key) != tables.end();
    if (known && item.type == FileValue::Type::kTable) {
      read_table(item);
    } else if (known) {
      add(item.place, item.key,
          std::string("is ") + describe(item.type) + ", allowed is a table, [" + item.key + "]");
    } else if (item.type == FileValue::Type::kTable) {
      add(item.key_place, key_text(item.key), unknown_table(item.key));
    } else {
      add(item.key_place, key_text(item.key), unknown_key("", item.key));
    }
  }
}

void Reading::read_table(const FileValue& table) {
  for (const FileValue& item : table.items) {
    const auto& keys = config_keys();
    const auto key = std::ranges::find_if(keys, [&](const ConfigKey& known) {
      return known.table == table.key && known.name == item.key;
    });
    const std::string name = table.key + "." + key_text(item.key);
    if (key == keys.end()) {
      add(item.key_place, name, unknown_key(table.key, item.key));
      continue;
    }
    // A table's head without a line below it sets nothing.
    if (!key->is_table || !item.items.empty()) config_.file_has_keys = true;
    Problems problems;
    key->read(item, config_, problems);
    for (const Problem& problem : problems) add(problem.place, name, problem.text);
  }
}

void Reading::check() {
  check_allow();
  check_capture_group();
  check_target();
  check_files();
}

void Reading::check_allow() {
  auto& gateways = config_.policy.gateways;
  const FileValue* allow = find("gateways", "allow");
  const bool regex = is_given("gateways", "allow_regex") || is_set(environment_, kRegexVariable);
  if (allow == nullptr) {
    // A pattern that is the only thing set is the only thing that counts.
    if (!regex) gateways.wildcard_parents = {*protocol::Name::from_text("phala.network")};
    return;
  }
  const bool other_ways = regex || is_given("gateways", "aliases") ||
                          is_given("gateways", "fallback") ||
                          is_set(environment_, kFallbackVariable);
  if (allow->type == FileValue::Type::kArray && allow->items.empty() && !other_ways &&
      config_.policy.target.needs_gateway()) {
    add(allow->place, "gateways.allow",
        "is empty, and so are allow_regex, aliases and fallback: no domain could ever have a "
        "gateway, "
        "allowed is at least one of them");
  }
}

void Reading::check_capture_group() {
  const auto& gateways = config_.policy.gateways;
  const std::string file_key = "gateways.capture_group";
  if (!gateways.regex || gateways.capture_group <= gateways.regex->groups() ||
      has_fault(file_key) || has_fault(environment_fault(kCaptureGroupVariable, ""))) {
    return;
  }
  std::string what = "there is no group " + std::to_string(gateways.capture_group) + " in " +
                     in_quotes(gateways.regex->text()) + ", allowed is 0, the whole match";
  if (gateways.regex->groups() > 0) what += ", to " + std::to_string(gateways.regex->groups());
  const FileValue* group = find("gateways", "capture_group");
  const FileValue* regex = find("gateways", "allow_regex");
  if (is_set(environment_, kCaptureGroupVariable)) {
    environment_faults_.push_back(environment_fault(kCaptureGroupVariable, what));
  } else if (is_set(environment_, kRegexVariable)) {
    environment_faults_.push_back(environment_fault(kRegexVariable, what));
  } else if (group != nullptr) {
    add(group->place, file_key, what);
  } else if (regex != nullptr) {
    add(regex->place, file_key, what);
  }
}

// The relay has port 80 of its own names and of the gateways': a redirect there would be refused by
// the relay itself, as gateway-name or not-found.
void Reading::check_target() {
  const FileValue* target = find("redirect", "target");
  const protocol::Policy& policy = config_.policy;
  const auto host = policy.target.port_80_host();
  if (target == nullptr || !host) return;
  const bool own = std::ranges::find(policy.relay_hosts, host->text()) != policy.relay_hosts.end();
  if (!own && !protocol::is_gateway_name(policy.gateways, *host)) return;
  add(target->place, "redirect.target",
      in_quotes(policy.target.text()) + " is refused: must begin with https://: port 80 of " +
          (own ? "a name in service.hosts" : "a gateway's names") + " leads back to the relay");
}

void Reading::check_files() {
  const FileValue* target = find("log", "target");
  if (target == nullptr || config_.state_file.empty() || config_.log.target != config_.state_file) {
    return;
  }
  add(target->place, "log.target", "is service.state_file too, allowed is another file");
}

Result<Config, ConfigFaults> Reading::finish() {
  if (faults_.empty() && environment_faults_.empty()) return std::move(config_);
  std::ranges::stable_sort(faults_, {}, &Fault::place);
  ConfigFaults lines;
  for (const Fault& fault : faults_) {
    lines.push_back(file_ + ":" + std::to_string(fault.place.line) + ":" +
                    std::to_string(fault.place.column) + ": " + fault.text);
  }
  std::ranges::move(environment_faults_, std::back_inserter(lines));
  return Failure{std::move(lines)};
}

struct ReadFault {
  std::string text;
  bool missing = false;
};

Failure<ReadFault> last_error() {
  return {{"cannot be read: " + base::error_text(errno), errno == ENOENT || errno == ENOTDIR}};
}

enum class Reads { kFirst, kAgain };

// The file's text, or the reason why there is none.
Result<std::string, ReadFault> read_text(const std::string& path, Reads reads) {
  // To open a pipe waits for whoever writes it, which is right at the start and nowhere else.
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (reads == Reads::kAgain ? O_NONBLOCK : 0);
  const base::Fd fd(::open(path.c_str(), flags));
  if (!fd) return last_error();
  struct stat file {};
  if (reads == Reads::kAgain && ::fstat(fd.get(), &file) == 0 && !S_ISREG(file.st_mode)) {
    return Failure{ReadFault{"cannot be read again: not a regular file"}};
  }
  std::string text;
  if (!base::read_up_to(fd.get(), kMaxFileOctets + 1, text)) return last_error();
  if (text.size() <= kMaxFileOctets) return text;
  return Failure{ReadFault{"cannot be read: File too large, allowed is 1 MB"}};
}

Result<Config, ConfigFaults> load(const std::string& option, const Environment& environment,
                                  Reads reads, bool needs_keys) {
  const std::string path = config_path(option, environment);
  const bool may_be_missing =
      !needs_keys && option.empty() && !is_set(environment, "HTTP01_RELAY_CONFIG");

  const auto text = read_text(path, reads);
  if (text) {
    auto config = parse_config(text.value(), path, environment);
    if (!config || !needs_keys || config->file_has_keys) return config;
    return Failure{
        ConfigFaults{path +
                     ": has no settings, and the running configuration has some; to go back to the "
                     "defaults, restart the relay"}};
  }
  auto of_environment = parse_config("", path, environment);
  if (may_be_missing && text.error().missing) return of_environment;
  ConfigFaults faults{path + ": " + text.error().text};
  if (!of_environment)
    faults.insert(faults.end(), of_environment.error().begin(), of_environment.error().end());
  return Failure{std::move(faults)};
}

}  // namespace

std::string config_path(const std::string& option, const Environment& environment) {
  if (!option.empty()) return option;
  const auto named = environment("HTTP01_RELAY_CONFIG");
  return named && !named->empty() ? *named : kDefaultPath;
}

Result<Config, ConfigFaults> load_config(const std::string& option,
                                         const Environment& environment) {
  return load(option, environment, Reads::kFirst, false);
}

Result<Config, ConfigFaults> reload_config(const std::string& option,
                                           const Environment& environment, const Config& running) {
  return load(option, environment, Reads::kAgain, running.file_has_keys);
}

Result<Config, ConfigFaults> parse_config(std::string_view text, const std::string& file,
                                          const Environment& environment) {
  Reading reading(file, environment);
  reading.read_file(text);
  reading.read_environment();
  reading.check();
  return reading.finish();
}

std::string to_toml(const Config& config) {
  std::string out;
  std::string_view table;
  for (const ConfigKey& key : config_keys()) {
    if (key.is_table) {
      out += "[" + key.full_name() + "]\n" + key.write(config);
      continue;
    }
    if (key.table != table) {
      if (!out.empty()) out += '\n';
      table = key.table;
      out += "[" + std::string(table) + "]\n";
    }
    out += std::string(key.name) + " = " + key.write(config) + "\n";
  }
  return out;
}

}  // namespace http01
