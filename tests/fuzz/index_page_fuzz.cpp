// The query of the first page: what a reader, or whoever made the reader's link, has filled in.

#include <algorithm>

#include "pages/index_form.h"
#include "pages/index_page.h"
#include "protocol/gateway.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using namespace protocol;

const Policy& policy() {
  static const Policy kPolicy = [] {
    Policy policy;
    policy.gateways.wildcard_parents = {*Name::from_text("phala.network")};
    policy.gateways.fallback = Name::from_text("gw.example.net");
    return policy;
  }();
  return kPolicy;
}

std::ptrdiff_t count(std::string_view text, char wanted) {
  return std::ranges::count(text, wanted);
}

FUZZ_TARGET(index_page, octets) {
  RawRequest raw;
  raw.method = "GET";
  raw.host = "192.0.2.1";
  raw.uri = "/";
  static const std::string kEmptyPage = index_page(policy(), read_request(policy(), raw));
  raw.uri += "?";
  raw.uri += octets;
  const Request request = read_request(policy(), raw);
  if (request.fault) return;

  const IndexForm form = read_index_form(policy(), request);
  require(!form.domain || form.domain->is_domain(), "a domain that is none");
  require(!form.domain || !is_gateway_name(policy().gateways, *form.domain), "a gateway's name");
  require(!form.entry || base_named_by(policy().gateways, *form.entry), "a gateway not allowed");
  require(!form.app || read_app_address(policy().app_id, form.app->id + ":" + form.app->port),
          "an app address that no record may have");

  const std::string page = index_page(policy(), request);
  require(std::ranges::all_of(page, [](char c) { return c == '\n' || (c >= ' ' || c < 0); }),
          "control octets");
  // Beside the placeholders, which are escaped, the page has the brackets and quotes of its own:
  // two tags for a fault (with four quotes), and for the sentences about an apex.
  const auto faults = static_cast<std::ptrdiff_t>(form.faults.size());
  const std::ptrdiff_t more = count(page, '<') - count(kEmptyPage, '<') - 2 * faults;
  require(more == 0 || (more == 4 && page.find("ANAME") != std::string::npos), "markup gets in");
  require(count(page, '"') == count(kEmptyPage, '"') + 4 * faults, "a quote gets in");
  require(count(page, '>') == count(page, '<'), "half a tag");
}

}  // namespace
}  // namespace http01::fuzz
