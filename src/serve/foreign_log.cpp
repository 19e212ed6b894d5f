#include "serve/foreign_log.h"

#include <chrono>
#include <utility>

namespace http01 {
namespace {

// Each request of a web server with the wrong setting is such a connection.
constexpr std::chrono::minutes kPause{1};

}  // namespace

std::optional<std::string> ForeignLog::line(transport::Foreign kind, base::TimePoint now) {
  Seen& seen = seen_[kind];
  if (seen.last_line && now - *seen.last_line < kPause) {
    ++seen.without_line;
    return std::nullopt;
  }
  seen.last_line = now;
  std::string line(to_string(kind));
  if (const auto more = std::exchange(seen.without_line, 0); more != 0) {
    line += "; " + std::to_string(more) + " more since the last such line";
  }
  return line;
}

}  // namespace http01
