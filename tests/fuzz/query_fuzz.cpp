// A look-up and the memory of its servers, driven as the engine drives them: the input is a list of
// events (packets, errors, time-outs, another look-up's answer) at times that only go forward. No
// packet is believed that is not an answer to the last question sent, every look-up ends, and
// nothing is sent that the plan does not allow.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "dns/query.h"
#include "dns/servers.h"
#include "tests/dns/packets.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

using namespace protocol;
using namespace std::chrono_literals;
using base::Duration;
using base::TimePoint;
using dns::Form;
using dns::Next;
using dns::Send;
using dns::Verdict;
using dns::testing::Message;
using Why = Send::Why;

class CountingIds final : public dns::Ids {
 public:
  std::uint16_t next() override { return ++last_; }

 private:
  std::uint16_t last_ = 0;
};

std::vector<base::Endpoint> endpoints(std::size_t count) {
  std::vector<base::Endpoint> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(*base::Endpoint::parse("192.0.2." + std::to_string(i + 1), 53));
  }
  return all;
}

// What the servers of all look-ups of an input are.
struct World {
  std::vector<base::Endpoint> all;
  bool tcp_alone = false;
  dns::Servers servers{};
  CountingIds ids{};
  TimePoint now{1h};
};

// One look-up, and what must hold of it.
class Watched {
 public:
  Watched(World& world, Input& input)
      : world_(world),
        input_(input),
        choice_(world.servers.choose(world.now)),
        timeout_(std::chrono::milliseconds(10 + 10 * input.octet())),
        attempts_(1 + input.below(10)),
        deadline_(std::chrono::milliseconds(10 + 40 * input.octet())),
        began_(world.now),
        query_(kQuestion, {plan_of(choice_), timeout_, attempts_, deadline_}, world.ids),
        heard_(choice_.size(), false) {}

  void run() {
    take(query_.on_start(world_.now));
    while (!ended_) step();
  }

 private:
  static const Question kQuestion;

  static std::vector<dns::Query::Server> plan_of(const std::vector<dns::Servers::Choice>& choice) {
    std::vector<dns::Query::Server> plan;
    for (const auto& server : choice) plan.push_back(server.how);
    return plan;
  }

  const base::Endpoint& server() const { return choice_[last_->server].endpoint; }

  void pass(Duration most) {
    world_.now = std::min(world_.now + most, std::max(world_.now, last_->until));
  }

  void step() {
    // Once the input is over, all there is is time.
    if (input_.empty()) return time_out();
    switch (input_.below(9)) {
      case 0:
        return time_out();
      case 1:
        return fail();
      case 2:
        pass(std::chrono::milliseconds(input_.octet()));
        return;
      case 3:
        return connect();
      case 4: {
        const std::size_t other = input_.below(choice_.size());
        query_.on_heard_over_udp(other);
        heard_[other] = true;
        return;
      }
      case 5:
        return late_packet();
      default:
        return packet();
    }
  }

  void time_out() {
    world_.now = std::max(world_.now, last_->until);
    closed_ = false;
    world_.servers.timed_out(server(), *last_, sent_, world_.now);
    for (std::size_t i = 0; i < choice_.size(); ++i) {
      if (!world_.servers.answers_over_udp(choice_[i].endpoint, world_.now)) continue;
      query_.on_heard_over_udp(i);
      heard_[i] = true;
    }
    take(query_.on_timeout(world_.now));
  }

  void fail() {
    if (closed_) return;
    static constexpr Cause kCauses[] = {Cause::kNone, Cause::kConnectionRefused,
                                        Cause::kUnreachable};
    const bool counts = !last_->tcp || choice_[last_->server].how.tcp_alone;
    if (counts) world_.servers.errored(server(), world_.now);
    closed_ = true;
    take(query_.on_error(kCauses[input_.below(3)], world_.now));
  }

  void connect() {
    if (closed_ || !last_->tcp) return;
    const auto until = query_.on_connected();
    if (!until) return;
    require(*until == began_ + deadline_, "a connection may take beyond the deadline");
    last_->until = *until;
  }

  void late_packet() {
    if (!last_->first || !query_.listens_to_first()) return;
    const Message made = message(*last_->first);
    const Next next = query_.on_late_packet(made.octets());
    require(!std::holds_alternative<Send>(next), "sent for what was late");
    const auto* const answer = std::get_if<Answer>(&next);
    const dns::ParsedReply reply = dns::parse_reply(made.octets(), kQuestion, *last_->first);
    require(answer == nullptr || (reply.verdict == Verdict::kAnswer && *answer == reply.answer),
            "an answer out of what is none, late");
    require(answer != nullptr || reply.verdict != Verdict::kAnswer, "a late answer is not taken");
    if (reply.verdict != Verdict::kForeign) heard_[last_->server] = true;
    take(next);
  }

  Message message(std::uint16_t id) {
    static constexpr std::uint16_t kFlags[] = {0x8180,
                                               0x8180,
                                               dns::testing::kServFail,
                                               dns::testing::kNxDomain,
                                               dns::testing::kFormErr,
                                               dns::testing::kNotImp,
                                               dns::testing::kRefused,
                                               dns::testing::kTruncated,
                                               0x0100};
    Message made{.question = kQuestion, .id = id};
    made.flags = kFlags[input_.below(std::size(kFlags))];
    const std::size_t odd = input_.octet();
    if ((odd & 1) != 0) made.id = static_cast<std::uint16_t>(input_.number(2));
    if ((odd & 2) != 0) made.no_question = true;
    if ((odd & 4) != 0) made.question = dns::testing::question("b.example");
    if ((odd & 8) != 0) made.answer = {dns::testing::txt("a.example", "a")};
    if ((odd & 16) != 0) made.additional = {dns::testing::opt()};
    if ((odd & 32) != 0) made.answer.push_back(dns::testing::opt());
    if ((odd & 64) != 0) made.trailer = std::string(input_.text());
    if ((odd & 128) != 0) made.answer.push_back(std::string(input_.text()));
    return made;
  }

