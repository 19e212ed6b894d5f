#include "config/keys.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "config/kinds.h"
#include "config/values.h"
#include "metrics/recent_checks.h"

namespace http01 {
namespace {

using base::Failure;
using base::Result;
using protocol::Name;
using protocol::OtherPaths;

std::string same(const std::string& text) { return text; }
std::string name_text(const Name& name) { return name.text(); }

template <class At>
ConfigKey optional_domain(std::string_view table, std::string_view name, AllowsMore more, At at) {
  return text(
      table, name, more, at,
      [](std::string_view text) -> Result<std::optional<Name>> {
        if (text.empty()) return std::optional<Name>();
        auto domain = parse_domain(text);
        if (!domain) return Failure{domain.error() + ", or \"\" for none"};
        return std::optional<Name>(std::move(*domain));
      },
      [](const std::optional<Name>& domain) { return domain ? domain->text() : std::string(); });
}

void read_allow(const FileValue& value, Config& config, Problems& problems) {
  auto& gateways = config.policy.gateways;
  gateways.bases.clear();
  gateways.wildcard_parents.clear();
  each_text(value, problems, [&](std::string_view text, const FileValue& item) {
    const bool wildcard = text.starts_with("*.");
    auto name = wildcard ? parse_suffix(text.substr(2)) : parse_domain(text);
    if (name) {
      (wildcard ? gateways.wildcard_parents : gateways.bases).push_back(std::move(*name));
    } else {
      problems.push_back(
          {item.place,
           in_quotes(text) +
               " is no base domain, allowed are names such as "
               "\"dstack-prod5.phala.network\", and \"*.phala.network\" for all one label below"});
    }
  });
}

std::vector<std::string> list_allow(const Config& config) {
  std::vector<std::string> texts;
  for (const Name& base : config.policy.gateways.bases) texts.push_back(base.text());
  for (const Name& parent : config.policy.gateways.wildcard_parents)
    texts.push_back("*." + parent.text());
  return texts;
}

std::string write_allow(const Config& config) { return toml_list(list_allow(config)); }

void read_aliases(const FileValue& value, Config& config, Problems& problems) {
  if (value.type != FileValue::Type::kTable) {
    add_wrong_type(value, "a table, [gateways.aliases], with lines \"name\" = \"base\"", problems);
    return;
  }
  auto& aliases = config.policy.gateways.aliases;
  for (const FileValue& item : value.items) {
    if (item.type == FileValue::Type::kTable) {
      problems.push_back(
          {item.key_place, in_quotes(item.key) +
                               " is a table, allowed are lines \"name\" = \"base\" with the "
                               "name in quotes, because it has dots"});
      continue;
    }
    auto target = parse_domain(item.key);
    if (!target) problems.push_back({item.key_place, target.error()});
    const std::string* text = text_of(item, problems);
    if (text == nullptr) continue;
    auto base = parse_domain(*text);
    if (!base) problems.push_back({item.place, base.error()});
    if (!target || !base) continue;
    if (std::ranges::find(aliases, *target, &std::pair<Name, Name>::first) != aliases.end()) {
      problems.push_back({item.key_place,
                          in_quotes(item.key) + " is there twice, allowed is one base for a name"});
      continue;
    }
    aliases.emplace_back(std::move(*target), std::move(*base));
  }
}

std::string write_aliases(const Config& config) {
  std::string lines;
  for (const auto& [target, base] : config.policy.gateways.aliases) {
    lines += toml_string(target.text()) + " = " + toml_string(base.text()) + "\n";
  }
  return lines;
}

std::vector<std::string> list_aliases(const Config& config) {
  std::vector<std::string> lines;
  for (const auto& [target, base] : config.policy.gateways.aliases) {
    lines.push_back(target.text() + " = " + base.text());
  }
  return lines;
}

Result<std::optional<base::Pattern>> parse_allow_regex(std::string_view text) {
  if (text.empty()) return std::optional<base::Pattern>();
  auto pattern = parse_pattern(text);
  if (!pattern) return Failure{pattern.error()};
  return std::optional<base::Pattern>(std::move(*pattern));
}

Result<base::Pattern> parse_id_pattern(std::string_view text) {
  if (text.empty())
    return Failure{
        std::string("\"\" matches no app_id, allowed is a pattern such as \"[0-9a-f]{40}\"")};
  return parse_pattern(text);
}

Result<protocol::TargetTemplate> parse_target(std::string_view text) {
  auto target = protocol::TargetTemplate::parse(text);
  if (target) return target;
  return Failure{in_quotes(text) + " is refused: " + target.error()};
}

// Other than 303, which turns every method into GET (RFC 9110 15.4.4) and which no CA follows.
void read_status(const FileValue& value, Config& config, Problems& problems) {
  std::string allowed;
  for (const auto& row : protocol::kHttpStatuses) {
    if (!protocol::is_redirect(row.id)) continue;
    allowed += (allowed.empty() ? "one of " : ", ") + std::to_string(row.code);
  }
  if (value.type != FileValue::Type::kInteger) {
    add_wrong_type(value, allowed, problems);
    return;
  }
  const auto status = protocol::http_status(value.integer);
  if (status && protocol::is_redirect(*status)) {
    config.policy.redirect_status = *status;
  } else {
    problems.push_back({value.place, std::to_string(value.integer) +
                                         " is no redirect that a CA follows, allowed is " +
                                         allowed});
  }
}

Result<base::Endpoint> parse_server(std::string_view text) {
  constexpr std::uint16_t kDnsPort = 53;
  if (const auto server = base::Endpoint::parse(text, kDnsPort)) return *server;
  return Failure{in_quotes(text) +
                 " is no address, allowed are \"192.0.2.1\", \"192.0.2.1:53\", \"2001:db8::1\" and "
                 "\"[2001:db8::1]:53\""};
}

Result<std::string> parse_state_file(std::string_view text) {
  if (text.empty()) return std::string();
  auto path = parse_file_path(text);
  if (!path) return Failure{path.error() + ", or \"\" for none"};
  return path;
}

Result<std::string> parse_log_target(std::string_view text) {
  if (text == "stderr" || text == "syslog") return std::string(text);
  auto path = parse_file_path(text);
  if (!path) return Failure{path.error() + ", \"stderr\" and \"syslog\""};
  return path;
}

constexpr base::EnumWords<OtherPaths> kOtherPaths{{{
    {OtherPaths::kHttps, "https"},
    {OtherPaths::kApp, "app"},
    {OtherPaths::kNone, "none"},
}}};
constexpr base::EnumWords<LogFormat> kLogFormats{{{
    {LogFormat::kText, "text"},
    {LogFormat::kJson, "json"},
}}};

// domains.allow, domains.deny: a name and all below it.
bool covers_below(std::string_view wide, std::string_view narrow) {
  return narrow.size() > wide.size() && narrow.ends_with(wide) &&
         narrow[narrow.size() - wide.size() - 1] == '.';
}

// service.metrics_from
bool covers_network(std::string_view wide, std::string_view narrow) {
  const auto outer = base::IpNetwork::parse(wide);
  const auto inner = base::IpNetwork::parse(narrow);
  return outer && inner && outer->prefix <= inner->prefix && outer->contains(inner->address);
}

std::vector<ConfigKey> build_keys() {
  // A CA waits 10 to 20 s for all hops together, so no longer deadline makes sense. A resolver on
  // this machine answers from its cache within 10 ms; whoever allows less wants no answers.
  constexpr std::int64_t kMaxDeadline = 20'000;
  constexpr std::int64_t kMinTimeout = 10;
  // More than a process could hold in memory or descriptors.
  constexpr std::int64_t kMany = 1'000'000;
  constexpr auto kMaxChecks = static_cast<std::int64_t>(RecentChecks::kMost);
  constexpr std::int64_t kMaxEntries = 10'000'000;
  constexpr std::int64_t kDay = 86'400;
  constexpr std::int64_t kMaxAttempts = 10;

  std::vector<ConfigKey> keys;
  keys.push_back(
      {"gateways", "allow", AllowsMore::kAddedOrRemoved, read_allow, write_allow, list_allow});
  keys.push_back(optional_domain(
      "gateways", "fallback", AllowsMore::kChanged,
      [](auto& c) -> auto& { return c.policy.gateways.fallback; }));
  keys.push_back(flag(
      "gateways", "match_addresses", AllowsMore::kOn,
      [](auto& c) -> auto& { return c.policy.gateways.match_addresses; }));
  keys.push_back(text(
      "gateways", "allow_regex", AllowsMore::kChanged,
      [](auto& c) -> auto& { return c.policy.gateways.regex; }, parse_allow_regex,
      [](const std::optional<base::Pattern>& regex) {
        return regex ? regex->text() : std::string();
      }));
  keys.push_back(number(
      "gateways", "capture_group", AllowsMore::kChanged, 0, kMaxCaptureGroup,
      [](auto& c) -> auto& { return c.policy.gateways.capture_group; }));
  keys.push_back({"gateways", "aliases", AllowsMore::kAddedOrRemoved, read_aliases, write_aliases,
                  list_aliases, true});

  keys.push_back(text(
      "app", "id_pattern", AllowsMore::kChanged, [](auto& c) -> auto& { return c.policy.app_id; },
      parse_id_pattern, [](const base::Pattern& pattern) { return pattern.text(); }));

  keys.push_back(text(
      "redirect", "target", AllowsMore::kNever, [](auto& c) -> auto& { return c.policy.target; },
      parse_target, [](const protocol::TargetTemplate& target) { return target.text(); }));
  keys.push_back({"redirect", "status", AllowsMore::kNever, read_status, [](const Config& c) {
                    return std::to_string(protocol::code(c.policy.redirect_status));
                  }});
  keys.push_back(choice(
      "redirect", "other_paths", AllowsMore::kNever, kOtherPaths,
      [](auto& c) -> auto& { return c.policy.other_paths; }));
  keys.push_back(flag(
      "redirect", "breadcrumb", AllowsMore::kNever,
      [](auto& c) -> auto& { return c.policy.breadcrumb; }));

  keys.push_back(texts(
      "domains", "allow", AllowsMore::kAddedOrEmptied,
      [](auto& c) -> auto& { return c.policy.domains_allow; }, parse_suffix, name_text));
  keys.back().covers = covers_below;
  keys.push_back(texts(
      "domains", "deny", AllowsMore::kRemoved,
      [](auto& c) -> auto& { return c.policy.domains_deny; }, parse_suffix, name_text));
  keys.back().covers = covers_below;

  keys.push_back(texts(
      "dns", "servers", AllowsMore::kNever, [](auto& c) -> auto& { return c.dns.servers; },
      parse_server, [](const base::Endpoint& server) { return server.text(); }));
  keys.push_back(number(
      "dns", "timeout_ms", AllowsMore::kNever, kMinTimeout, kMaxDeadline,
      [](auto& c) -> auto& { return c.dns.timeout; }));
  keys.push_back(number(
      "dns", "attempts", AllowsMore::kNever, 1, kMaxAttempts,
      [](auto& c) -> auto& { return c.dns.attempts; }));
  keys.push_back(number(
      "dns", "deadline_ms", AllowsMore::kNever, kMinTimeout, kMaxDeadline,
      [](auto& c) -> auto& { return c.dns.deadline; }));
  keys.push_back(text(
      "dns", "prefix", AllowsMore::kNever, [](auto& c) -> auto& { return c.policy.record_prefix; },
      parse_record_prefix, name_text));
  keys.push_back(flag(
      "dns", "legacy_prefix", AllowsMore::kNever,
      [](auto& c) -> auto& { return c.policy.legacy_prefix; }));
  keys.push_back(flag(
      "dns", "wildcard", AllowsMore::kNever, [](auto& c) -> auto& { return c.policy.wildcard; }));
  keys.push_back(flag(
      "dns", "require_dnssec", AllowsMore::kOff,
      [](auto& c) -> auto& { return c.policy.require_dnssec; }));

  keys.push_back(number(
      "cache", "entries", AllowsMore::kNever, 1, kMaxEntries,
      [](auto& c) -> auto& { return c.cache.entries; }));
  keys.push_back(number(
      "cache", "max_ttl_s", AllowsMore::kNever, 0, kDay,
      [](auto& c) -> auto& { return c.cache.max_ttl; }));
  keys.push_back(number(
      "cache", "negative_ttl_s", AllowsMore::kNever, 0, kDay,
      [](auto& c) -> auto& { return c.cache.negative_ttl; }));

  keys.push_back(number(
      "limits", "in_flight", AllowsMore::kNever, 1, kMany,
      [](auto& c) -> auto& { return c.limits.in_flight; }));
  keys.push_back(number(
      "limits", "in_flight_per_client", AllowsMore::kNever, 1, kMany,
      [](auto& c) -> auto& { return c.limits.in_flight_per_client; }));
  keys.push_back(number(
      "limits", "in_flight_per_domain", AllowsMore::kNever, 1, kMany,
      [](auto& c) -> auto& { return c.limits.in_flight_per_domain; }));
  keys.push_back(number(
      "limits", "checks_per_client", AllowsMore::kNever, 1, kMaxChecks,
      [](auto& c) -> auto& { return c.limits.checks_per_client; }));
  keys.push_back(number(
      "limits", "checks", AllowsMore::kNever, 1, kMaxChecks,
      [](auto& c) -> auto& { return c.limits.checks; }));

  keys.push_back(texts(
      "service", "hosts", AllowsMore::kNever, [](auto& c) -> auto& { return c.policy.relay_hosts; },
      parse_host, same));
  keys.push_back(optional_domain(
      "service", "canary", AllowsMore::kNever, [](auto& c) -> auto& { return c.policy.canary; }));
  keys.push_back(flag(
      "service", "public_check", AllowsMore::kOn,
      [](auto& c) -> auto& { return c.policy.public_check; }));
  keys.push_back(texts(
      "service", "metrics_from", AllowsMore::kAdded,
      [](auto& c) -> auto& { return c.policy.metrics_from; }, parse_network,
      [](const base::IpNetwork& network) { return network.text(); }));
  keys.back().covers = covers_network;
  keys.push_back(text(
      "service", "state_file", AllowsMore::kNever, [](auto& c) -> auto& { return c.state_file; },
      parse_state_file, same));

  keys.push_back(text(
      "log", "level", AllowsMore::kNever, [](auto& c) -> auto& { return c.log.level; },
      parse_log_level, [](LogLevel level) { return std::string(kLogLevels[level].word); }));
  keys.push_back(choice(
      "log", "format", AllowsMore::kNever, kLogFormats,
      [](auto& c) -> auto& { return c.log.format; }));
  keys.push_back(text(
      "log", "target", AllowsMore::kNever, [](auto& c) -> auto& { return c.log.target; },
      parse_log_target, same));
  return keys;
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> kKeys = build_keys();
  return kKeys;
}

}  // namespace http01
