// The page /check: examines the domain in the request's query and answers with the report, as HTML,
// or as JSON with format=json. Never probes. A few examinations at once, fewer of one client;
// beyond that it is overloaded. Lives on the loop; one thread; loop and configuration must outlive
// it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "doctor/doctor.h"

namespace http01::doctor {

// What the query of /check asks for. Never throws, whatever the octets.
struct CheckQuery {
  std::string domain;  // percent-decoded, any octets; "" where there is none
  bool json = false;
};
CheckQuery read_check_query(std::string_view query);

class CheckPage {
 public:
  using Id = Doctor::Id;
  // The reply to the request, and how long the DNS took.
  using OnReply = std::function<void(Id id, const protocol::Request& request,
                                     protocol::Reply& reply, base::Duration took)>;

  // Each may have about thirty look-ups under way.
  static constexpr std::size_t kAtOnce = 8;
  static constexpr std::size_t kAtOnceOfOneClient = 2;
  static constexpr std::size_t kDescriptors = kAtOnce * 32;

  CheckPage(base::Loop& loop, const Config& config, OnReply on_reply);

  // Told once, perhaps at once, unless it is forgotten.
  void answer(Id id, const protocol::Request& request);
  void forget(Id id);
  void use(const Config& config);
  std::size_t in_flight() const { return waiting_.size(); }

 private:
  struct Waiting {
    protocol::Request request;
    CheckQuery query;
    std::string client;
  };

  void on_evidence(Id id, Evidence& evidence);

  base::Loop& loop_;
  const Config* config_;
  OnReply on_reply_;
  // Made when it is first needed: most processes never do.
  std::unique_ptr<Doctor> doctor_;
  std::map<Id, Waiting> waiting_;
};

}  // namespace http01::doctor
