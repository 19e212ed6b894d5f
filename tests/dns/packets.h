// Packets for the tests of src/dns, built octet by octet so that they may be as wrong as a test
// wants.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/answer.h"

namespace http01::dns::testing {

using protocol::Name;
using protocol::Question;
using protocol::RecordType;

inline Name name(std::string_view text) { return Name::from_text(text).value(); }
inline Question question(std::string_view text, RecordType type = RecordType::kTxt) {
  return {name(text), type};
}

inline std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string u32(std::uint32_t value) { return u16(value >> 16) + u16(value & 0xffff); }

// Letters stay as they are.
inline std::string wire(std::string_view text) {
  std::string octets;
  while (!text.empty()) {
    const std::string_view label = text.substr(0, text.find('.'));
    octets += static_cast<char>(label.size());
    octets += label;
    text.remove_prefix(label.size() == text.size() ? label.size() : label.size() + 1);
  }
  return octets + '\0';
}

inline std::string record(const std::string& owner, std::size_t type, std::uint32_t ttl,
                          const std::string& rdata, std::size_t klass = 1) {
  return owner + u16(type) + u16(klass) + u32(ttl) + u16(rdata.size()) + rdata;
}
inline std::string txt(std::string_view owner, std::string_view text, std::uint32_t ttl = 60) {
  return record(wire(owner), 16, ttl, static_cast<char>(text.size()) + std::string(text));
}
inline std::string cname(std::string_view owner, std::string_view target, std::uint32_t ttl = 60) {
  return record(wire(owner), 5, ttl, wire(target));
}
inline std::string soa(std::string_view zone, std::uint32_t ttl, std::uint32_t minimum) {
  return record(wire(zone), 6, ttl,
                wire("ns.example.net") + wire("mail.example.net") + u32(1) + u32(2) + u32(3) +
                    u32(4) + u32(minimum));
}
inline std::string ns(std::string_view owner, std::string_view server) {
  return record(wire(owner), 2, 60, wire(server));
}
inline std::string opt(std::uint32_t ttl = 0, const std::string& rdata = "") {
  return record(std::string(1, '\0'), 41, ttl, rdata, 1232);
}

struct Message {
  Question question;
  std::uint16_t id = 7;
  std::uint16_t flags = 0x8180;  // a response, RD, RA; the rcode is the lowest four bits
  std::vector<std::string> answer{};
  std::vector<std::string> authority{};
  std::vector<std::string> additional{};
  std::string question_section{};  // in place of the question's own
  std::string trailer{};
  bool no_question = false;

  std::vector<std::uint8_t> octets() const {
    std::string text = u16(id) + u16(flags) + u16(no_question ? 0 : 1) + u16(answer.size()) +
                       u16(authority.size()) + u16(additional.size());
    text += no_question                ? ""
            : question_section.empty() ? question.name.labels() + '\0' +
                                             u16(static_cast<std::size_t>(question.type)) + u16(1)
                                       : question_section;
    for (const auto* section : {&answer, &authority, &additional}) {
      for (const std::string& one : *section) text += one;
    }
    text += trailer;
    return {text.begin(), text.end()};
  }
};

inline constexpr std::uint16_t kServFail = 0x8182, kNxDomain = 0x8183, kFormErr = 0x8181,
                               kNotImp = 0x8184, kRefused = 0x8185, kTruncated = 0x8380;

}  // namespace http01::dns::testing
