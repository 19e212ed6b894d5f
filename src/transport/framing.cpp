#include "transport/framing.h"

#include <fastcgi.h>

#include <algorithm>
#include <cstring>

namespace http01::transport {
namespace {

using protocol::RawRequest;

static_assert(sizeof(FCGI_Header) == FCGI_HEADER_LEN);
static_assert(sizeof(FCGI_BeginRequestBody) == 8 && sizeof(FCGI_EndRequestBody) == 8);

constexpr std::size_t kMaxContent = FCGI_MAX_LENGTH;  // of one record: the length has two octets

constexpr std::size_t two_octets(unsigned char high, unsigned char low) {
  return static_cast<std::size_t>(high) << 8 | low;
}

// FastCGI 1.0, 3.4: one octet below 128, or four with the highest bit set.
bool take_length(std::string_view& rest, std::size_t& length) {
  const auto octet = [&rest](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  if (rest.empty()) return false;
  if (octet(0) < 0x80) [[likely]] {
    length = octet(0);
    rest.remove_prefix(1);
    return true;
  }
  if (rest.size() < 4) return false;
  length = two_octets(octet(0) & 0x7f, octet(1)) << 16 | two_octets(octet(2), octet(3));
  rest.remove_prefix(4);
  return true;
}

// False where a pair does not end within the stream.
template <class Variables>
bool take_params(std::string_view rest, Variables& variables) {
  while (!rest.empty()) {
    std::size_t name = 0;
    std::size_t value = 0;
    if (rest.size() >= 2 && ((rest[0] | rest[1]) & 0x80) == 0) [[likely]] {
      name = static_cast<unsigned char>(rest[0]);
      value = static_cast<unsigned char>(rest[1]);
      rest.remove_prefix(2);
    } else if (!take_length(rest, name) || !take_length(rest, value)) {
      return false;
    }
    if (name > rest.size() || value > rest.size() - name) return false;
    variables.set(rest.substr(0, name), rest.substr(name, value));
    rest.remove_prefix(name + value);
  }
  return true;
}

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

}  // namespace

RequestReader::Progress RequestReader::feed(std::string_view octets) {
  std::size_t consumed = 0;
  while (status_ == Status::kNeedMore && consumed < octets.size()) {
    consumed += step(octets.substr(consumed));
  }
  return {status_, consumed};
}

// Reads on to the end of the octets or of the header, content or padding they belong to.
std::size_t RequestReader::step(std::string_view octets) {
  if (header_size_ < header_.size()) return read_header(octets);
  const bool in_content = content_left_ > 0;
  std::size_t& left = in_content ? content_left_ : padding_left_;
  const std::size_t taken = std::min(left, octets.size());
  left -= taken;
  if (in_content) on_content(octets.substr(0, taken));
  if (content_left_ == 0 && padding_left_ == 0) on_record_end();
  return taken;
}

std::size_t RequestReader::read_header(std::string_view octets) {
  const std::size_t taken = std::min(header_.size() - header_size_, octets.size());
  std::memcpy(header_.data() + header_size_, octets.data(), taken);
  header_size_ = static_cast<std::uint8_t>(header_size_ + taken);
  if (header_size_ == header_.size()) on_header();
  return taken;
}

void RequestReader::on_header() {
  FCGI_Header header;
  std::memcpy(&header, header_.data(), sizeof header);
  const std::size_t id = two_octets(header.requestIdB1, header.requestIdB0);
  const std::size_t length = two_octets(header.contentLengthB1, header.contentLengthB0);

  // Management records (id 0), other requests' records, ABORT_REQUEST and DATA are all of the wrong
  // type or id for where they stand.
  bool expected = false;
  switch (phase_) {
    case Phase::kBegin:
      expected = header.type == FCGI_BEGIN_REQUEST && id != FCGI_NULL_REQUEST_ID &&
                 length == sizeof(FCGI_BeginRequestBody);
      break;
    case Phase::kParams:
      expected = header.type == FCGI_PARAMS && id == id_ && length <= kMaxParams - content_.size();
      break;
    case Phase::kBody:
      if (restarts(header.type, id, length)) {
        phase_ = Phase::kBegin;
        variables_ = {};
        expected = true;
      } else {
        expected = header.type == FCGI_STDIN && id == id_;
        body_begun_ = true;
      }
      break;
  }
  if (!expected || header.version != FCGI_VERSION_1) {
    status_ = Status::kBad;
    return;
  }
  id_ = static_cast<std::uint16_t>(id);
  content_left_ = length;
  padding_left_ = header.paddingLength;
  record_is_empty_ = length == 0;
  if (content_left_ == 0 && padding_left_ == 0) on_record_end();
}

// lighttpd 1.4.69 that finds the queue of a unix socket full tries five times more, and keeps what
// it could not send: over the connection it gets in the end come as many whole heads as it took
// tries, and then the body once.
bool RequestReader::restarts(int type, std::size_t id, std::size_t length) const {
  return type == FCGI_BEGIN_REQUEST && id == id_ && length == sizeof(FCGI_BeginRequestBody) &&
         !body_begun_ && heads_ < kMaxHeads;
}

void RequestReader::on_content(std::string_view octets) {
  if (phase_ != Phase::kBody) {
    content_.append(octets);
    return;
  }
  body_ += octets.size();
  if (body_ > RawRequest::kMaxBody) {
    variables_.request.body_too_large = true;
    status_ = Status::kBodyTooLarge;
  }
}

void RequestReader::on_record_end() {
  header_size_ = 0;
  if (status_ != Status::kNeedMore) return;
  switch (phase_) {
    case Phase::kBegin:
      on_begin();
      break;
    case Phase::kParams:
      if (record_is_empty_) on_params_end();
      break;
    case Phase::kBody:
      if (record_is_empty_) status_ = Status::kRequest;
      break;
  }
}

void RequestReader::on_begin() {
  FCGI_BeginRequestBody begin;
  std::memcpy(&begin, content_.data(), sizeof begin);
  content_.clear();
  keep_connection_ = (begin.flags & FCGI_KEEP_CONN) != 0;
  phase_ = Phase::kParams;
  ++heads_;
  if (two_octets(begin.roleB1, begin.roleB0) != FCGI_RESPONDER) status_ = Status::kBad;
}

void RequestReader::on_params_end() {
  const bool good = take_params(content_, variables_);
  if (good && variables_.request.uri.empty()) {
    PathVariables path;
    take_params(content_, path);
    variables_.request.uri = path.uri();
  }
  // Swapped, not assigned: a request that is held gives the stream's memory back.
  std::string().swap(content_);
  phase_ = Phase::kBody;
  if (!good) {
    status_ = Status::kBad;
  } else if (variables_.request.body_too_large) {
    status_ = Status::kBodyTooLarge;
  }
}

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
  FCGI_EndRequestBody end{};
  end.protocolStatus = FCGI_REQUEST_COMPLETE;
  append_header(out, FCGI_END_REQUEST, id, sizeof end);
  append_octets(out, end);
  return out;
}

}  // namespace http01::transport
