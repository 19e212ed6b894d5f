#include "pages/examinations.h"

#include <algorithm>
#include <new>
#include <utility>

#include "doctor/report.h"
#include "pages/html.h"
#include "protocol/reason.h"
#include "protocol/request.h"
#include "relay/admission.h"

namespace http01 {
namespace {

constexpr std::string_view kJsonType = "application/json";

}  // namespace

Examinations::Examinations(base::Loop& loop, const Config& config, Refusal refusal,
                           OnReply on_reply)
    : loop_(loop), config_(&config), refusal_(std::move(refusal)), on_reply_(std::move(on_reply)) {}

void Examinations::reconfigure(const Config& config) {
  config_ = &config;
  if (doctor_) doctor_->reconfigure(config);
}

void Examinations::begin(Id id, const protocol::Request& request) {
  const CheckQuery query = read_check_query(request.query());
  protocol::Reply reply;
  reply.page = protocol::Page::kCheck;
  if (query.domain.empty()) {
    reply.response.content_type = kHtmlType;
    reply.response.body = check_page(nullptr, "");
    on_reply_(id, request, reply, base::Duration::zero());
    return;
  }
  const std::string client = client_key(request.client);
  const auto of_client = std::ranges::count_if(
      waiting_, [&](const auto& entry) { return entry.second.client == client; });
  const bool is_last = !client.empty() && static_cast<std::size_t>(of_client) >= kAtOnceOfOneClient;
  if (waiting_.size() >= kAtOnce || is_last) {
    refuse(id, request, query,
           is_last ? protocol::Limit::kChecksPerClient : protocol::Limit::kChecks,
           "Too many domains are being checked. Try again in a few seconds.", 5);
    return;
  }
  // A mistyped name costs no look-up, and so nobody's turn.
  const bool is_domain = protocol::challenge_request(config_->policy, query.domain).host.kind ==
                         protocol::HostKind::kDomain;
  const auto limit = is_domain ? refusal_(request) : std::nullopt;
  if (limit) {
    constexpr int kMinute = 60;
    refuse(id, request, query, *limit,
           *limit == protocol::Limit::kChecksPerClient
               ? "Your network has reached its limit of checks a minute "
                 "(limits.checks_per_client). Try again in a minute."
               : "All clients together have reached the limit of checks a minute (limits.checks). "
                 "Try again in a minute.",
           kMinute);
    return;
  }
  if (!doctor_) {
    doctor_ = std::make_unique<doctor::Doctor>(
        loop_, *config_, doctor::Doctor::Settings(),
        [this](Id which, doctor::Evidence& evidence) { on_evidence(which, evidence); });
  }
  waiting_.emplace(id, Waiting{request, query, client});
  doctor_->examine(id, query.domain);
}

void Examinations::refuse(Id id, const protocol::Request& request, const CheckQuery& query,
                          protocol::Limit limit, const char* why, int retry_after_s) {
  protocol::Reply reply;
  reply.limit = limit;
  reply.checked = query.domain;
  reply.page = protocol::Page::kCheck;
  reply.reason = protocol::Reason::kOverloaded;
  reply.response.status = protocol::info(protocol::Reason::kOverloaded).status;
  reply.response.retry_after_s = retry_after_s;
  reply.response.body =
      std::string(protocol::info(protocol::Reason::kOverloaded).word) + ": " + why + "\n";
  on_reply_(id, request, reply, base::Duration::zero());
}

void Examinations::forget(Id id) {
  if (waiting_.erase(id) != 0) doctor_->forget(id);
}

void Examinations::on_evidence(Id id, doctor::Evidence& evidence) {
  const auto node = waiting_.extract(id);
  if (!node) return;
  try {
    show(id, node.mapped(), evidence);
  } catch (const std::bad_alloc&) {
    give_up(id, node.mapped(), protocol::Reason::kOverloaded);
  }
}

void Examinations::time_out() {
  while (!waiting_.empty()) {
    const auto node = waiting_.extract(waiting_.begin());
    doctor_->forget(node.key());
    give_up(node.key(), node.mapped(), protocol::Reason::kDnsTimeout);
  }
}

void Examinations::give_up(Id id, const Waiting& waiting, protocol::Reason reason) {
  protocol::Reply reply;
  reply.page = protocol::Page::kCheck;
  reply.reason = reason;
  if (reason == protocol::Reason::kOverloaded) reply.limit = protocol::Limit::kMemory;
  reply.checked = waiting.query.domain;
  reply.response.status = protocol::info(reason).status;
  on_reply_(id, waiting.request, reply, base::Duration::zero());
}

void Examinations::show(Id id, const Waiting& waiting, doctor::Evidence& evidence) {
  const doctor::Report report = doctor::make_public_report(config_->policy, std::move(evidence));
  protocol::Reply reply;
  reply.page = protocol::Page::kCheck;
  reply.checked = waiting.query.domain;
  reply.response.content_type = waiting.query.json ? kJsonType : kHtmlType;
  reply.response.body = waiting.query.json ? doctor::to_json(report) + "\n"
                                           : check_page(&report, waiting.query.domain);
  on_reply_(id, waiting.request, reply, report.evidence.took);
}

}  // namespace http01
