#include "log/loss_reporter.h"

#include <new>
#include <string>

namespace http01 {

void LossReporter::add(const LogLoss& loss) {
  if (loss.lines == 0) return;
  unreported_.lines += loss.lines;
  unreported_.error = loss.error;
}

std::uint64_t LossReporter::write(LogOutput& output, std::string_view lines,
                                  const LogPatience& patience) {
  if (lines.empty()) return 0;
  LogLoss loss = report(output, patience);
  if (loss.lines > 0) {
    loss.lines = line_count(lines);
  } else {
    loss = output.write(lines, patience);
  }
  add(loss);
  return loss.lines;
}

// A report that is lost is no line of the log: it is made again, with more to report.
LogLoss LossReporter::report(LogOutput& output, const LogPatience& patience) {
  if (unreported_.lines == 0) return {};
  try {
    if (const std::string line = output.notice(unreported_); !line.empty()) {
      if (const LogLoss loss = output.write(line, patience); loss.lines > 0) return loss;
    }
    unreported_ = {};
  } catch (const std::bad_alloc&) {
    // Before the next lines, then.
  }
  return {};
}

}  // namespace http01
