// The records of FastCGI 1.0 that come on a connection: is a whole, sane request there yet, and
// what is to be replied to the rest. Pure: no descriptor, no clock. Reads as a responder that
// serves one request at a time on a connection. What else the protocol allows is replied to or
// ignored as it says, and bounded between two answers. Memory grows with the octets that came,
// never with a length that was declared.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "transport/params_stream.h"
#include "transport/replies.h"
#include "transport/variables.h"

namespace http01::transport {

// Reads the requests of a connection, one after the other.
class RequestReader {
 public:
  enum class Status : std::uint8_t {
    kNeedMore,
    kRequest,       // whole, the body read to its end; active until answered()
    kBodyTooLarge,  // more than RawRequest::kMaxBody octets, came or announced; the rest is not
                    // read
    kEnded,  // the web server gave the request up, or asked for another role; the END_REQUEST is
             // among the replies. The connection goes on if it is kept
    kNext,   // before the answer, another request of the same id begins
    kBad,    // nothing to be answered: the connection is to be closed
  };
  struct Progress {
    Status status;
    std::size_t consumed;  // of the octets fed; all of them if kNeedMore
  };

  // All parameters of one request. Web servers hold a request's head to 8 to 32 KB and add about
  // one.
  static constexpr std::size_t kMaxParams = std::size_t{64} * 1024;

  // Of BEGIN_REQUEST and PARAMS before the body, each whole and of the same id; the last one
  // counts.
  static constexpr int kMaxHeads = 6;

  // Records beside those of the requests that are answered, from one answer to the next: of the
  // connection itself, of requests that are refused or given up, of no request. And their octets.
  static constexpr int kMaxAsides = 128;
  static constexpr std::size_t kMaxAsideOctets = std::size_t{256} * 1024;

  // Octets in the order they came, split anywhere. Not to be called again after kBodyTooLarge and
  // kBad, after kNext not before answered(), after kEnded only if the connection is kept.
  Progress feed(std::string_view octets);

  // What is to be sent for what was fed, in this order, and before the answer to the request.
  // Between two answers, less than 10 KB.
  bool has_replies() const { return !replies_.empty(); }
  std::string take_replies() { return std::exchange(replies_, {}); }

  // The active request has been answered; the next may begin.
  void answered();

  // Gives up the request that is being read, as after kBodyTooLarge, and marks it as overloaded.
  // False if none has begun.
  bool refuse();

  // Octets that are kept of what has not been taken.
  std::size_t kept() const;

  // Whether a part of a request or a record is there.
  bool has_begun() const { return header_size_ > 0 || phase_ != Phase::kBegin; }

  // After kBad: the first octets of the connection, if already these were not FastCGI's; else "".
  std::string_view foreign_octets() const;

  // After kRequest or kBodyTooLarge.
  std::uint16_t id() const { return id_; }
  bool keep_connection() const { return keep_connection_; }
  protocol::RawRequest take_request() { return std::move(variables_.request); }

 private:
  enum class Phase : std::uint8_t { kBegin, kParams, kBody, kActive };
  enum class Record : std::uint8_t { kOfRequest, kGetValues, kIgnored };

  std::size_t step(std::string_view octets);
  std::size_t read_header(std::string_view octets);
  void on_header();
  Record sort(int type, std::size_t id, std::size_t length);
  Record sort_management(int type);
  Record sort_inactive(int type, std::size_t id);
  Record sort_active(int type, std::size_t length);
  bool restarts(int type, std::size_t length) const;
  void ignore(std::size_t length);
  void on_content(std::string_view octets);
  void on_record_end();
  void on_record_of_request();
  void on_begin();
  void on_params_end();
  void end_request(EndStatus status);
  void expect_begin();

  std::array<unsigned char, 8> header_{};  // of the record being read
  std::uint8_t header_size_ = 0;
  Phase phase_ = Phase::kBegin;
  Record record_ = Record::kOfRequest;
  Status status_ = Status::kNeedMore;
  bool keep_connection_ = false;
  bool is_fastcgi_ = false;  // the connection, by its first header
  std::uint16_t id_ = 0;
  int heads_ = 0;
  bool body_begun_ = false;
  bool has_ended_ = false;  // the request, with the record being read
  bool record_is_empty_ = false;
  std::size_t content_left_ = 0;
  std::size_t padding_left_ = 0;
  std::size_t body_ = 0;  // octets counted, none kept
  int asides_ = 0;
  std::size_t aside_octets_ = 0;
  std::string content_;  // of BEGIN_REQUEST
  ParamsStream params_;
  std::string question_;  // of GET_VALUES
  std::string replies_;
  CgiVariables variables_;
};

}  // namespace http01::transport
