// The PARAMS stream of one request (FastCGI 1.0, 3.4), cut anywhere. Of what comes in parts only
// the variables that count are kept, so that a request that is never finished holds little,
// whatever it sent: less than 20 KB. Never throws but std::bad_alloc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "transport/variables.h"

namespace http01::transport {

class ParamsStream {
 public:
  void append(std::string_view octets) {
    size_ += octets.size();
    if (skip_ > 0) [[unlikely]]
      skip(octets);
    content_.append(octets);
  }
  // To be called where more octets are waited for.
  void compact() {
    if (content_.size() >= compact_at_) drop_others();
  }

  // How many octets have come.
  std::size_t size() const { return size_; }
  // How many are kept.
  std::size_t kept() const { return content_.capacity(); }

  // Sets the variables of all pairs, in their order, and is empty again. False where a pair does
  // not end within the stream.
  bool finish(CgiVariables& variables);

  void clear() {
    if (size_ != 0) *this = {};
  }

 private:
  void skip(std::string_view& octets);
  void drop_others();

  // Small enough not to matter, large enough that it is seldom looked at.
  static constexpr std::size_t kSlack = 2048;

  std::string content_;
  std::size_t size_ = 0;
  std::size_t skip_ = 0;  // octets to come of a value that is not kept
  std::size_t compact_at_ = kSlack;
};

}  // namespace http01::transport
