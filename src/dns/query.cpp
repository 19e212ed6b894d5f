#include "dns/query.h"

#include <algorithm>
#include <utility>

namespace http01::dns {

using base::TimePoint;
using protocol::Answer;
using protocol::Outcome;

Query::Query(protocol::Question question, Plan plan, Ids& ids)
    : question_(std::move(question)),
      plan_(std::move(plan)),
      ids_(ids),
      errored_(plan_.edns.size(), false) {}

Next Query::on_start(TimePoint now) {
  deadline_ = now + plan_.deadline;
  return ask_server(now);
}

Next Query::on_packet(Bytes packet, TimePoint now) {
  ParsedReply reply = parse_reply(packet, question_, id_);
  switch (reply.verdict) {
    case Verdict::kForeign:
      return Wait{};
    case Verdict::kTruncated:
      // Over TCP there is no excuse for it.
      if (tcp_) return fail(now);
      tcp_ = true;
      return ask_server(now);
    case Verdict::kNoEdns:
      if (!plan_.edns[server_]) return fail(now);
      plan_.edns[server_] = false;
      return ask_server(now);
    case Verdict::kFailure:
      return fail(now);
    case Verdict::kAnswer:
      return std::move(reply.answer);
  }
  return Wait{};
}

Next Query::on_error(TimePoint now) {
  // The server lives: it has just answered over UDP. But it cannot say what it has to say.
  if (tcp_) return fail(now);

  // A refused packet costs no time, so as long as there is another server it costs no try either.
  errored_[server_] = true;
  for (std::size_t i = 1; i < errored_.size(); ++i) {
    const std::size_t other = (server_ + i) % errored_.size();
    if (errored_[other]) continue;
    server_ = other;
    return ask_server(now);
  }
  // None is left. A resolver that is being restarted is back in a moment.
  if (tries_ < plan_.attempts) return Wait{};
  return next_try(now);
}

Next Query::on_timeout(TimePoint now) { return next_try(now); }

Outcome Query::so_far() const { return failed_ ? Outcome::kFailure : Outcome::kTimeout; }

Next Query::ask_server(TimePoint now) {
  id_ = ids_.next();
  const bool last = tries_ >= plan_.attempts;
  const TimePoint until = last ? deadline_ : std::min(now + plan_.timeout, deadline_);
  return Send{server_, tcp_, plan_.edns[server_], id_, until};
}

Next Query::next_try(TimePoint now) {
  if (tries_ >= plan_.attempts || now >= deadline_) {
    Answer answer;
    answer.outcome = so_far();
    return answer;
  }
  ++tries_;
  server_ = (server_ + 1) % plan_.edns.size();
  tcp_ = false;
  return ask_server(now);
}

Next Query::fail(TimePoint now) {
  failed_ = true;
  return next_try(now);
}

}  // namespace http01::dns
