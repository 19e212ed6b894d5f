#include "transport/framing.h"

#include <fastcgi.h>

#include <algorithm>
#include <cstring>

namespace http01::transport {
namespace {

using protocol::RawRequest;

static_assert(sizeof(FCGI_Header) == FCGI_HEADER_LEN);
static_assert(sizeof(FCGI_BeginRequestBody) == 8);

// Of the content of GET_VALUES that is looked at: the three names that there are take 48 octets.
constexpr std::size_t kMaxQuestion = 1024;

constexpr std::size_t two_octets(unsigned char high, unsigned char low) {
  return static_cast<std::size_t>(high) << 8 | low;
}

}  // namespace

RequestReader::Progress RequestReader::feed(std::string_view octets) {
  std::size_t consumed = 0;
  if (status_ == Status::kRequest || status_ == Status::kEnded) status_ = Status::kNeedMore;
  while (status_ == Status::kNeedMore && consumed < octets.size()) {
    consumed += step(octets.substr(consumed));
  }
  if (phase_ == Phase::kParams) params_.compact();
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
  if (header.version != FCGI_VERSION_1) {
    status_ = Status::kBad;
    return;
  }
  is_fastcgi_ = true;
  const std::size_t id = two_octets(header.requestIdB1, header.requestIdB0);
  const std::size_t length = two_octets(header.contentLengthB1, header.contentLengthB0);
  record_ = sort(header.type, id, length);
  if (record_ != Record::kOfRequest) ignore(length);
  // Of a request that begins too early only the header is taken, which answered() looks at again.
  if (status_ == Status::kBad || status_ == Status::kNext) return;
  content_left_ = length;
  padding_left_ = header.paddingLength;
  record_is_empty_ = length == 0;
  if (content_left_ == 0 && padding_left_ == 0) on_record_end();
}

// What the record is, and what is to be done as soon as its header is there.
RequestReader::Record RequestReader::sort(int type, std::size_t id, std::size_t length) {
  if (id == FCGI_NULL_REQUEST_ID) return sort_management(type);
  if (phase_ == Phase::kBegin && type == FCGI_BEGIN_REQUEST) {
    if (length != sizeof(FCGI_BeginRequestBody)) status_ = Status::kBad;
    id_ = static_cast<std::uint16_t>(id);
    return Record::kOfRequest;
  }
  if (phase_ == Phase::kBegin || id != id_) return sort_inactive(type, id);
  return sort_active(type, length);
}

// FastCGI 1.0, 4.
RequestReader::Record RequestReader::sort_management(int type) {
  if (type == FCGI_GET_VALUES) {
    question_.clear();
    return Record::kGetValues;
  }
  // These are never a connection's own.
  if (type >= FCGI_BEGIN_REQUEST && type <= FCGI_DATA) {
    status_ = Status::kBad;
  } else {
    replies_ += frame_unknown_type(static_cast<std::uint8_t>(type));
  }
  return Record::kIgnored;
}

// Records of an id that is not active are ignored (3.3), as they come after an ABORT_REQUEST or a
// refusal.
RequestReader::Record RequestReader::sort_inactive(int type, std::size_t id) {
  if (type == FCGI_BEGIN_REQUEST) {
    replies_ += frame_end(static_cast<std::uint16_t>(id), EndStatus::kCannotMultiplex);
  }
  return Record::kIgnored;
}

RequestReader::Record RequestReader::sort_active(int type, std::size_t length) {
  if (type == FCGI_ABORT_REQUEST) {
    end_request(EndStatus::kComplete);
    return Record::kIgnored;
  }
  bool expected = false;
  switch (phase_) {
    case Phase::kBegin:
      break;
    case Phase::kParams:
      expected = type == FCGI_PARAMS && length <= kMaxParams - params_.size();
      break;
    case Phase::kBody:
      if (restarts(type, length)) {
        phase_ = Phase::kBegin;
        variables_ = {};
        expected = true;
      } else {
        expected = type == FCGI_STDIN;
        body_begun_ = true;
      }
      break;
    case Phase::kActive:
      if (type != FCGI_BEGIN_REQUEST) return Record::kIgnored;
      status_ = Status::kNext;
      return Record::kOfRequest;
  }
  if (!expected) status_ = Status::kBad;
  return Record::kOfRequest;
}

// lighttpd 1.4.69 that finds the queue of a unix socket full tries five times more, and keeps what
// it could not send: over the connection it gets in the end come as many whole heads as it took
// tries, and then the body once.
bool RequestReader::restarts(int type, std::size_t length) const {
  return type == FCGI_BEGIN_REQUEST && length == sizeof(FCGI_BeginRequestBody) && !body_begun_ &&
         heads_ < kMaxHeads;
}

void RequestReader::ignore(std::size_t length) {
  ++asides_;
  aside_octets_ += length;
  if (asides_ > kMaxAsides || aside_octets_ > kMaxAsideOctets) status_ = Status::kBad;
}

void RequestReader::on_content(std::string_view octets) {
  switch (record_) {
    case Record::kIgnored:
      return;
    case Record::kGetValues:
      question_.append(octets.substr(0, kMaxQuestion - question_.size()));
      return;
    case Record::kOfRequest:
      break;
  }
  if (phase_ == Phase::kBegin) {
    content_.append(octets);
    return;
  }
  if (phase_ == Phase::kParams) {
    params_.append(octets);
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
  if (record_ == Record::kGetValues) {
    replies_ += frame_values(question_);
    std::string().swap(question_);
  }
  if (record_ == Record::kOfRequest) on_record_of_request();
  if (std::exchange(has_ended_, false) && status_ == Status::kNeedMore) status_ = Status::kEnded;
}

void RequestReader::on_record_of_request() {
  if (status_ != Status::kNeedMore) return;
  switch (phase_) {
    case Phase::kBegin:
      on_begin();
      break;
    case Phase::kParams:
      if (record_is_empty_) on_params_end();
      break;
    case Phase::kBody:
      if (!record_is_empty_) break;
      phase_ = Phase::kActive;
      status_ = Status::kRequest;
      break;
    case Phase::kActive:
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
  if (two_octets(begin.roleB1, begin.roleB0) != FCGI_RESPONDER) {
    ignore(0);
    end_request(EndStatus::kUnknownRole);
  }
}

void RequestReader::on_params_end() {
  const bool good = params_.finish(variables_);
  phase_ = Phase::kBody;
  if (!good) {
    status_ = Status::kBad;
  } else if (variables_.request.body_too_large) {
    status_ = Status::kBodyTooLarge;
  }
}

// Where it has not been handed on and the connection is kept, nobody need know.
void RequestReader::end_request(EndStatus status) {
  replies_ += frame_end(id_, status);
  has_ended_ = phase_ == Phase::kActive || !keep_connection_;
  expect_begin();
}

void RequestReader::expect_begin() {
  phase_ = Phase::kBegin;
  heads_ = 0;
  body_begun_ = false;
  body_ = 0;
  content_.clear();
  params_.clear();
  variables_ = {};
}

void RequestReader::answered() {
  expect_begin();
  asides_ = 0;
  aside_octets_ = 0;
  const bool next = status_ == Status::kNext;
  status_ = Status::kNeedMore;
  if (next) on_header();
}

bool RequestReader::refuse() {
  if (phase_ != Phase::kParams && phase_ != Phase::kBody) return false;
  // For the log, as far as they are there.
  if (phase_ == Phase::kParams) params_.finish(variables_);
  variables_.request.overloaded = true;
  status_ = Status::kBodyTooLarge;
  return true;
}

std::size_t RequestReader::kept() const {
  const protocol::RawRequest& request = variables_.request;
  return params_.kept() + question_.capacity() + replies_.capacity() + request.uri.capacity() +
         request.host.capacity() + request.method.capacity() + request.client.capacity();
}

std::string_view RequestReader::foreign_octets() const {
  if (is_fastcgi_) return {};
  return {reinterpret_cast<const char*>(header_.data()), header_size_};
}

}  // namespace http01::transport
