#include "pages/check_page.h"

#include <algorithm>
#include <utility>

#include "doctor/report.h"
#include "pages/form.h"
#include "protocol/explain.h"

namespace http01::doctor {
namespace {

using protocol::Reason;

constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kJson = "application/json";
// A domain has 253 bytes; what is longer is none, but is shown as what it is.
constexpr std::size_t kMaxDomain = 300;
// As the relay's own limits count clients.
std::string client_of(const protocol::Request& request) {
  const auto address = base::IpAddress::parse(request.client);
  return address ? address->client_network().text() : std::string();
}

}  // namespace

CheckQuery read_check_query(std::string_view query) {
  return {form_field(query, "domain").value_or("").substr(0, kMaxDomain),
          form_field(query, "format") == "json"};
}

CheckPage::CheckPage(base::Loop& loop, const Config& config, OnReply on_reply)
    : loop_(loop), config_(&config), on_reply_(std::move(on_reply)) {}

void CheckPage::use(const Config& config) {
  config_ = &config;
  if (doctor_) doctor_->use(config);
}

void CheckPage::answer(Id id, const protocol::Request& request) {
  const CheckQuery query = read_check_query(request.query());
  protocol::Reply reply;
  reply.page = protocol::Page::kCheck;
  if (query.domain.empty()) {
    reply.response.content_type = kHtml;
    reply.response.body = to_html(nullptr, "");
    on_reply_(id, request, reply, base::Duration::zero());
    return;
  }
  const std::string client = client_of(request);
  const auto of_client = std::ranges::count_if(
      waiting_, [&](const auto& entry) { return entry.second.client == client; });
  if (waiting_.size() >= kAtOnce ||
      (!client.empty() && static_cast<std::size_t>(of_client) >= kAtOnceOfOneClient)) {
    reply.reason = reply.response.reason = Reason::kOverloaded;
    reply.response.status = protocol::info(Reason::kOverloaded).status;
    reply.response.body = protocol::explain(config_->policy, request, Reason::kOverloaded,
                                            "Too many domains are being checked.");
    on_reply_(id, request, reply, base::Duration::zero());
    return;
  }
  if (!doctor_) {
    doctor_ = std::make_unique<Doctor>(
        loop_, *config_, Doctor::Settings(),
        [this](Id which, Evidence& evidence) { on_evidence(which, evidence); });
  }
  waiting_.emplace(id, Waiting{request, query, client});
  doctor_->examine(id, query.domain);
}

void CheckPage::forget(Id id) {
  if (waiting_.erase(id) != 0) doctor_->forget(id);
}

void CheckPage::on_evidence(Id id, Evidence& evidence) {
  const auto node = waiting_.extract(id);
  if (!node) return;
  const Waiting& waiting = node.mapped();
  const Report report = make_report(config_->policy, std::move(evidence));
  protocol::Reply reply;
  reply.page = protocol::Page::kCheck;
  reply.response.content_type = waiting.query.json ? kJson : kHtml;
  reply.response.body =
      waiting.query.json ? to_json(report) + "\n" : to_html(&report, waiting.query.domain);
  on_reply_(id, waiting.request, reply, report.evidence.took);
}

}  // namespace http01::doctor
