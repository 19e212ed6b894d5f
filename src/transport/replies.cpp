#include "transport/replies.h"

#include <fastcgi.h>

#include <array>

#include "transport/pairs.h"

namespace http01::transport {
namespace {

static_assert(sizeof(FCGI_Header) == FCGI_HEADER_LEN && sizeof(FCGI_EndRequestBody) == 8 &&
              sizeof(FCGI_UnknownTypeBody) == 8);

constexpr std::size_t kMaxContent = FCGI_MAX_LENGTH;  // of one record: the length has two octets

struct Value {
  std::string_view name;
  std::string_view value;
};
// As many at once as the default of limits.in_flight; one request at a time on a connection.
constexpr std::array<Value, 3> kValues{
    {{FCGI_MAX_CONNS, "10000"}, {FCGI_MAX_REQS, "10000"}, {FCGI_MPXS_CONNS, "0"}}};

template <class Struct>
void append_octets(std::string& out, const Struct& record) {
  out.append(reinterpret_cast<const char*>(&record), sizeof record);
}

void append_header(std::string& out, unsigned char type, std::uint16_t id, std::size_t content) {
  FCGI_Header header{};
  header.version = FCGI_VERSION_1;
  header.type = type;
  header.requestIdB1 = static_cast<unsigned char>(id >> 8);
  header.requestIdB0 = static_cast<unsigned char>(id);
  header.contentLengthB1 = static_cast<unsigned char>(content >> 8);
  header.contentLengthB0 = static_cast<unsigned char>(content);
  append_octets(out, header);
}

void append_end(std::string& out, std::uint16_t id, unsigned char status) {
  FCGI_EndRequestBody end{};
  end.protocolStatus = status;
  append_header(out, FCGI_END_REQUEST, id, sizeof end);
  append_octets(out, end);
}

unsigned char protocol_status(EndStatus status) {
  switch (status) {
    case EndStatus::kComplete:
      return FCGI_REQUEST_COMPLETE;
    case EndStatus::kCannotMultiplex:
      return FCGI_CANT_MPX_CONN;
    case EndStatus::kUnknownRole:
      return FCGI_UNKNOWN_ROLE;
  }
  return FCGI_REQUEST_COMPLETE;
}

}  // namespace

std::string frame_answer(std::uint16_t id, std::string_view cgi) {
  std::string out;
  out.reserve(cgi.size() + (cgi.size() / kMaxContent + 3) * sizeof(FCGI_Header) +
              sizeof(FCGI_EndRequestBody));
  while (!cgi.empty()) {
    const std::string_view part = cgi.substr(0, kMaxContent);
    append_header(out, FCGI_STDOUT, id, part.size());
    out.append(part);
    cgi.remove_prefix(part.size());
  }
  append_header(out, FCGI_STDOUT, id, 0);
  append_end(out, id, FCGI_REQUEST_COMPLETE);
  return out;
}

std::string frame_end(std::uint16_t id, EndStatus status) {
  std::string out;
  append_end(out, id, protocol_status(status));
  return out;
}

std::string frame_unknown_type(std::uint8_t type) {
  std::string out;
  FCGI_UnknownTypeBody body{};
  body.type = type;
  append_header(out, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID, sizeof body);
  append_octets(out, body);
  return out;
}

std::string frame_values(std::string_view question) {
  std::array<bool, kValues.size()> asked{};
  take_pairs(question, [&asked](std::string_view name, std::string_view) {
    for (std::size_t i = 0; i < kValues.size(); ++i) asked[i] |= name == kValues[i].name;
  });
  std::string pairs;
  for (std::size_t i = 0; i < kValues.size(); ++i) {
    if (!asked[i]) continue;
    pairs += static_cast<char>(kValues[i].name.size());
    pairs += static_cast<char>(kValues[i].value.size());
    pairs.append(kValues[i].name).append(kValues[i].value);
  }
  std::string out;
  append_header(out, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID, pairs.size());
  return out + pairs;
}

}  // namespace http01::transport
