#include <array>
#include <utility>

#include "base/ascii.h"
#include "doctor/report.h"

namespace http01::doctor {
namespace {

std::string json_string(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet > 0x7e) {
      // Octets that are no ASCII are not expected here; each is shown as the character of its
      // number.
      json.append("\\u00").append({kHex[octet >> 4], kHex[octet & 0xf]});
      continue;
    }
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + "\"";
}

// Members of an object, in order.
class Object {
 public:
  void text(std::string_view name, std::string_view value) { raw(name, json_string(value)); }
  void number(std::string_view name, std::uint64_t value) { raw(name, std::to_string(value)); }
  void flag(std::string_view name, bool value) { raw(name, value ? "true" : "false"); }
  void time(std::string_view name, base::Duration value) { raw(name, milliseconds(value)); }
  void raw(std::string_view name, std::string_view json) {
    json_.append(json_.empty() ? "" : ",").append(json_string(name)).append(":").append(json);
  }
  std::string done() const { return "{" + json_ + "}"; }

 private:
  std::string json_;
};

template <class Values, class ToJson>
std::string list(const Values& values, ToJson to_json) {
  return "[" + base::joined(values, ",", to_json) + "]";
}

std::string json_of(const protocol::Question& question, const protocol::Answer& answer,
                    const Observation* observation, std::string_view server) {
  Object object;
  object.text("type", to_string(question.type));
  object.text("name", question.name.text());
  object.text("server", server);
  object.text("outcome", to_string(answer.outcome));
  object.raw("records",
             list(records_of(answer), [](const std::string& r) { return json_string(r); }));
  object.number("ttl_s", answer.ttl_s);
  object.flag("authenticated", answer.authenticated);
  if (observation != nullptr) {
    object.flag("decides", observation->decides);
    object.time("time_ms", observation->took);
  }
  return object.done();
}

std::string json_of(const ProbeResult& result) {
  Object object;
  object.text("url", result.url);
  object.text("address", result.address.text());
  object.text("error", result.error);
  object.number("status", static_cast<std::uint64_t>(result.status));
  object.text("location", result.location);
  object.number("body_octets", result.body_octets);
  object.flag("body_cut", result.body_cut);
  object.time("time_ms", result.took);
  return object.done();
}

std::string json_of(const Finding& finding) {
  Object object;
  object.text("id", to_string(finding.id));
  object.text("severity", to_string(finding.severity));
  object.text("text", finding.text);
  object.raw("records", list(finding.lines, [](const ZoneLine& line) {
               Object record;
               record.text("action", to_string(line.action));
               record.text("line", line.line);
               return record.done();
             }));
  return object.done();
}

}  // namespace

std::string to_json(const Report& report) {
  const Evidence& evidence = report.evidence;
  const protocol::Reply& reply = evidence.reply;
  Object object;
  object.text("domain", evidence.given);
  object.text("reason", protocol::info(reply.reason).word);
  object.number("status", static_cast<std::uint64_t>(code(reply.response.status)));
  object.text("location", reply.response.location);
  object.text("app_id", reply.target.app ? reply.target.app->id : "");
  object.text("port", reply.target.app ? reply.target.app->port : "");
  object.text("gateway", reply.target.gateway ? reply.target.gateway->text() : "");
  object.text("explanation", reply.is_success() ? "" : reply.response.body);
  object.text("ca", evidence.ca);
  object.raw("relay_addresses", list(evidence.relay.addresses, [](const base::IpAddress& address) {
               return json_string(address.text());
             }));
  object.raw("findings",
             list(report.findings, [](const Finding& finding) { return json_of(finding); }));
  object.raw("steps", list(evidence.observations, [](const Observation& observation) {
               return json_of(observation.question, observation.answer, &observation,
                              observation.server);
             }));
  object.raw("resolvers", list(evidence.opinions, [](const Opinion& opinion) {
               Object resolver;
               resolver.text("server", opinion.server);
               resolver.raw("steps", list(opinion.answers.entries(), [&](const auto& entry) {
                              return json_of(entry.first, entry.second, nullptr, opinion.server);
                            }));
               return resolver.done();
             }));
  if (evidence.probe.done) {
    const auto results = [](const std::vector<ProbeResult>& all) {
      return list(all, [](const ProbeResult& result) { return json_of(result); });
    };
    Object probe;
    probe.raw("domain", results(evidence.probe.domain));
    probe.raw("gateway", results(evidence.probe.gateway));
    object.raw("probe", probe.done());
  }
  object.time("time_ms", evidence.took);
  return object.done();
}

}  // namespace http01::doctor
