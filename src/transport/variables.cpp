#include "transport/variables.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace http01::transport {
namespace {

using protocol::RawRequest;

// Servers that do not know the length of a body say "" or "-1": the body is then as long as it
// proves.
std::size_t parse_content_length(std::string_view text) {
  std::uint64_t length = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, length);
  if (stop != end || error == std::errc::invalid_argument) return 0;
  if (error == std::errc::result_out_of_range) return RawRequest::kMaxBody + 1;
  return std::min<std::uint64_t>(length, RawRequest::kMaxBody + 1);
}

}  // namespace

void CgiVariables::set(std::string_view name, std::string_view value) {
  if (name == "REQUEST_METHOD") {
    request.method = value;
  } else if (name == "REQUEST_URI") {
    request.uri = value;
  } else if (name == "HTTP_HOST") {
    request.host = value;
  } else if (name == "REMOTE_ADDR") {
    request.client = value;
  } else if (name == "HTTPS") {
    request.https = value == "on" || value == "1";
  } else if (name == "CONTENT_LENGTH") {
    content_length = parse_content_length(value);
    request.body_too_large = content_length > RawRequest::kMaxBody;
  }
}

}  // namespace http01::transport
