// Lines that were lost, until a line in the log has reported them: lost on the way to an output, or
// because the output could not be written to. The report goes to whichever output works next, in
// the place of the lines. One thread at a time; nothing throws.
#pragma once

#include <cstdint>
#include <string_view>

#include "log/output.h"

namespace http01 {

class LossReporter {
 public:
  // Lost on the way.
  void add(const LogLoss& loss);

  // Reports what was lost before, and writes the lines (see LogOutput::write). Returns how many of
  // the lines were lost. Where the report cannot be written, all of them are.
  std::uint64_t write(LogOutput& output, std::string_view lines, const LogPatience& patience);

 private:
  LogLoss report(LogOutput& output, const LogPatience& patience);

  LogLoss unreported_;
};

}  // namespace http01
