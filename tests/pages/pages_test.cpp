#include "pages/pages.h"

#include <boost/test/unit_test.hpp>

namespace http01 {

namespace {

protocol::Reply filled(protocol::Page page, const protocol::Policy& policy = {}) {
  protocol::Reply reply;
  reply.page = page;
  fill_page(
      policy, {}, [] { return std::string("counters"); }, reply);
  return reply;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pages)

BOOST_AUTO_TEST_CASE(health_is_two_letters) {
  BOOST_TEST(filled(protocol::Page::kHealth).response.body == "OK");
}

BOOST_AUTO_TEST_CASE(a_reply_that_is_no_page_is_left_as_it_is) {
  protocol::Reply reply;
  reply.response.body = "as it was";
  fill_page(
      {}, {}, [] { return std::string("counters"); }, reply);
  BOOST_TEST(reply.response.body == "as it was");
}

BOOST_AUTO_TEST_CASE(ready_keeps_what_the_decision_said) {
  BOOST_TEST(filled(protocol::Page::kReady).response.body == "OK");
  protocol::Reply reply;
  reply.page = protocol::Page::kReady;
  reply.response.body = "dns-timeout: no answer\n";
  fill_page(
      {}, {}, [] { return std::string("counters"); }, reply);
  BOOST_TEST(reply.response.body == "dns-timeout: no answer\n");
}

BOOST_AUTO_TEST_CASE(metrics_are_prometheus_text) {
  const protocol::Reply reply = filled(protocol::Page::kMetrics);
  BOOST_TEST(reply.response.body == "counters");
  BOOST_TEST(reply.response.content_type.starts_with("text/plain; version=0.0.4"));
}

BOOST_AUTO_TEST_CASE(the_first_page_is_html) {
  const protocol::Reply reply = filled(protocol::Page::kIndex);
  BOOST_TEST(reply.response.content_type == "text/html; charset=utf-8");
  BOOST_TEST(reply.response.body.starts_with("<!doctype html>"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
