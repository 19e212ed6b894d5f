// The HTTP statuses that the relay sends (RFC 9110 15): one closed list in the order of their
// codes, one table. Pure; never throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/enum.h"

namespace http01::protocol {

enum class HttpStatus : std::uint8_t {
  kOk,
  kMovedPermanently,
  kFound,
  kTemporaryRedirect,
  kPermanentRedirect,
  kBadRequest,
  kForbidden,
  kNotFound,
  kMethodNotAllowed,
  kContentTooLarge,
  kUriTooLong,
  kMisdirectedRequest,
  kInternalServerError,
  kBadGateway,
  kServiceUnavailable,
  kGatewayTimeout,
};

struct HttpStatusInfo {
  HttpStatus id;
  int code;
  std::string_view phrase;
};

inline constexpr base::EnumTable<HttpStatus, HttpStatusInfo> kHttpStatuses{{{
    {HttpStatus::kOk, 200, "OK"},
    {HttpStatus::kMovedPermanently, 301, "Moved Permanently"},
    {HttpStatus::kFound, 302, "Found"},
    {HttpStatus::kTemporaryRedirect, 307, "Temporary Redirect"},
    {HttpStatus::kPermanentRedirect, 308, "Permanent Redirect"},
    {HttpStatus::kBadRequest, 400, "Bad Request"},
    {HttpStatus::kForbidden, 403, "Forbidden"},
    {HttpStatus::kNotFound, 404, "Not Found"},
    {HttpStatus::kMethodNotAllowed, 405, "Method Not Allowed"},
    {HttpStatus::kContentTooLarge, 413, "Content Too Large"},
    {HttpStatus::kUriTooLong, 414, "URI Too Long"},
    {HttpStatus::kMisdirectedRequest, 421, "Misdirected Request"},
    {HttpStatus::kInternalServerError, 500, "Internal Server Error"},
    {HttpStatus::kBadGateway, 502, "Bad Gateway"},
    {HttpStatus::kServiceUnavailable, 503, "Service Unavailable"},
    {HttpStatus::kGatewayTimeout, 504, "Gateway Timeout"},
}}};

constexpr int code(HttpStatus status) { return kHttpStatuses[status].code; }
constexpr std::string_view phrase(HttpStatus status) { return kHttpStatuses[status].phrase; }
constexpr bool is_redirect(HttpStatus status) { return code(status) / 100 == 3; }

// Nothing for a status that is never sent.
constexpr std::optional<HttpStatus> http_status(std::int64_t number) {
  for (const HttpStatusInfo& row : kHttpStatuses) {
    if (row.code == number) return row.id;
  }
  return std::nullopt;
}

}  // namespace http01::protocol
