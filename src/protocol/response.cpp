#include "protocol/response.h"

namespace http01::protocol {
std::string to_cgi(const Response& response, std::optional<Reason> reason, bool head) {
  std::string cgi;
  cgi.reserve(384 + response.location.size() + response.body.size());
  cgi.append("Status: ").append(std::to_string(code(response.status))).append(" ");
  cgi.append(phrase(response.status));
  if (!response.location.empty()) cgi.append("\r\nLocation: ").append(response.location);
  if (response.status == HttpStatus::kMethodNotAllowed) cgi.append("\r\nAllow: GET, HEAD");
  if (reason && info(*reason).passing && code(response.status) >= 500) {
    cgi.append("\r\nRetry-After: ").append(std::to_string(response.retry_after_s));
  }
  cgi.append("\r\nContent-Type: ").append(response.content_type);
  cgi.append("\r\nContent-Length: ").append(std::to_string(response.body.size()));
  cgi.append("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff");
  if (reason) cgi.append("\r\nX-Relay-Reason: ").append(info(*reason).word);
  cgi.append("\r\n\r\n");
  if (!head) cgi.append(response.body);
  return cgi;
}

}  // namespace http01::protocol
