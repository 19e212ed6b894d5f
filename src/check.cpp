#include "check.h"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "base/loop.h"
#include "doctor/doctor.h"
#include "doctor/probe.h"
#include "doctor/report.h"
#include "serve/descriptors.h"

namespace http01 {
namespace {

// Each has some thirty look-ups under way at first, a descriptor each.
constexpr std::size_t kExaminedAtOnce = 24;

int exit_status(protocol::Reason reason) {
  if (reason == protocol::Reason::kOk) return 0;
  return protocol::info(reason).passing ? 2 : 1;
}

// Not where a program reads, nor where the user wants none (no-color.org).
bool wants_colors() {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::vector<doctor::Evidence> examine(const Config& config, const Options& options) {
  base::Loop loop;
  std::vector<doctor::Evidence> gathered(options.domains.size());
  std::size_t begun = 0;
  std::size_t open = gathered.size();
  doctor::Doctor* examiner = nullptr;
  // One that needs no DNS ends within examine(): the next one is begun from the loop, not from
  // there.
  const auto begin_next = [&] {
    if (begun == gathered.size()) return;
    const std::size_t number = begun++;
    examiner->examine(number, options.domains[number]);
  };
  doctor::Doctor doctor(loop, config, {options.relay_addresses, options.ca},
                        [&](doctor::Doctor::Id id, doctor::Evidence& evidence) {
                          gathered[id] = std::move(evidence);
                          if (--open == 0) loop.stop();
                          loop.defer(begin_next);
                        });
  examiner = &doctor;
  loop.after(base::Duration::zero(), [&] {
    for (std::size_t i = 0; i < kExaminedAtOnce; ++i) begin_next();
  });
  loop.run();
  return gathered;
}

}  // namespace

int check(Config config, const Options& options) {
  if (options.probe) {
    if (const auto loaded = doctor::load_probe(); !loaded) {
      std::fprintf(stderr, "http01-relay: --probe: %s\n", loaded.error().c_str());
      return EX_UNAVAILABLE;
    }
  }
  raise_descriptor_limit();
  // They are for requests of strangers.
  constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
  config.limits = {kUnlimited, kUnlimited, kUnlimited};

  int status = 0;
  bool first = true;
  const bool colors = wants_colors();
  for (doctor::Evidence& evidence : examine(config, options)) {
    if (options.probe && !protocol::info(evidence.reply.reason).unseen) {
      evidence.probe = doctor::probe(evidence);
    }
    const doctor::Report report = doctor::make_report(config.policy, std::move(evidence));
    std::string text = first || options.json ? "" : "\n";
    text += options.json ? doctor::to_json(report) + "\n" : doctor::to_text(report, colors);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    first = false;
    status = std::max(status, exit_status(report.evidence.reply.reason));
  }
  return status;
}

}  // namespace http01
