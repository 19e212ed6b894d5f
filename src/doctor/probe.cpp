#include "doctor/probe.h"

#ifndef HTTP01_RELAY_STATIC
#include <curl/curl.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/ascii.h"
#endif

namespace http01::doctor {

#ifdef HTTP01_RELAY_STATIC

// dlopen() needs a dynamic program, and a libcurl in this one would be most of it.
bool has_probe() { return false; }
base::Result<void> load_probe() {
  return base::Failure{std::string("this program is linked statically")};
}
Probe probe(const Evidence&) { return {}; }

#else

namespace {

// Boulder allows a connection 10 s.
constexpr long kConnectMilliseconds = 10'000;
constexpr long kTotalMilliseconds = 12'000;
constexpr int kPollMilliseconds = 200;
// More addresses than a sane name has.
constexpr std::size_t kMaxAddresses = 8;
// What a CA reads of a body, and enough to see that there is more.
constexpr std::size_t kMaxBody = 2048;
constexpr std::size_t kMaxHeader = 2048;
constexpr std::size_t kTokenSize = 43;  // 256 bits as base64url, as CAs make them
constexpr const char* kUserAgent = "http01-relay check --probe";

// Loaded at run time, not linked: libcurl brings thirty libraries with it, which would be mapped
// and set up at every start, and under CGI each request is one.
struct Curl {
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_multi_init) multi_init = nullptr;
  decltype(&::curl_multi_add_handle) multi_add_handle = nullptr;
  decltype(&::curl_multi_remove_handle) multi_remove_handle = nullptr;
  decltype(&::curl_multi_perform) multi_perform = nullptr;
  decltype(&::curl_multi_poll) multi_poll = nullptr;
  decltype(&::curl_multi_info_read) multi_info_read = nullptr;
  decltype(&::curl_multi_cleanup) multi_cleanup = nullptr;
};

base::Result<Curl> load() {
  void* const library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const error = ::dlerror();
    return base::Failure{std::string(error != nullptr ? error : "libcurl.so.4 cannot be loaded")};
  }
  Curl curl;
  const char* missing = nullptr;
  const auto find = [&](const char* name, auto& function) {
    using Function = std::remove_reference_t<decltype(function)>;
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr && missing == nullptr) missing = name;
  };
  find("curl_global_init", curl.global_init);
  find("curl_easy_init", curl.easy_init);
  find("curl_easy_setopt", curl.easy_setopt);
  find("curl_easy_getinfo", curl.easy_getinfo);
  find("curl_easy_cleanup", curl.easy_cleanup);
  find("curl_easy_strerror", curl.easy_strerror);
  find("curl_slist_append", curl.slist_append);
  find("curl_slist_free_all", curl.slist_free_all);
  find("curl_multi_init", curl.multi_init);
  find("curl_multi_add_handle", curl.multi_add_handle);
  find("curl_multi_remove_handle", curl.multi_remove_handle);
  find("curl_multi_perform", curl.multi_perform);
  find("curl_multi_poll", curl.multi_poll);
  find("curl_multi_info_read", curl.multi_info_read);
  find("curl_multi_cleanup", curl.multi_cleanup);
  if (missing != nullptr) return base::Failure{std::string("libcurl.so.4 has no ") + missing};
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return base::Failure{"libcurl cannot be set up"};
  }
  return curl;
}

const base::Result<Curl>& loaded() {
  static const base::Result<Curl> kCurl = load();
  return kCurl;
}

// Once load_probe() has not failed.
const Curl& curl() { return loaded().value(); }

// The value of a header line of this name, in any case; nothing for another.
bool read_header(std::string_view line, std::string_view name, std::string& value) {
  if (line.size() <= name.size() || line[name.size()] != ':' ||
      !base::equal_ignoring_case(line.substr(0, name.size()), name)) {
    return false;
  }
  value = base::trimmed(line.substr(name.size() + 1), " \t\r\n").substr(0, kMaxHeader);
  return true;
}

std::size_t on_header(const char* data, std::size_t, std::size_t size, void* user) {
  auto& result = *static_cast<ProbeResult*>(user);
  const std::string_view line(data, size);
  read_header(line, "location", result.location) ||
      read_header(line, "x-relay-reason", result.reason) ||
      read_header(line, "server", result.server);
  return size;
}

std::size_t on_body(const char*, std::size_t, std::size_t size, void* user) {
  auto& result = *static_cast<ProbeResult*>(user);
  result.body_octets += size;
  if (result.body_octets <= kMaxBody) return size;
  result.body_octets = kMaxBody;
  result.body_cut = true;
  return 0;  // ends the transfer
}

