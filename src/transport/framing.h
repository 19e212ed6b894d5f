// The records of FastCGI 1.0: is a whole, sane request there yet, and what does an answer look
// like. Pure: no descriptor, no clock. Reads as a strict responder that serves one request at a
// time on a connection; whatever else the protocol allows is bad, and so bounded. Memory grows with
// the octets that came, never with a length that was declared. Never throws.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "transport/variables.h"

namespace http01::transport {

// Reads one request. A connection's next request takes a new reader.
class RequestReader {
 public:
  enum class Status : std::uint8_t {
    kNeedMore,
    kRequest,       // whole, the body read to its end
    kBodyTooLarge,  // more than RawRequest::kMaxBody octets, came or announced; the rest is not
                    // read
    kBad,           // nothing to be answered: the connection is to be closed
  };
  struct Progress {
    Status status;
    std::size_t consumed;  // of the octets fed; all of them unless kRequest, kBodyTooLarge or kBad
  };

  // All parameters of one request. Web servers hold a request's head to 8 to 32 KB and add about
  // one.
  static constexpr std::size_t kMaxParams = std::size_t{64} * 1024;

  // Of BEGIN_REQUEST and PARAMS before the body, each whole and of the same id; the last one
  // counts.
  static constexpr int kMaxHeads = 6;

  // Octets in the order they came, split anywhere. Not to be called again after another status than
  // kNeedMore.
  Progress feed(std::string_view octets);

  // After kRequest or kBodyTooLarge.
  std::uint16_t id() const { return id_; }
  bool keep_connection() const { return keep_connection_; }
  protocol::RawRequest take_request() { return std::move(variables_.request); }

 private:
  enum class Phase : std::uint8_t { kBegin, kParams, kBody };

  std::size_t step(std::string_view octets);
  std::size_t read_header(std::string_view octets);
  void on_header();
  bool restarts(int type, std::size_t id, std::size_t length) const;
  void on_content(std::string_view octets);
  void on_record_end();
  void on_begin();
  void on_params_end();

  std::array<unsigned char, 8> header_{};  // of the record being read
  std::uint8_t header_size_ = 0;
  Phase phase_ = Phase::kBegin;
  Status status_ = Status::kNeedMore;
  bool keep_connection_ = false;
  std::uint16_t id_ = 0;
  int heads_ = 0;
  bool body_begun_ = false;
  bool record_is_empty_ = false;
  std::size_t content_left_ = 0;
  std::size_t padding_left_ = 0;
  std::size_t body_ = 0;  // octets counted, none kept
  std::string content_;   // of BEGIN_REQUEST, then of the PARAMS stream
  CgiVariables variables_;
};

// The records of a whole answer: STDOUT with these octets, the end of STDOUT, END_REQUEST.
std::string frame_answer(std::uint16_t id, std::string_view cgi);

}  // namespace http01::transport
