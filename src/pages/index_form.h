// What a reader has filled into the form of the first page: the query of its URL, read as HTML
// forms write it. Only three fields are looked at, and a value is taken only where it is exactly
// what a record may hold; of any other, nothing is kept but the sentence that says so. Pure; never
// throws.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "protocol/policy.h"
#include "protocol/record.h"
#include "protocol/request.h"

namespace http01 {

struct IndexForm {
  std::optional<protocol::Name> domain;     // the Host where that is a domain and none was sent
  std::optional<protocol::AppAddress> app;  // without a port it is that of HTTPS
  std::optional<protocol::Name> entry;      // where the CNAME leads: any name of an allowed gateway
  std::vector<std::string_view> faults;     // of static storage

  static constexpr std::string_view kDomainField = "domain";
  static constexpr std::string_view kAppField = "app";
  static constexpr std::string_view kGatewayField = "gateway";
};

IndexForm read_index_form(const protocol::Policy& policy, const protocol::Request& request);

}  // namespace http01
