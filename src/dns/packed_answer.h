// Questions and answers in as few bytes as the cache can keep them in. The form is this process's
// own: it is not DNS's, never leaves its memory, and may change. unpack() trusts its input, so
// give it nothing but what pack() wrote. Nothing is allocated except by unpack(), for the answer;
// nothing throws but std::bad_alloc. Safe from any thread.
//
//   question   name size 1, name, type 2
//   answer     cause and outcome 1, authenticated 1, then four lists, each a count of 1 and its
//   members:
//     texts      strings 2, first size 2, size 2, text
//     aliases    size 1, name
//     addresses  size 1 (4 or 16), address
//     caas       critical 1, tag size 1, tag, value size 2, value
//
// Numbers are bytes, the high one first; a name is Name::labels(). One byte is enough for a count,
// since a message of more than 128 records is not an answer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/answer.h"

namespace http01::dns {

// The first byte determines the size, so no packed question is the beginning of another one.
class PackedQuestion {
 public:
  explicit PackedQuestion(const protocol::Question& question);

  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), size_}; }

 private:
  std::array<std::uint8_t, protocol::Name::kMaxWireOctets + 3> bytes_;
  std::size_t size_;
};

// How many bytes pack() writes.
std::size_t packed_size(const protocol::Answer& answer);

// Writes packed_size() bytes: all of the answer but its ttl_s.
void pack(const protocol::Answer& answer, std::uint8_t* to);

// Sets all of the answer but its ttl_s, which stays as it is.
void unpack(const std::uint8_t* from, protocol::Answer& answer);

}  // namespace http01::dns
