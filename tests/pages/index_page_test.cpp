#include "pages/index_page.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "pages/index_form.h"
#include "tests/protocol/zone.h"

namespace http01 {

using protocol::Name;
using protocol::Policy;

namespace {

const std::string kId = "00112233445566778899aabbccddeeff00112233";

Policy one_gateway() {
  Policy policy;
  policy.gateways.fallback = protocol::name_of("gw.example.net");
  return policy;
}

std::string page(const Policy& policy, const std::string& uri,
                 const std::string& host = "192.0.2.1") {
  return index_page(policy, protocol::read_request(policy, protocol::get(host, uri)));
}

IndexForm form(const Policy& policy, const std::string& uri,
               const std::string& host = "192.0.2.1") {
  return read_index_form(policy, protocol::read_request(policy, protocol::get(host, uri)));
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t times = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++times;
  }
  return times;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(index_page_of_the_relay)

BOOST_AUTO_TEST_CASE(without_a_query_it_shows_an_example_and_every_reason) {
  const std::string body = page(one_gateway(), "/");
  BOOST_TEST(has(body,
                 "_dstack-app-address.app.example.com. 300 IN TXT "
                 "&quot;&lt;app id&gt;:443&quot;\n"));
  BOOST_TEST(has(body, "app.example.com. 300 IN CNAME _.gw.example.net.\n"));
  for (const protocol::Reason reason : base::kAllOf<protocol::Reason>) {
    const auto word = protocol::info(reason).word;
    BOOST_TEST(has(body, "<td>" + std::string(word) + "</td>"), word);
  }
  BOOST_TEST(has(body, "http://app.example.com/"));
  BOOST_TEST(!has(body, "src="));  // nothing is fetched from anywhere
  BOOST_TEST(!has(body, "<script"));
  BOOST_TEST(!has(body, "class=\"fault\""));
}

BOOST_AUTO_TEST_CASE(what_the_form_sends_stands_in_the_records) {
  const std::string body =
      page(one_gateway(), "/?domain=www.Shop.example.co.uk&app=" + kId + "%3A8443");
  BOOST_TEST(has(body, "www.shop.example.co.uk. 300 IN CNAME _.gw.example.net.\n"));
  BOOST_TEST(has(body, "_dstack-app-address.www.shop.example.co.uk. 300 IN TXT &quot;" + kId +
                           ":8443&quot;\n"));
  // The panel's names are those within the zone that was registered.
  BOOST_TEST(has(body, "for the zone <code>example.co.uk</code>"));
  BOOST_TEST(has(body, "<code>www.shop</code>"));
  BOOST_TEST(has(body, "<code>_dstack-app-address.www.shop</code>"));
  // And in the form itself, to be changed.
  BOOST_TEST(has(body, "value=\"www.shop.example.co.uk\""));
  BOOST_TEST(has(body, "value=\"" + kId + ":8443\""));
  BOOST_TEST(!has(body, "class=\"fault\""));
}

BOOST_AUTO_TEST_CASE(an_apex_is_told_that_it_cannot_have_a_cname) {
  const std::string apex = page(one_gateway(), "/?domain=example.com");
  BOOST_TEST(has(apex, "<code>www.example.com</code>"));
  BOOST_TEST(has(apex, "<code>@</code>"));
  BOOST_TEST(!has(page(one_gateway(), "/?domain=www.example.com"), "ANAME"));
}

BOOST_AUTO_TEST_CASE(the_form_is_read_as_browsers_send_it) {
  const Policy policy = one_gateway();
  for (const char* const uri :
       {"/?domain=app.example.com", "/?domain=app.example.com.", "/?domain=APP.example.com",
        "/?domain=+app.example.com++", "/?domain=app%2Eexample%2ecom",
        "/?x=y&domain=app.example.com", "/?domain=app.example.com&domain=other.example.com",
        "/?app=&domain=app.example.com&"}) {
    const IndexForm read = form(policy, uri);
    BOOST_TEST((read.domain == protocol::name_of("app.example.com")), uri);
    BOOST_TEST(read.faults.empty(), uri);
  }
  for (const std::string& app : {kId, kId + ":443", "+" + kId + "%20", kId + "%3a443"}) {
    const IndexForm read = form(policy, "/?app=" + app);
    BOOST_TEST((read.app == protocol::AppAddress{kId, "443"}), app);
    BOOST_TEST(read.faults.empty(), app);
  }
  for (const char* const uri :
       {"/", "/?", "/?domain=", "/?domain=+&app=", "/?domains=a.example.com",
        "/?xdomain=a.example.com", "/?domain", "/?&&=&"}) {
    const IndexForm read = form(policy, uri);
    BOOST_TEST(!read.domain, uri);
    BOOST_TEST(read.faults.empty(), uri);
  }
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_said_and_not_repeated) {
  const std::string long_name = "/?domain=" + std::string(60, 'a') + "." + std::string(60, 'b') +
                                "." + std::string(60, 'c') + "." + std::string(60, 'd') + ".com";
  for (const std::string& uri : {std::string("/?domain=wrong"),
                                 std::string("/?domain=wrong_.example.com"),
                                 std::string("/?domain=http://wrong.example.com/"),
                                 std::string("/?domain=wrong.example.com:80"),
                                 std::string("/?domain=192.0.2.1"),
                                 std::string("/?domain=-wrong.example.com"),
                                 std::string("/?domain=wrong%00.example.com"),
                                 std::string("/?domain=wrong%2.example.com"),
                                 std::string("/?domain=wrong.example.com%"),
                                 std::string("/?domain=wrong%zz.example.com"),
                                 std::string("/?domain=wrong%C3%BC.example.com"),
                                 std::string("/?domain=wrong..example.com"),
                                 std::string("/?domain=wrong<b>.example.com"),
                                 long_name,
                                 std::string("/?domain=\"onfocus=wrong"),
                                 std::string("/?domain=%22%3E%3Cscript%3Ewrong"),
                                 std::string("/?domain=x.gw.example.net"),
                                 std::string("/?app=wrong"),
                                 "/?app=wrong" + kId,
                                 "/?app=" + kId + ":0",
                                 "/?app=" + kId + ":65536",
                                 "/?app=" + kId + ":443:wrong",
                                 "/?app=" + kId + "%0a",
                                 std::string("/?app=%3Cscript%3Ewrong"),
                                 std::string("/?gateway=wrong.example.org"),
                                 std::string("/?gateway=_.wrong.example.org"),
                                 std::string("/?gateway='wrong")}) {
    const std::string body = page(one_gateway(), uri);
    BOOST_TEST(count(body, "class=\"fault\"") == 1u, uri);
    BOOST_TEST(!has(body, "wrong"), uri);
    BOOST_TEST(!has(body, "<script"), uri);
    BOOST_TEST(has(body, "app.example.com. 300 IN CNAME _.gw.example.net.\n"), uri);
  }
  BOOST_TEST(count(page(one_gateway(), "/?domain=x&app=x&gateway=x"), "class=\"fault\"") == 3u);
}

BOOST_AUTO_TEST_CASE(a_domain_that_leads_here_sees_its_own_records) {
  BOOST_TEST(has(page(one_gateway(), "/", "www.example.org"), "www.example.org. 300 IN CNAME "));
  BOOST_TEST(has(page(one_gateway(), "/?domain=b.example.org", "www.example.org"),
                 "b.example.org. 300 IN CNAME "));
  BOOST_TEST(has(page(one_gateway(), "/", "x.gw.example.net"), "app.example.com. 300 IN CNAME "));
}

BOOST_AUTO_TEST_CASE(one_gateway_is_not_asked_for) {
  BOOST_TEST(!has(page(one_gateway(), "/"), "name=\"gateway\""));
}

BOOST_AUTO_TEST_CASE(of_several_gateways_one_is_chosen) {
  Policy policy = one_gateway();
  policy.gateways.bases = {protocol::name_of("gw2.example.net")};
  policy.gateways.aliases = {
      {protocol::name_of("relay.example.net"), protocol::name_of("gw3.example.net")}};
  const std::string body = page(policy, "/?gateway=_.gw2.example.net");
  BOOST_TEST(has(body, "<select name=\"gateway\">"));
  BOOST_TEST(has(body, "<option selected>_.gw2.example.net</option>"));
  BOOST_TEST(has(body, "<option>relay.example.net</option>"));
  BOOST_TEST(has(body, "app.example.com. 300 IN CNAME _.gw2.example.net.\n"));
  BOOST_TEST(has(page(policy, "/?gateway=relay.example.net"), "CNAME relay.example.net.\n"));
}

BOOST_AUTO_TEST_CASE(a_gateway_of_an_open_set_is_written) {
  const Policy policy = protocol::default_policy();
  BOOST_TEST(has(page(policy, "/"), "CNAME _.&lt;gateway&gt;.phala.network.\n"));
  for (const char* const uri :
       {"/?gateway=dstack-prod5.phala.network", "/?gateway=_.dstack-prod5.phala.network."}) {
    const std::string body = page(policy, uri);
    BOOST_TEST(has(body, "<input name=\"gateway\" value=\"_.dstack-prod5.phala.network\""), uri);
    BOOST_TEST(has(body, "CNAME _.dstack-prod5.phala.network.\n"), uri);
  }
}

BOOST_AUTO_TEST_CASE(whatever_the_operator_has_chosen_is_escaped) {
  Policy policy = one_gateway();
  policy.app_id = base::Pattern::compile("[a-z]{3}").value();
  policy.record_prefix = protocol::name_of("_x-y");
  const std::string body = page(policy, "/?domain=a.example.com&app=abc");
  BOOST_TEST(has(body, "_x-y.a.example.com. 300 IN TXT &quot;abc:443&quot;\n"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
