#include "transport/variables.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace http01::transport {
namespace {

using protocol::RawRequest;

// An absolute form has an authority before path and query.
constexpr std::size_t kMaxUri = 2 * protocol::Request::kMaxTarget;
constexpr std::size_t kMaxPathPart = protocol::Request::kMaxTarget;
// Host names, addresses, methods and numbers have fewer.
constexpr std::size_t kMaxShort = 512;

// Servers that do not know the length of a body set "" or "-1".
std::optional<std::uint64_t> parse_content_length(std::string_view text) {
  std::uint64_t length = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, length);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::numeric_limits<std::uint64_t>::max();
  return length;
}

// Not inlined, so that the many variables that do not count cost a comparison and no more.
[[gnu::noinline]] void keep(std::string& variable, std::string_view value, std::size_t max) {
  variable = value.substr(0, max);
}

[[gnu::noinline]] void keep_uri(std::string& uri, std::string_view value) {
  if (value.size() > kMaxUri) {
    uri.assign(kMaxPathPart + 1, '/');  // cut, it could be another path
  } else {
    uri = value;
  }
}

// What a path cannot contain as itself was sent as "%25", "%3F" or "%23".
void append_encoded(std::string& out, std::string_view path) {
  for (const char octet : path) {
    switch (octet) {
      case '%':
        out += "%25";
        break;
      case '?':
        out += "%3F";
        break;
      case '#':
        out += "%23";
        break;
      default:
        out += octet;
    }
  }
}

}  // namespace

std::size_t max_value(std::string_view name) {
  if (name == "REQUEST_URI") return kMaxUri;
  return std::ranges::find(PathVariables::kNames, name) == PathVariables::kNames.end()
             ? kMaxShort
             : kMaxPathPart;
}

void CgiVariables::set_known(std::string_view name, std::string_view value) {
  if (name == "REQUEST_METHOD") {
    keep(request.method, value, kMaxShort);
  } else if (name == "REQUEST_URI") {
    keep_uri(request.uri, value);
  } else if (name == "HTTP_HOST") {
    keep(request.host, value, kMaxShort);
  } else if (name == "REMOTE_ADDR") {
    keep(request.client, value, kMaxShort);
  } else if (name == "HTTPS") {
    request.https = value == "on" || value == "1";
  } else if (name == "CONTENT_LENGTH") {
    content_length = parse_content_length(value.substr(0, kMaxShort));
    request.body_too_large = content_length.value_or(0) > RawRequest::kMaxBody;
  }
}

void PathVariables::set(std::string_view name, std::string_view value) {
  if (name == "SCRIPT_NAME") {
    keep(script_name, value, kMaxPathPart + 1);
  } else if (name == "PATH_INFO") {
    keep(path_info, value, kMaxPathPart + 1);
  } else if (name == "QUERY_STRING") {
    keep(query, value, kMaxPathPart + 1);
  }
}

std::string PathVariables::uri() const {
  std::string uri;
  append_encoded(uri, script_name);
  append_encoded(uri, path_info);
  if (!query.empty()) uri += "?" + query;
  return uri;
}

}  // namespace http01::transport
