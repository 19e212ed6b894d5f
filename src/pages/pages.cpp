#include "pages/pages.h"

#include <string_view>

#include "pages/html.h"
#include "pages/index_page.h"

namespace http01 {
namespace {

constexpr std::string_view kPrometheusText = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

void fill_page(const protocol::Policy& policy, const protocol::Request& request,
               const std::function<std::string()>& metrics, protocol::Reply& reply) {
  protocol::Response& response = reply.response;
  switch (reply.page) {
    case protocol::Page::kNone:
    case protocol::Page::kCheck:  // see pages/examinations.h
      break;
    case protocol::Page::kHealth:
      response.body = "OK";
      break;
    case protocol::Page::kReady:
      if (response.body.empty()) response.body = "OK";
      break;
    case protocol::Page::kMetrics:
      response.content_type = kPrometheusText;
      response.body = metrics();
      break;
    case protocol::Page::kIndex:
      response.content_type = kHtmlType;
      response.body = index_page(policy, request);
      break;
  }
}

}  // namespace http01
