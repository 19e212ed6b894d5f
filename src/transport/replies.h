// The records that an application sends (FastCGI 1.0, 3.3 and on): a request's answer, its end, and
// the answers to management records. Pure; each is bounded but for the answer itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace http01::transport {

// protocolStatus of END_REQUEST (5.5).
enum class EndStatus : std::uint8_t {
  kComplete,         // FCGI_REQUEST_COMPLETE
  kCannotMultiplex,  // FCGI_CANT_MPX_CONN: another request of the connection is not done
  kUnknownRole,      // FCGI_UNKNOWN_ROLE: neither authorizer nor filter is served
};

// The records of a whole answer: STDOUT with these octets, the end of STDOUT, END_REQUEST.
std::string frame_answer(std::uint16_t id, std::string_view cgi);

// END_REQUEST alone.
std::string frame_end(std::uint16_t id, EndStatus status);

// UNKNOWN_TYPE, for a management record of a type that is not known (4.2).
std::string frame_unknown_type(std::uint8_t type);

// GET_VALUES_RESULT (4.1) for the content of GET_VALUES: each value that is known and asked for,
// once. What is not a pair ends the question.
std::string frame_values(std::string_view question);

}  // namespace http01::transport
