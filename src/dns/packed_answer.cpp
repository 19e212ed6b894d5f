#include "dns/packed_answer.h"

#include <cstring>
#include <string_view>

namespace http01::dns {
namespace {

using base::IpAddress;
using protocol::Answer;
using protocol::CaaRecord;
using protocol::Cause;
using protocol::Name;
using protocol::Outcome;
using protocol::Question;
using protocol::TxtRecord;

class Writer {
 public:
  explicit Writer(std::uint8_t* to) : at_(to) {}
  void number(std::size_t value, std::size_t bytes) {
    while (bytes-- > 0) *at_++ = static_cast<std::uint8_t>(value >> (8 * bytes));
  }
  void text(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  const std::uint8_t* end() const { return at_; }

 private:
  std::uint8_t* at_;
};

// Counts what Writer would write.
class Counter {
 public:
  void number(std::size_t, std::size_t bytes) { size_ += bytes; }
  void text(std::string_view text) { size_ += text.size(); }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

// Reads what Writer wrote, so it need not look for an end.
class Reader {
 public:
  explicit Reader(const std::uint8_t* from) : at_(from) {}
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    while (bytes-- > 0) value = value << 8 | *at_++;
    return value;
  }
  std::string_view text(std::size_t size) {
    at_ += size;
    return {reinterpret_cast<const char*>(at_ - size), size};
  }

 private:
  const std::uint8_t* at_;
};

template <class WriterOrCounter>
void write_answer(WriterOrCounter& writer, const Answer& answer) {
  writer.number(
      static_cast<std::size_t>(answer.cause) << 4 | static_cast<std::size_t>(answer.outcome), 1);
  writer.number(answer.authenticated ? 1 : 0, 1);
  writer.number(answer.texts.size(), 1);
  for (const TxtRecord& text : answer.texts) {
    writer.number(text.strings, 2);
    writer.number(text.first_size, 2);
    writer.number(text.text.size(), 2);
    writer.text(text.text);
  }
  writer.number(answer.aliases.size(), 1);
  for (const Name& alias : answer.aliases) {
    writer.number(alias.labels().size(), 1);
    writer.text(alias.labels());
  }
  writer.number(answer.addresses.size(), 1);
  for (const IpAddress& address : answer.addresses) {
    const std::size_t size = address.v6 ? 16 : 4;
    writer.number(size, 1);
    for (std::size_t i = 0; i < size; ++i) writer.number(address.octets[i], 1);
  }
  writer.number(answer.caas.size(), 1);
  for (const CaaRecord& caa : answer.caas) {
    writer.number(caa.critical ? 1 : 0, 1);
    writer.number(caa.tag.size(), 1);
    writer.text(caa.tag);
    writer.number(caa.value.size(), 2);
    writer.text(caa.value);
  }
}

}  // namespace

PackedQuestion::PackedQuestion(const Question& question) {
  Writer writer(bytes_.data());
  writer.number(question.name.labels().size(), 1);
  writer.text(question.name.labels());
  writer.number(static_cast<std::size_t>(question.type), 2);
  size_ = static_cast<std::size_t>(writer.end() - bytes_.data());
}

std::size_t packed_size(const Answer& answer) {
  Counter counter;
  write_answer(counter, answer);
  return counter.size();
}

void pack(const Answer& answer, std::uint8_t* to) {
  Writer writer(to);
  write_answer(writer, answer);
}

void unpack(const std::uint8_t* from, Answer& answer) {
  Reader reader(from);
  const std::size_t first = reader.number(1);
  answer.cause = static_cast<Cause>(first >> 4);
  answer.outcome = static_cast<Outcome>(first & 0xf);
  answer.authenticated = reader.number(1) != 0;
  answer.texts.resize(reader.number(1));
  for (TxtRecord& text : answer.texts) {
    text.strings = static_cast<std::uint16_t>(reader.number(2));
    text.first_size = static_cast<std::uint16_t>(reader.number(2));
    text.text = reader.text(reader.number(2));
  }
  answer.aliases.resize(reader.number(1));
  for (Name& alias : answer.aliases) {
    alias = Name::from_labels(reader.text(reader.number(1)));
  }
  answer.addresses.resize(reader.number(1));
  for (IpAddress& address : answer.addresses) {
    const std::size_t size = reader.number(1);
    address.v6 = size == 16;
    for (std::size_t i = 0; i < size; ++i) {
      address.octets[i] = static_cast<std::uint8_t>(reader.number(1));
    }
  }
  answer.caas.resize(reader.number(1));
  for (CaaRecord& caa : answer.caas) {
    caa.critical = reader.number(1) != 0;
    caa.tag = reader.text(reader.number(1));
    caa.value = reader.text(reader.number(2));
  }
}

}  // namespace http01::dns
