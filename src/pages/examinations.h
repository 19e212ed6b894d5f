// The examinations that the page /check asks for: each domain is examined and answered with the
// report for the public, as HTML, or as JSON with format=json. Never probes. A few examinations at
// once, fewer of one client, and at a rate that the caller limits; beyond that the answer is
// overloaded. Lives on the loop; one thread; loop and
// configuration must outlive it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "doctor/doctor.h"
#include "pages/check_page.h"

namespace http01 {

class Examinations {
 public:
  using Id = doctor::Doctor::Id;
  // The reply to the request, and how long the DNS took.
  using OnReply = std::function<void(Id id, const protocol::Request& request,
                                     protocol::Reply& reply, base::Duration took)>;

  // Each may have about thirty look-ups under way.
  static constexpr std::size_t kAtOnce = 8;
  static constexpr std::size_t kAtOnceOfOneClient = 2;
  static constexpr std::size_t kDescriptors = kAtOnce * 32;

  // Why the rate of examinations does not allow one more. Asked once for each that would begin.
  using Refusal = std::function<std::optional<protocol::Limit>(const protocol::Request& request)>;

  Examinations(base::Loop& loop, const Config& config, Refusal refusal, OnReply on_reply);

  // on_reply is called once unless the request is forgotten: at once where no domain is named (the
  // page is the form then) or too many are examined, else from the loop. The reply may be taken out
  // of it.
  void begin(Id id, const protocol::Request& request);
  void forget(Id id);
  // All that are under way are answered with dns-timeout.
  void time_out();
  void reconfigure(const Config& config);
  std::size_t in_flight() const { return waiting_.size(); }

 private:
  struct Waiting {
    protocol::Request request;
    CheckQuery query;
    std::string client;
  };

  void refuse(Id id, const protocol::Request& request, const CheckQuery& query,
              protocol::Limit limit, const char* why, int retry_after_s);
  void on_evidence(Id id, doctor::Evidence& evidence);
  void show(Id id, const Waiting& waiting, doctor::Evidence& evidence);
  void give_up(Id id, const Waiting& waiting, protocol::Reason reason);

  base::Loop& loop_;
  const Config* config_;
  Refusal refusal_;
  OnReply on_reply_;
  // Made when it is first needed: most processes never do.
  std::unique_ptr<doctor::Doctor> doctor_;
  std::map<Id, Waiting> waiting_;
};

}  // namespace http01
