// What a web server sends on a FastCGI connection, and how it reads the answer. For tests; written
// from the protocol's text, not with the code under test.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http01::fastcgi_records {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline std::string record(int type, int id, std::string_view content, std::size_t padding = 0,
                          int version = 1) {
  std::string out;
  for (const std::size_t octet : {static_cast<std::size_t>(version), static_cast<std::size_t>(type),
                                  static_cast<std::size_t>(id) >> 8, static_cast<std::size_t>(id),
                                  content.size() >> 8, content.size(), padding, std::size_t{0}}) {
    out += static_cast<char>(octet & 0xff);
  }
  out += content;
  out.append(padding, '#');
  return out;
}

inline std::string begin(int id = 1, int flags = 0, int role = 1) {
  std::string body(8, '\0');
  body[1] = static_cast<char>(role);
  body[2] = static_cast<char>(flags);
  return record(1, id, body);
}

inline std::string length(std::size_t value) {
  if (value < 128) return std::string(1, static_cast<char>(value));
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xff);
  out[0] = static_cast<char>(out[0] | '\x80');
  return out;
}

inline std::string pair(const std::string& name, const std::string& value) {
  return length(name.size()) + length(value.size()) + name + value;
}

inline std::string stream(int type, int id, std::string_view content, std::size_t chunk = 65535) {
  std::string out;
  for (; !content.empty(); content.remove_prefix(std::min(chunk, content.size()))) {
    out += record(type, id, content.substr(0, chunk));
  }
  return out + record(type, id, "");
}

inline std::string params(const Pairs& pairs, int id = 1, std::size_t chunk = 65535) {
  std::string content;
  for (const auto& [name, value] : pairs) content += pair(name, value);
  return stream(4, id, content, chunk);
}

inline std::string body(std::string_view content, int id = 1) { return stream(5, id, content); }

inline Pairs get(const std::string& uri) {
  return {{"SERVER_SOFTWARE", "test"},
          {"REQUEST_METHOD", "GET"},
          {"REQUEST_URI", uri},
          {"HTTP_HOST", "example.com"},
          {"REMOTE_ADDR", "192.0.2.1"}};
}

constexpr int kKeep = 1;

inline std::string request(const std::string& uri, int flags = 0, int id = 1) {
  return begin(id, flags) + params(get(uri), id) + body("", id);
}

struct Answer {
  std::string text;
  int id = 0;
  std::size_t octets = 0;  // of the stream, from its beginning to the end of END_REQUEST
};

// The first whole answer at the beginning of a stream, nothing if it is not all there or no answer.
inline std::optional<Answer> read_answer(std::string_view octets) {
  Answer answer;
  bool ended = false;
  for (std::size_t at = 0; octets.size() - at >= 8;) {
    const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(octets[at + i]); };
    const std::size_t size = octet(4) * 256u + octet(5);
    const std::size_t whole = 8 + size + octet(6);
    if (octet(0) != 1 || octets.size() - at < whole) return std::nullopt;
    answer.id = octet(2) * 256 + octet(3);
    const std::string_view content = octets.substr(at + 8, size);
    const int type = octet(1);
    at += whole;
    if (type == 6 && !ended) {
      answer.text += content;
      ended = content.empty();
    } else if (type == 3 && ended && content == std::string(8, '\0')) {
      answer.octets = at;
      return answer;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace http01::fastcgi_records
