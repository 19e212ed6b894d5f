// For tables by question: strangers choose the names (base/keyed_hash.h).
#pragma once

#include "base/keyed_hash.h"
#include "dns/packed_answer.h"

namespace http01::dns {

class QuestionHash {
 public:
  std::size_t operator()(const protocol::Question& question) const {
    return hash_.of(PackedQuestion(question).bytes());
  }

 private:
  base::KeyedHash hash_ = base::KeyedHash::of_process();
};

}  // namespace http01::dns
