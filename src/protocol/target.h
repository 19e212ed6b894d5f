// `redirect.target`: where a challenge is sent, as a template with {app_id}, {port}, {gateway} and
// {domain}. Parsing refuses what a CA would refuse to follow (CA/Browser Forum BR 3.2.2.4.19,
// Boulder) or what leads back to the relay. A value; never throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/name.h"
#include "protocol/record.h"

namespace http01::protocol {

struct TargetValues {
  std::string_view app_id;
  std::string_view port;
  std::string_view gateway;  // not looked at unless needs_gateway()
  std::string_view domain;
};

class TargetTemplate {
 public:
  static constexpr std::string_view kDefault = "https://{app_id}.{gateway}";

  // The failure says what is wrong and what is allowed.
  static base::Result<TargetTemplate> parse(std::string_view text);

  bool needs_gateway() const;
  PortUse port_use() const;

  // Of a template that begins with http://, with some app id and port: the name whose port 80 a
  // challenge is sent to. Nothing for https://.
  std::optional<Name> port_80_host() const;

  const std::string& text() const { return text_; }

  // "https://host", the host a domain name; nothing where these values make no domain name (too
  // long).
  std::optional<std::string> expand(const TargetValues& values) const;

 private:
  enum class Field { kLiteral, kAppId, kPort, kGateway, kDomain };
  struct Part {
    Field field;
    std::string literal;
  };

  bool has(Field field) const;

  std::string text_;
  std::string scheme_;
  std::vector<Part> host_;
};

}  // namespace http01::protocol
