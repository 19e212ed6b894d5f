#include "transport/foreign.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/enum.h"

namespace http01::transport {
namespace {

using namespace std::string_view_literals;

constexpr base::EnumWords<Foreign> kAdvice{{{
    {Foreign::kHttp,
     "HTTP came on the FastCGI socket: let the web server speak FastCGI to it (nginx: "
     "fastcgi_pass, "
     "not proxy_pass; Apache: fcgi://; Caddy: transport fastcgi)"},
    {Foreign::kTls,
     "TLS came on the FastCGI socket: the web server must end TLS, and speak FastCGI to the relay"},
    {Foreign::kScgi,
     "SCGI came on the FastCGI socket: let the web server speak FastCGI to it (nginx: "
     "fastcgi_pass, "
     "not scgi_pass; lighttpd: fastcgi.server, not scgi.server)"},
    {Foreign::kUwsgi,
     "uwsgi came on the FastCGI socket: let the web server speak FastCGI to it (nginx: "
     "fastcgi_pass, not uwsgi_pass)"},
    {Foreign::kProxyProtocol,
     "the PROXY protocol came on the FastCGI socket: it is for the web server; switch it off "
     "towards "
     "the relay"},
    {Foreign::kUnknown,
     "something that is not FastCGI came on the FastCGI socket: only the web server is to be able "
     "to "
     "connect to it"},
}}};

// An upper-case word, then a space and the target: every request line, also HTTP/2's "PRI * HTTP".
// Of a longer method only the beginning is there.
bool is_http(std::string_view octets) {
  constexpr std::array kLongMethods{"OPTIONS "sv, "CONNECT "sv, "PROPFIND"sv};
  const std::size_t word = octets.find(' ');
  if (word == std::string_view::npos) return std::ranges::count(kLongMethods, octets) > 0;
  return word >= 3 &&
         std::ranges::all_of(octets.substr(0, word), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// RFC 8446 5.1: a handshake record of TLS 1.0 to 1.3.
bool is_tls(std::string_view octets) { return octets.starts_with("\x16\x03"sv); }

// A netstring: "70:CONTENT_LENGTH".
bool is_scgi(std::string_view octets) {
  const std::size_t digits = octets.find(':');
  return digits != std::string_view::npos && digits > 0 &&
         std::ranges::all_of(octets.substr(0, digits), base::is_digit) &&
         octets.substr(digits + 1, 1) == "C";
}

// A modifier 0, the size of the variables, another 0; then the size of the first name, which is not
// empty. Sizes are little-endian.
bool is_uwsgi(std::string_view octets) {
  return octets.size() >= 8 && octets[0] == 0 && octets[3] == 0 && octets[4] != 0 &&
         octets[5] == 0 && octets[6] >= 'A' && octets[6] <= 'Z';
}

bool is_proxy_protocol(std::string_view octets) {
  return octets.starts_with("PROXY "sv) || octets.starts_with("\r\n\r\n\0\r\nQ"sv);
}

}  // namespace

Foreign recognize_foreign(std::string_view octets) {
  octets = octets.substr(0, 8);
  if (is_proxy_protocol(octets)) return Foreign::kProxyProtocol;
  if (is_http(octets)) return Foreign::kHttp;
  if (is_tls(octets)) return Foreign::kTls;
  if (is_scgi(octets)) return Foreign::kScgi;
  if (is_uwsgi(octets)) return Foreign::kUwsgi;
  return Foreign::kUnknown;
}

std::string_view to_string(Foreign foreign) { return kAdvice[foreign].word; }

}  // namespace http01::transport
