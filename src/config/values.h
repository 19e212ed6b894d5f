// What a single value of the configuration may be, whether it stands in the file or in the
// environment: text in; value, or what is wrong and what is allowed, out. Pure; never throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ip_network.h"
#include "base/pattern.h"
#include "base/result.h"
#include "config/config.h"
#include "protocol/name.h"

namespace http01 {

// No pattern has more groups than a person can count.
constexpr std::int64_t kMaxCaptureGroup = 99;

// For messages: one line, nothing that a terminal would obey.
std::string printable(std::string_view text);
// The same in quotes, cut where it is long.
std::string in_quotes(std::string_view text);

// All names: a final dot is nothing, upper case is folded.
base::Result<protocol::Name> parse_domain(std::string_view text);
base::Result<protocol::Name> parse_suffix(std::string_view text);  // a domain, or one label: "com"
base::Result<protocol::Name> parse_record_prefix(std::string_view text);

// A Host header as a request has it after normalising: a name, a single label or an address.
base::Result<std::string> parse_host(std::string_view text);

base::Result<base::IpNetwork> parse_network(std::string_view text);

base::Result<base::Pattern> parse_pattern(std::string_view text);

base::Result<LogLevel> parse_log_level(std::string_view text);

// Absolute: a daemon has no working directory that anyone could count on.
base::Result<std::string> parse_file_path(std::string_view text);

}  // namespace http01
