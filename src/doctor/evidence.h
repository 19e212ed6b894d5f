// All that the doctor has gathered about one domain, before it is judged: what the relay would
// answer, what was asked of whom and what came back. Plain values; no I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "doctor/probe_result.h"
#include "protocol/decide.h"
#include "protocol/lookup.h"

namespace http01::doctor {

// One question and what came of it.
struct Observation {
  protocol::Question question;
  protocol::Answer answer;
  std::string server{};  // who was asked last; "" where nobody was in the time there was
  base::Duration took{};
  bool decides = false;    // the relay's answer depends on it
  bool held_back = false;  // a failure, but not for who asks without DNSSEC validation
  // What the addresses are for that were taken out of the answer, since they are not to be shown.
  std::vector<std::string_view> withheld{};
};

// What one of several configured servers says by itself.
struct Opinion {
  std::string server;
  protocol::Answers answers;
};

// Where this relay is reached.
struct RelayAddresses {
  std::vector<base::IpAddress> addresses;
  bool certain = false;  // the operator's word, not only what this machine's interfaces have
};

struct Evidence {
  std::string given;  // the domain as it was given, fit to be shown
  protocol::Request request;
  protocol::Reply reply;
  // Of the CNAME chain alone, also where the relay's answer did not wait for it. Nothing where the
  // redirect needs no gateway.
  std::optional<protocol::Found<protocol::Name>> chain;
  std::vector<Observation> observations;  // those that decide first
  std::vector<Opinion> opinions;
  RelayAddresses relay;
  std::string ca = "letsencrypt.org";
  base::Duration took{};
  Probe probe;
  bool names_withheld = false;  // not all that was asked is here, since it is not to be shown

  const protocol::Name& domain() const { return request.host.name; }
  // What the chain leads to, or why nowhere; neither while it is not known.
  const protocol::Name* gateway() const;
  std::optional<protocol::Reason> gateway_fault() const;
  // Whether any resolver has answered any question, if only that there is nothing.
  bool anything_answered() const;
  // nullptr: was not asked.
  const Observation* find(const protocol::Name& name, protocol::RecordType type) const;
  const protocol::Answer* answer(const protocol::Name& name, protocol::RecordType type) const;
  std::vector<base::IpAddress> addresses(const protocol::Name& name,
                                         protocol::RecordType type) const;
};

// Not a failure, and not for want of time.
bool is_answer(const protocol::Answer& answer);

// Where a CA is sent for its challenge of this token; nothing where it is not.
std::optional<std::string> redirect_for(const protocol::Reply& reply, std::string_view token);

// The host that a CA is sent to, as far as it is known: of the redirect, else `_.{gateway}`.
std::optional<protocol::Name> gateway_host(const Evidence& evidence);

}  // namespace http01::doctor