  void packet() {
    if (closed_) return;
    const Message made = message(last_->id);
    const std::vector<std::uint8_t> octets = made.octets();
    const dns::ParsedReply reply = dns::parse_reply(octets, kQuestion, last_->id);
    const bool ours = made.id == last_->id && (made.flags & 0x8000) != 0;
    const bool asked = !made.no_question && made.question == kQuestion;
    const Next next = query_.on_packet(octets, world_.now);

    const auto* const answer = std::get_if<Answer>(&next);
    const bool usable = answer != nullptr && answer->outcome != Outcome::kFailure &&
                        answer->outcome != Outcome::kTimeout;
    require(!usable || (ours && asked), "an answer out of what is none");
    require(!usable || *answer == reply.answer, "another answer than the packet's");
    require(usable == (reply.verdict == Verdict::kAnswer), "an answer that is not taken");
    const auto* const send = std::get_if<Send>(&next);
    const bool forged = reply.verdict == Verdict::kForeign;
    if (forged) {
      ++foreign_;
      require(answer == nullptr, "a forgery ends the look-up");
      require(send == nullptr || (send->why == Why::kForgeries && send->tcp && !last_->tcp &&
                                  foreign_ == dns::Query::kMaxForeign),
              "forgeries lead elsewhere than to TCP");
    } else {
      if (!last_->tcp) heard_[last_->server] = true;
      world_.servers.answered(server(), *last_, usable, began_, world_.now);
      if (usable && query_.refused_edns()) world_.servers.refused_edns(server(), world_.now);
    }
    require(send == nullptr || send->why != Why::kTruncated ||
                reply.verdict == Verdict::kTruncated || last_->why == Why::kTruncated,
            "TCP for an answer that was not truncated");
    take(next);
  }

  void take(const Next& next) {
    if (const auto* const send = std::get_if<Send>(&next)) {
      require_allowed(*send);
      last_ = *send;
      sent_ = world_.now;
      closed_ = false;
      foreign_ = 0;
      return;
    }
    if (const auto* const answer = std::get_if<Answer>(&next)) {
      ended_ = true;
      require(answer->outcome != Outcome::kOverloaded, "an outcome that is the engine's");
      require(answer->cause == Cause::kNone ||
                  (answer->outcome == Outcome::kTimeout || answer->outcome == Outcome::kFailure),
              "a cause for an answer");
    }
  }

  void require_allowed(const Send& send) {
    require(world_.now < began_ + deadline_ || !last_, "sent when the time is over");
    require(send.until <= began_ + deadline_, "a try beyond the deadline");
    require(send.server < choice_.size(), "a server that there is not");
    require(!last_ || send.id != last_->id, "the same id twice");
    require(!send.first || (last_ && last_->server == send.server &&
                            (*send.first == last_->id || send.first == last_->first)),
            "the packet of another server is listened for");
    // Each try has a question and perhaps its TCP; each server a few more, once.
    require(++sends_ <= 2 * attempts_ + 8 * choice_.size(), "sent too often");
    const dns::Query::Server& how = choice_[send.server].how;
    require(send.tcp || !how.tcp_alone, "over UDP against options use-vc");
    if (send.tcp && !how.tcp_alone) {
      switch (send.why) {
        case Why::kTurn:
          require(how.form == Form::kTcp && !heard_[send.server], "TCP without a reason");
          break;
        case Why::kSilence:
          require(!heard_[send.server], "TCP to a server that answers over UDP");
          break;
        case Why::kTruncated:
        case Why::kForgeries:
          require(last_ && last_->server == send.server, "TCP to another server");
          break;
        case Why::kGlance:
          require(false, "a glance over TCP");
      }
    }
    require(send.why != Why::kGlance || (how.glance && send.edns), "a glance without need");
  }

  World& world_;
  Input& input_;
  std::vector<dns::Servers::Choice> choice_;
  Duration timeout_;
  std::size_t attempts_;
  Duration deadline_;
  TimePoint began_;
  dns::Query query_;
  std::vector<bool> heard_;  // over UDP
  std::optional<Send> last_;
  TimePoint sent_;
  std::size_t sends_ = 0;
  int foreign_ = 0;
  bool closed_ = false;
  bool ended_ = false;
};

const Question Watched::kQuestion = dns::testing::question("a.example");

FUZZ_TARGET(query, octets) {
  Input input(octets);
  World world{endpoints(1 + input.below(3)), input.yes()};
  world.servers.set(world.all, world.tcp_alone);
  // Each knows what those before it have learned.
  for (int i = 0; i < 8 && !input.empty(); ++i) {
    const auto choice = world.servers.choose(world.now);
    require(choice.size() == world.all.size(), "servers are lost");
    for (const base::Endpoint& endpoint : world.all) {
      require(std::ranges::count(choice, endpoint, &dns::Servers::Choice::endpoint) == 1,
              "a server twice");
    }
    Watched(world, input).run();
    world.now += std::chrono::seconds(input.octet());
  }
}

}  // namespace
}  // namespace http01::fuzz
