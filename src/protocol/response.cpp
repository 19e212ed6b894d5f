#include "protocol/response.h"

namespace http01::protocol {
namespace {

// How long a client should wait for a cause that passes. Failures are kept for one second, and a CA
// asks again after some seconds if it asks again at all.
constexpr std::string_view kRetryAfterSeconds = "5";

// RFC 9110 15; the ones that are sent.
std::string_view phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 421:
      return "Misdirected Request";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

std::string to_cgi(const Response& response, bool head) {
  std::string cgi;
  cgi.reserve(384 + response.location.size() + response.body.size());
  cgi.append("Status: ").append(std::to_string(response.status)).append(" ");
  cgi.append(phrase(response.status));
  if (!response.location.empty()) cgi.append("\r\nLocation: ").append(response.location);
  if (response.status == 405) cgi.append("\r\nAllow: GET, HEAD");
  if (info(response.reason).passing && response.status >= 500) {
    cgi.append("\r\nRetry-After: ").append(kRetryAfterSeconds);
  }
  cgi.append("\r\nContent-Type: ").append(response.content_type);
  cgi.append("\r\nContent-Length: ").append(std::to_string(response.body.size()));
  cgi.append("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff");
  // A fault of the relay's own is no decision.
  if (response.status != 500) cgi.append("\r\nX-Relay-Reason: ").append(info(response.reason).word);
  cgi.append("\r\n\r\n");
  if (!head) cgi.append(response.body);
  return cgi;
}

}  // namespace http01::protocol
