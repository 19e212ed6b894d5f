// One look-up as a state machine (RFC 1035 7.2, RFC 5452, RFC 7766): which server to ask now, over
// what, until when, and when the answer is there. No socket and no clock: it is told what happened.
// One try is under way at a time; what belongs to an earlier one is not recognised any more. Never
// throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "dns/message.h"
#include "protocol/answer.h"

namespace http01::dns {

// Where message ids come from; must outlive the queries.
class Ids {
 public:
  virtual std::uint16_t next() = 0;

 protected:
  ~Ids() = default;
};

// Drop the socket of the try before, ask on a new one, say on_timeout() at `until`.
struct Send {
  std::size_t server = 0;  // its place in the order given
  bool tcp = false;
  bool edns = true;
  std::uint16_t id = 0;
  base::TimePoint until;
};
// Nothing new: the time-out of the last Send still holds.
struct Wait {};
using Next = std::variant<Send, Wait, protocol::Answer>;

class Query {
 public:
  struct Plan {
    std::vector<bool> edns;  // one for each server, in the order they are to be asked; one at least
    base::Duration timeout;  // of a try
    std::size_t attempts;    // tries in all, at least one
    base::Duration deadline;  // of all together; the last try waits until then
  };

  Query(protocol::Question question, Plan plan, Ids& ids);

  Next on_start(base::TimePoint now);
  Next on_packet(Bytes packet, base::TimePoint now);
  // The socket could not be used or the other side closed it. The answer may be Wait: for the
  // time-out.
  Next on_error(base::TimePoint now);
  Next on_timeout(base::TimePoint now);

  // How it would end if it ended now: kFailure if a server has answered with one, else kTimeout.
  protocol::Outcome so_far() const;

 private:
  Next ask_server(base::TimePoint now);
  Next next_try(base::TimePoint now);
  Next fail(base::TimePoint now);

  protocol::Question question_;
  Plan plan_;
  Ids& ids_;
  std::vector<bool> errored_;
  std::size_t server_ = 0;
  std::size_t tries_ = 1;
  base::TimePoint deadline_;
  std::uint16_t id_ = 0;
  bool tcp_ = false;
  bool failed_ = false;
};

}  // namespace http01::dns
