// What is logged of connections that do not speak FastCGI: at most one line a minute for each kind.
// Told the time. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/enum.h"
#include "transport/foreign.h"

namespace http01 {

class ForeignLog {
 public:
  // The line for this connection, if one is due. It says how many had none since the last.
  std::optional<std::string> line(transport::Foreign kind, base::TimePoint now);

 private:
  struct Seen {
    std::optional<base::TimePoint> last_line;
    std::uint64_t without_line = 0;
  };
  base::EnumArray<transport::Foreign, Seen> seen_{};
};

}  // namespace http01
