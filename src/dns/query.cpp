#include "dns/query.h"

#include <algorithm>
#include <utility>

namespace http01::dns {

using base::TimePoint;
using protocol::Answer;
using protocol::Cause;
using protocol::Outcome;
using Why = Send::Why;

Query::Query(protocol::Question question, Plan plan, Ids& ids)
    : question_(std::move(question)),
      plan_(std::move(plan)),
      ids_(ids),
      servers_(plan_.servers.size()) {}

Next Query::on_start(TimePoint now) {
  deadline_ = now + plan_.deadline;
  return ask_server(now);
}

Next Query::on_packet(Bytes packet, TimePoint now) {
  ParsedReply reply = parse_reply(packet, question_, id_);
  if (reply.verdict == Verdict::kForeign) {
    // RFC 5452 4: an attacker who cannot see the id may try many. A connection takes more.
    if (tcp_ || ++foreign_ < kMaxForeign || state().moved_to_tcp || now >= deadline_) return Wait{};
    state().moved_to_tcp = true;
    said_ = ServerStatus::kForged;
    return ask(true, edns_, Why::kForgeries, now);
  }
  if (!tcp_) state().heard_over_udp = true;
  said_ = ServerStatus::kFailure;
  switch (reply.verdict) {
    case Verdict::kTruncated:
      // Over TCP there is no excuse for it.
      if (tcp_) return fail(Cause::kNone, now);
      said_ = ServerStatus::kTruncated;
      return ask(true, edns_, Why::kTruncated, now);
    case Verdict::kNoEdns:
    case Verdict::kUnreadable:
      if (!edns_) return fail(reply.cause, now);
      state().no_edns = true;
      said_ = ServerStatus::kNoEdns;
      return ask(tcp_, false, why_ == Why::kGlance ? Why::kTurn : why_, now);
    case Verdict::kFailure:
      return fail(reply.cause, now);
    case Verdict::kAnswer:
      said_ = status_of(reply.answer.outcome);
      return std::move(reply.answer);
    case Verdict::kForeign:
      break;
  }
  return Wait{};
}

// Nothing but an answer is of use: the tries after it are still under way.
Next Query::on_late_packet(Bytes packet) {
  if (!first_) return Wait{};
  ParsedReply reply = parse_reply(packet, question_, *first_);
  if (reply.verdict == Verdict::kForeign) {
    if (++late_foreign_ == kMaxForeign) first_.reset();
    return Wait{};
  }
  servers_[first_server_].heard_over_udp = true;
  first_.reset();
  if (reply.verdict != Verdict::kAnswer) return Wait{};
  said_ = status_of(reply.answer.outcome);
  return std::move(reply.answer);
}

Next Query::on_error(Cause cause, TimePoint now) {
  if (why_ == Why::kGlance) return ask_server(now);
  if (tcp_) state().no_tcp = true;
  if (tcp_ && !plan().tcp_alone) {
    // The server lives: it has just answered over UDP. But it cannot say what it has to say.
    if (why_ == Why::kTruncated) return fail(Cause::kNone, now);
    if (!state().errored) return ask_over_udp(now);
  }
  state().errored = true;
  state().last = cause;

  // A refused packet costs no time, so as long as there is another server it costs no try either.
  for (std::size_t i = 1; i < servers_.size(); ++i) {
    const std::size_t other = (server_ + i) % servers_.size();
    if (servers_[other].errored) continue;
    server_ = other;
    return ask_server(now);
  }
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const std::size_t other = (server_ + i) % servers_.size();
    if (servers_[other].no_tcp || servers_[other].heard_over_udp) continue;
    server_ = other;
    return ask(true, false, Why::kSilence, now);
  }
  // None is left. A resolver that is being restarted is back in a moment.
  if (is_last_try()) return so_far();
  waits_out_error_ = true;
  return Wait{};
}