std::string random_token() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<unsigned char, kTokenSize> octets{};
  if (::getentropy(octets.data(), octets.size()) != 0) return "probe";
  std::string token;
  for (const unsigned char octet : octets) token += kDigits[octet % kDigits.size()];
  return token;
}

// GETs that run side by side, each at an address of its own.
class Requests {
 public:
  Requests() : multi_(curl().multi_init()) {}
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;
  ~Requests() {
    for (const Handle& handle : handles_) {
      curl().multi_remove_handle(multi_, handle.easy);
      curl().easy_cleanup(handle.easy);
      curl().slist_free_all(handle.resolve);
    }
    curl().multi_cleanup(multi_);
  }

  // `result` must stay where it is until the end.
  void add(ProbeResult& result, const std::string& host, int port) {
    Handle handle{curl().easy_init(), nullptr, &result};
    const std::string address =
        result.address.v6 ? "[" + result.address.text() + "]" : result.address.text();
    handle.resolve =
        curl().slist_append(nullptr, (host + ":" + std::to_string(port) + ":" + address).c_str());
    const auto set = [&](CURLoption option, auto value) {
      curl().easy_setopt(handle.easy, option, value);
    };
    set(CURLOPT_URL, result.url.c_str());
    set(CURLOPT_RESOLVE, handle.resolve);
    set(CURLOPT_PROXY, "");  // a CA knows no proxy of ours
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_SSL_ENABLE_ALPN, 0L);
    set(CURLOPT_SSL_VERIFYPEER, 0L);  // no CA looks at the certificate on a redirect
    set(CURLOPT_SSL_VERIFYHOST, 0L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
    set(CURLOPT_TIMEOUT_MS, kTotalMilliseconds);
    set(CURLOPT_USERAGENT, kUserAgent);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&result));
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&result));
    curl().multi_add_handle(multi_, handle.easy);
    handles_.push_back(handle);
  }

  void run() {
    int running = 0;
    do {
      if (curl().multi_perform(multi_, &running) != CURLM_OK) break;
      int left = 0;
      while (const CURLMsg* const message = curl().multi_info_read(multi_, &left)) {
        if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
      }
      if (running > 0) curl().multi_poll(multi_, nullptr, 0, kPollMilliseconds, nullptr);
    } while (running > 0);
  }

 private:
  struct Handle {
    CURL* easy;
    curl_slist* resolve;
    ProbeResult* result;
  };

  void finish(CURL* easy, CURLcode code) {
    const auto found = std::ranges::find(handles_, easy, &Handle::easy);
    if (found == handles_.end()) return;
    ProbeResult& result = *found->result;
    long status = 0;
    curl_off_t microseconds = 0;
    curl().easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl().easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &microseconds);
    result.status = static_cast<int>(status);
    result.took = std::chrono::microseconds(microseconds);
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && result.body_cut)) return;
    result.error = curl().easy_strerror(code);
    result.tls_failed =
        code == CURLE_SSL_CONNECT_ERROR || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR;
  }

  CURLM* multi_;
  std::vector<Handle> handles_;
};

std::vector<base::IpAddress> all_addresses(const Evidence& evidence, const protocol::Name& name) {
  auto addresses = evidence.addresses(name, protocol::RecordType::kAaaa);
  for (const base::IpAddress& v4 : evidence.addresses(name, protocol::RecordType::kA)) {
    addresses.push_back(v4);
  }
  if (addresses.size() > kMaxAddresses) addresses.resize(kMaxAddresses);
  return addresses;
}

}  // namespace

bool has_probe() { return true; }

base::Result<void> load_probe() {
  if (!loaded()) return base::Failure{loaded().error()};
  return {};
}

Probe probe(const Evidence& evidence) {
  Probe probe;
  probe.done = true;
  const std::string token = random_token();
  probe.path = std::string(protocol::kChallengePrefix) + token;
  const std::string domain = evidence.domain().text();
  for (const base::IpAddress& address : all_addresses(evidence, evidence.domain())) {
    probe.domain.push_back({"http://" + domain + probe.path, address});
  }
  const auto url = redirect_for(evidence.reply, token);
  const auto host = gateway_host(evidence);
  const bool https = url && url->starts_with("https:");
  if (url && host) {
    for (const base::IpAddress& address : all_addresses(evidence, *host)) {
      probe.gateway.push_back({*url, address});
    }
  }
  Requests requests;
  for (ProbeResult& result : probe.domain) requests.add(result, domain, 80);
  for (ProbeResult& result : probe.gateway) requests.add(result, host->text(), https ? 443 : 80);
  requests.run();
  return probe;
}

#endif

}  // namespace http01::doctor