Next Query::on_timeout(TimePoint now) {
  if (why_ == Why::kGlance) return ask_server(now);
  if (!waits_out_error_) {
    state().last = Cause::kNone;
    if (!tcp_ && !first_) {
      first_ = id_;
      first_server_ = server_;
      late_foreign_ = 0;
    }
    if (why_ == Why::kTurn || why_ == Why::kSilence) ++silences_;
    // The rest of the last try is for a server whose TCP port is behind a firewall.
    if (may_give_up_tcp() && is_last_try() && now < deadline_) {
      state().no_tcp = true;
      return ask_over_udp(now);
    }
  }
  return next_try(now);
}

std::optional<TimePoint> Query::on_connected() const {
  if (!may_give_up_tcp() || !is_last_try()) return std::nullopt;
  return deadline_;
}

Answer Query::so_far() const {
  Answer answer;
  answer.outcome = failed_ ? Outcome::kFailure : Outcome::kTimeout;
  if (failed_) {
    answer.cause = cause_;
    return answer;
  }
  // Silence of one server is the cause, whatever has become of the others.
  for (const State& server : servers_) {
    if (server.last == Cause::kNone) return answer;
  }
  for (const State& server : servers_) {
    if (server.last && answer.cause != Cause::kConnectionRefused) answer.cause = *server.last;
  }
  return answer;
}

// Over TCP, and it could be asked over UDP instead.
bool Query::may_give_up_tcp() const { return tcp_ && why_ != Why::kTruncated && !plan().tcp_alone; }

// The next form after each silence, whichever server it was: those of a machine are mostly of a
// kind.
Form Query::form() const {
  const bool odd = silences_ % 2 != 0;
  Form form = Form::kPlain;
  switch (plan().form) {
    case Form::kEdns:
      form = silences_ == 0 ? Form::kEdns : odd ? Form::kPlain : Form::kTcp;
      break;
    case Form::kPlain:
      form = odd ? Form::kTcp : Form::kPlain;
      break;
    case Form::kTcp:
      form = odd ? Form::kPlain : Form::kTcp;
      break;
  }
  const State& known = servers_[server_];
  const bool tcp = form == Form::kTcp && !known.no_tcp && !known.heard_over_udp;
  return form == Form::kTcp && !tcp ? Form::kPlain : form;
}

// The start of a try, or what follows a glance.
Next Query::ask_server(TimePoint now) {
  if (plan().glance && !state().glanced && !plan().tcp_alone) {
    state().glanced = true;
    return ask(false, true, Why::kGlance, now);
  }
  const Form now_form = form();
  const bool edns = now_form == Form::kEdns && !state().no_edns;
  if (plan().tcp_alone) return ask(true, edns, Why::kTurn, now);
  return ask(now_form == Form::kTcp, edns, now_form == plan().form ? Why::kTurn : Why::kSilence,
             now);
}

// Instead of over TCP.
Next Query::ask_over_udp(TimePoint now) {
  if (why_ == Why::kForgeries) return ask(false, edns_, Why::kTurn, now);
  return ask(false, false, Why::kSilence, now);
}

Next Query::ask(bool tcp, bool edns, Why why, TimePoint now) {
  if (now >= deadline_) return so_far();
  tcp_ = tcp;
  edns_ = edns;
  why_ = why;
  foreign_ = 0;
  id_ = ids_.next();
  if (first_server_ != server_) first_.reset();
  TimePoint until = now + plan_.timeout;
  if (why == Why::kGlance) {
    until = std::min(until, now + kGlance);
  } else if (is_last_try() && !may_give_up_tcp()) {
    until = deadline_;
  }
  return Send{server_, tcp_, edns_, why_, id_, std::min(until, deadline_), first_};
}

Next Query::next_try(TimePoint now) {
  if (is_last_try()) return so_far();
  ++tries_;
  waits_out_error_ = false;
  server_ = (server_ + 1) % servers_.size();
  return ask_server(now);
}

Next Query::fail(Cause cause, TimePoint now) {
  failed_ = true;
  if (cause_ == Cause::kNone) cause_ = cause;
  return next_try(now);
}

}  // namespace http01::dns
