#include "dns/message.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "tests/dns/packets.h"

namespace http01::dns {

using namespace std::string_literals;

using namespace testing;
using protocol::Answer;
using protocol::Outcome;

std::ostream& operator<<(std::ostream& out, Verdict verdict) {
  return out << static_cast<int>(verdict);
}

BOOST_AUTO_TEST_SUITE(message)

const Question kText = question("www.example.com");

ParsedReply parse(const Message& message) {
  return parse_reply(message.octets(), message.question, 7);
}

std::string_view outcome_of(const Message& message) {
  const ParsedReply reply = parse(message);
  return reply.verdict == Verdict::kAnswer ? protocol::to_string(reply.answer.outcome) : "none";
}

std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

BOOST_AUTO_TEST_CASE(a_query_is_these_octets) {
  using namespace std::string_view_literals;
  constexpr std::string_view kQuestion = "\1a\1b\0\0\20\0\1"sv;
  const auto text = [](const std::vector<std::uint8_t>& packet) {
    return std::string(packet.begin(), packet.end());
  };
  BOOST_TEST(text(make_query(question("a.b"), 0x1234, false)) ==
             "\x12\x34\1\x20\0\1\0\0\0\0\0\0"s + std::string(kQuestion));
  BOOST_TEST(text(make_query(question("a.b"), 0x1234, true)) ==
             "\x12\x34\1\x20\0\1\0\0\0\0\0\1"s + std::string(kQuestion) +
                 std::string("\0\0\x29\x04\xd0\0\0\0\0\0\0"sv));
  BOOST_TEST(make_query({Name(), RecordType::kNs}, 1, false).size() == 17u);
  // CD in the place of AD.
  BOOST_TEST(make_query(question("a.b"), 1, false, false)[3] == 0x10);
}

BOOST_AUTO_TEST_CASE(a_text_is_its_strings_joined) {
  const ParsedReply reply =
      parse({.question = kText,
             .answer = {record(wire("www.example.com"), 16, 300, "\3abc\1\0\0\2de"s),
                        txt("www.example.com", "other", 200)}});
  BOOST_TEST(reply.verdict == Verdict::kAnswer);
  BOOST_TEST((reply.answer.outcome == Outcome::kData));
  BOOST_TEST(reply.answer.ttl_s == 200u);
  BOOST_TEST(!reply.answer.authenticated);
  BOOST_TEST_REQUIRE(reply.answer.texts.size() == 2u);
  BOOST_TEST((reply.answer.texts[0] == protocol::TxtRecord{"abc\0de"s, 4, 3}));
  BOOST_TEST((reply.answer.texts[1] == protocol::TxtRecord{"other", 1, 5}));
}

BOOST_AUTO_TEST_CASE(addresses_are_read) {
  const std::string owner = wire("www.example.com");
  Message message{.question = question("www.example.com", RecordType::kA),
                  .answer = {record(owner, 1, 60, "\xc0\0\2\1"s)}};
  BOOST_TEST(parse(message).answer.addresses.at(0).text() == "192.0.2.1");
  message = {.question = question("www.example.com", RecordType::kAaaa),
             .answer = {record(owner, 28, 60, "\x20\1\x0d\xb8"s + std::string(11, '\0') + '\1')}};
  BOOST_TEST(parse(message).answer.addresses.at(0).text() == "2001:db8::1");
}

BOOST_AUTO_TEST_CASE(caa_records_are_read) {
  const Question caa = question("www.example.com", RecordType::kCaa);
  const std::string owner = wire("www.example.com");
  const ParsedReply reply = parse(
      {.question = caa,
       .answer = {record(owner, 257, 60, "\0\5IssueCA.example; a=b"s),
                  record(owner, 257, 60, "\x80\5iodef"s), record(owner, 257, 60, "\x7f\1x\0"s)}});
  BOOST_TEST_REQUIRE(reply.answer.caas.size() == 3u);
  BOOST_TEST((reply.answer.caas[0] == protocol::CaaRecord{false, "issue", "CA.example; a=b"}));
  BOOST_TEST((reply.answer.caas[1] == protocol::CaaRecord{true, "iodef", ""}));
  BOOST_TEST((reply.answer.caas[2] == protocol::CaaRecord{false, "x", "\0"s}));

  // No tag, or one that is longer than the record.
  for (const std::string& rdata :
       {""s, "\0"s, "\0\0"s, "\0\0issue"s, "\0\6issue"s, "\0\xff"s + repeat("a", 254)}) {
    const Message broken{.question = caa, .answer = {record(owner, 257, 60, rdata)}};
    BOOST_TEST(parse(broken).verdict == Verdict::kUnreadable);
  }
  BOOST_TEST(parse({.question = caa,
                    .answer = {cname("www.example.com", "b.example"),
                               record(wire("b.example"), 257, 9, "\0\1xy"s)}})
                 .answer.caas.size() == 1u);
}

BOOST_AUTO_TEST_CASE(caa_of_any_octets_is_a_record_or_a_failure) {
  const Question caa = question("www.example.com", RecordType::kCaa);
  std::mt19937 random(1);
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string rdata(random() % 24, '\0');
    for (char& octet : rdata) octet = static_cast<char>(random() % (i % 2 == 0 ? 256 : 8));
    const ParsedReply reply =
        parse({.question = caa, .answer = {record(wire("www.example.com"), 257, 60, rdata)}});
    if (reply.verdict != Verdict::kAnswer) {
      BOOST_TEST_REQUIRE(reply.verdict == Verdict::kUnreadable);
      continue;
    }
    ++read;
    const protocol::CaaRecord& got = reply.answer.caas.at(0);
    BOOST_TEST_REQUIRE(got.tag.size() + got.value.size() + 2 == rdata.size());
  }
  BOOST_TEST(read > 1000);
}

BOOST_AUTO_TEST_CASE(the_ad_bit_is_passed_on) {
  BOOST_TEST(parse({.question = kText, .flags = 0x81a0, .answer = {txt("www.example.com", "a")}})
                 .answer.authenticated);
}

BOOST_AUTO_TEST_CASE(a_packet_that_does_not_match_is_foreign) {
  const Message good{.question = kText, .answer = {txt("www.example.com", "a")}};
  BOOST_TEST(parse(good).verdict == Verdict::kAnswer);
  const std::string own = wire("www.example.com");
  Message bad[] = {good, good, good, good, good, good, good};
  bad[0].id = 8;
  bad[1].flags = 0x0100;  // the query itself
  bad[2].flags = 0xa180;  // another opcode
  bad[3].question_section = wire("wwx.example.com") + u16(16) + u16(1);
  bad[4].question_section = own + u16(1) + u16(1);   // another type
  bad[5].question_section = own + u16(16) + u16(3);  // another class
  bad[6].question_section = wire("www.example.co") + u16(16) + u16(1);
  for (const Message& message : bad) BOOST_TEST(parse(message).verdict == Verdict::kForeign);

  auto octets = good.octets();
  octets[5] = 0;  // says that there is no question
  BOOST_TEST(parse_reply(octets, kText, 7).verdict == Verdict::kForeign);
  octets[5] = 2;
  BOOST_TEST(parse_reply(octets, kText, 7).verdict == Verdict::kForeign);
  octets = good.octets();
  for (std::size_t size = 0; size < 12 + own.size() + 4; ++size) {
    BOOST_TEST(parse_reply(Bytes(octets).first(size), kText, 7).verdict == Verdict::kForeign);
  }
}

BOOST_AUTO_TEST_CASE(letter_case_means_nothing_in_question_owner_and_target) {
  const ParsedReply reply = parse({.question = kText,
                                   .answer = {cname("wwW.Example.com", "Target.Example.NET"),
                                              txt("tARGET.example.net", "Text")},
                                   .question_section = wire("WWW.eXample.COM") + u16(16) + u16(1)});
  BOOST_TEST((reply.answer.outcome == Outcome::kData));
  BOOST_TEST(reply.answer.aliases.at(0).text() == "target.example.net");
  BOOST_TEST(reply.answer.texts.at(0).text == "Text");
}

BOOST_AUTO_TEST_CASE(truncation_is_read_before_the_body) {
  Message message{.question = kText, .flags = kTruncated, .answer = {txt("www.example.com", "a")}};
  auto octets = message.octets();
  octets.resize(octets.size() - 5);
  BOOST_TEST(parse_reply(octets, kText, 7).verdict == Verdict::kTruncated);
  message.id = 8;
  BOOST_TEST(parse(message).verdict == Verdict::kForeign);
}

BOOST_AUTO_TEST_CASE(rcodes_have_their_verdicts) {
  for (int rcode = 0; rcode < 16; ++rcode) {
    const Verdict expected = rcode == 0 || rcode == 3   ? Verdict::kAnswer
                             : rcode == 1 || rcode == 4 ? Verdict::kNoEdns
                                                        : Verdict::kFailure;
    const auto flags = static_cast<std::uint16_t>(0x8180 | rcode);
    BOOST_TEST(parse({.question = kText, .flags = flags}).verdict == expected, rcode);
  }
  BOOST_TEST(parse({.question = kText, .additional = {opt(0x01000000)}}).verdict ==
             Verdict::kNoEdns);  // BADVERS
  BOOST_TEST(parse({.question = kText, .additional = {opt(0x02000000)}}).verdict ==
             Verdict::kFailure);
  BOOST_TEST(
      parse({.question = kText, .flags = kNxDomain, .additional = {opt(0x01000000)}}).verdict ==
      Verdict::kFailure);
}

BOOST_AUTO_TEST_CASE(a_refusal_of_edns_may_be_the_bare_header) {
  std::vector<std::uint8_t> header{0, 7, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0};
  BOOST_TEST(parse_reply(header, kText, 7).verdict == Verdict::kNoEdns);
  BOOST_TEST(parse_reply(header, kText, 8).verdict == Verdict::kForeign);
}

BOOST_AUTO_TEST_CASE(what_has_no_question_may_be_a_failure_and_never_an_answer) {
  for (int rcode = 0; rcode < 16; ++rcode) {
    const Verdict expected = rcode == 1 || rcode == 4 ? Verdict::kNoEdns : Verdict::kFailure;
    Message message{.question = kText, .flags = static_cast<std::uint16_t>(0x8180 | rcode)};
    message.no_question = true;
    BOOST_TEST(parse(message).verdict == expected);
    BOOST_TEST(parse_reply(message.octets(), kText, 8).verdict == Verdict::kForeign);
    message.additional = {opt()};
    BOOST_TEST(parse(message).verdict == expected);
    message.trailer = std::string(20, '\0');
    BOOST_TEST(parse(message).verdict == expected);
    message.authority = {soa("example.com", 300, 300)};
    BOOST_TEST(parse(message).verdict == expected);
    message.answer = {txt("www.example.com", "a")};
    BOOST_TEST(parse(message).verdict == Verdict::kForeign);
  }
  Message version{.question = kText, .additional = {opt(0x01000000)}};
  version.no_question = true;
  BOOST_TEST(parse(version).verdict == Verdict::kNoEdns);
}

BOOST_AUTO_TEST_CASE(the_chain_is_followed_in_any_order_and_the_rest_ignored) {
  const ParsedReply reply = parse(
      {.question = kText,
       .answer = {txt("c.example.com", "end", 90), txt("off.example.com", "no", 1),
                  cname("b.example.com", "c.example.com", 80), cname("x.example", "y.example", 2),
                  cname("www.example.com", "b.example.com", 100)}});
  BOOST_TEST_REQUIRE(reply.answer.aliases.size() == 2u);
  BOOST_TEST(reply.answer.aliases[0].text() == "b.example.com");
  BOOST_TEST(reply.answer.aliases[1].text() == "c.example.com");
  BOOST_TEST_REQUIRE(reply.answer.texts.size() == 1u);
  BOOST_TEST(reply.answer.texts[0].text == "end");
  BOOST_TEST(reply.answer.ttl_s == 80u);
}

BOOST_AUTO_TEST_CASE(an_alias_hides_the_data_beside_it) {
  const Message message{
      .question = kText,
      .answer = {txt("www.example.com", "no"), cname("www.example.com", "b.example")}};
  BOOST_TEST(outcome_of(message) == "nodata");
}

BOOST_AUTO_TEST_CASE(records_of_another_class_are_ignored) {
  BOOST_TEST(outcome_of({.question = kText,
                         .answer = {record(wire("www.example.com"), 16, 60, "\1a", 3)}}) ==
             "nodata");
}

BOOST_AUTO_TEST_CASE(eight_aliases_are_followed_and_no_more) {
  Message message{.question = question("n0.example")};
  for (int i = 0; i < 8; ++i) {
    message.answer.push_back(
        cname("n" + std::to_string(i) + ".example", "n" + std::to_string(i + 1) + ".example"));
  }
  message.answer.push_back(txt("n8.example", "end"));
  BOOST_TEST(outcome_of(message) == "data");
  message.answer.back() = cname("n8.example", "n9.example");
  message.answer.push_back(txt("n9.example", "end"));
  BOOST_TEST(outcome_of(message) == "loop");
}

BOOST_AUTO_TEST_CASE(a_chain_that_comes_back_is_a_loop) {
  const ParsedReply reply =
      parse({.question = kText,
             .answer = {cname("www.example.com", "b.example", 50),
                        cname("b.example", "c.example", 40), cname("c.example", "b.example", 30)}});
  BOOST_TEST((reply.answer.outcome == Outcome::kLoop));
  BOOST_TEST(reply.answer.ttl_s == 30u);
  BOOST_TEST(reply.answer.aliases.size() == 2u);
  BOOST_TEST(outcome_of({.question = kText,
                         .answer = {cname("www.example.com", "www.example.com")}}) == "loop");
}

BOOST_AUTO_TEST_CASE(asked_for_an_alias_all_targets_of_the_very_name_are_told) {
  Message message{.question = question("www.example.com", RecordType::kCname),
                  .answer = {cname("b.example", "c.example"), cname("www.example.com", "b.example"),
                             cname("www.example.com", "d.example")}};
  for (const std::uint16_t flags : {std::uint16_t{0x8180}, kNxDomain}) {
    message.flags = flags;
    const ParsedReply reply = parse(message);
    BOOST_TEST((reply.answer.outcome == Outcome::kData));
    BOOST_TEST_REQUIRE(reply.answer.aliases.size() == 2u);
    BOOST_TEST(reply.answer.aliases[0].text() == "b.example");
    BOOST_TEST(reply.answer.aliases[1].text() == "d.example");
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_exist_is_kept_for_the_time_of_the_soa) {
  const auto ttl = [](std::uint16_t flags, std::vector<std::string> answer,
                      std::vector<std::string> authority) {
    return parse({.question = kText, .flags = flags, .answer = answer, .authority = authority})
        .answer.ttl_s;
  };
  BOOST_TEST(ttl(kNxDomain, {}, {soa("example.com", 300, 60)}) == 60u);
  BOOST_TEST(ttl(kNxDomain, {}, {soa("example.com", 30, 60)}) == 30u);
  BOOST_TEST(ttl(0x8180, {}, {soa("example.com", 30, 60)}) == 30u);
  BOOST_TEST(ttl(0x8180, {}, {}) == 0u);
  BOOST_TEST(ttl(0x8180, {}, {soa("example.net", 30, 60)}) == 0u);
  BOOST_TEST(ttl(0x8180, {}, {soa("example.com", 0x80000000, 60)}) == 0u);
  BOOST_TEST(ttl(0x8180, {}, {soa("example.com", 30, 0xffffffff)}) == 0u);
  BOOST_TEST(
      ttl(kNxDomain, {cname("www.example.com", "b.example", 20)}, {soa("example", 30, 60)}) == 20u);
}

BOOST_AUTO_TEST_CASE(outcomes_without_data) {
  BOOST_TEST(outcome_of({.question = kText, .flags = kNxDomain}) == "nxdomain");
  BOOST_TEST(outcome_of({.question = kText}) == "nodata");
  BOOST_TEST(outcome_of({.question = kText, .answer = {cname("www.example.com", "b.example")}}) ==
             "nodata");
  BOOST_TEST(outcome_of({.question = kText,
                         .flags = kNxDomain,
                         .answer = {cname("www.example.com", "b.example")}}) == "nxdomain");
  // It cannot both exist and not exist.
  BOOST_TEST(outcome_of({.question = kText,
                         .flags = kNxDomain,
                         .answer = {txt("www.example.com", "a")}}) == "none");
}

BOOST_AUTO_TEST_CASE(a_ttl_with_the_sign_bit_is_none) {
  const auto ttl = [](std::uint32_t field) {
    return parse({.question = kText, .answer = {txt("www.example.com", "a", field)}}).answer.ttl_s;
  };
  BOOST_TEST(ttl(0x7fffffff) == 0x7fffffffu);
  BOOST_TEST(ttl(0x80000000) == 0u);
}

BOOST_AUTO_TEST_CASE(a_server_that_only_points_to_others_has_failed) {
  Message message{
      .question = kText, .flags = 0x8100, .authority = {ns("example.com", "ns.example")}};
  BOOST_TEST(parse(message).verdict == Verdict::kFailure);
  message.flags = 0x8500;  // AA
  BOOST_TEST(outcome_of(message) == "nodata");
  message.flags = 0x8100;
  message.authority.push_back(soa("example.com", 1, 1));
  BOOST_TEST(outcome_of(message) == "nodata");
}

BOOST_AUTO_TEST_CASE(name_servers_of_the_root_are_data) {
  BOOST_TEST(outcome_of({.question = question(".", RecordType::kNs),
                         .answer = {ns("", "a.root-servers.net"), ns("", "b.root-servers.net")}}) ==
             "data");
}

BOOST_AUTO_TEST_CASE(compressed_names_are_read) {
  // 12: www.example.com, 16: example.com
  const ParsedReply reply = parse(
      {.question = kText,
       .answer = {record("\xc0\x0c", 5, 60, "\1b\xc0\x10"), record("\1b\xc0\x10", 16, 60, "\1a")}});
  BOOST_TEST((reply.answer.outcome == Outcome::kData));
  BOOST_TEST(reply.answer.aliases.at(0).text() == "b.example.com");
}

BOOST_AUTO_TEST_CASE(a_malformed_body_is_a_failure) {
  const std::string owner = wire("www.example.com");
  const std::string good = txt("www.example.com", "a");
  // The first record begins at 33.
  for (const char* pointer : {"\xc0\x21", "\xc0\x30", "\xc0\x04", "\x80\x0c", "\1a\xc0\x21"}) {
    BOOST_TEST(parse({.question = kText, .answer = {record(pointer, 16, 60, "\1a")}}).verdict ==
               Verdict::kUnreadable);
  }
  // Forward, to the owner of the second, which is a good name; in a record that nobody asked for.
  BOOST_TEST(
      parse({.question = kText, .answer = {record("\xc0\x2f", 99, 60, "\1a"), good}}).verdict ==
      Verdict::kUnreadable);
  const std::string bad[] = {
      record(owner, 16, 60, "\5abc"),                  // a string that is cut
      record(owner, 5, 60, ""),                        // CNAME without a name
      record(owner, 5, 60, "\1"),                      // RDLENGTH shorter than the name
      record(owner, 5, 60, wire("b.example") + good),  // a record hidden behind the name
      owner + u16(16) + u16(1) + u32(60) + u16(400) + "\1a",
      owner + u16(16) + u16(1) + u32(60),
      owner.substr(0, 5),
  };
  for (const std::string& one : bad) {
    BOOST_TEST(parse({.question = kText, .answer = {one}}).verdict == Verdict::kUnreadable);
    BOOST_TEST(parse({.question = kText, .answer = {good, one}}).verdict == Verdict::kUnreadable);
  }
  BOOST_TEST(parse({.question = question("www.example.com", RecordType::kA),
                    .answer = {record(owner, 1, 60, "\1\2\3")}})
                 .verdict == Verdict::kUnreadable);
  BOOST_TEST(parse({.question = question("www.example.com", RecordType::kAaaa),
                    .answer = {record(owner, 28, 60, "\1\2\3\4")}})
                 .verdict == Verdict::kUnreadable);
  BOOST_TEST(parse({.question = kText, .authority = {record(owner, 6, 60, wire("a") + wire("b"))}})
                 .verdict == Verdict::kUnreadable);
}

BOOST_AUTO_TEST_CASE(a_message_cut_anywhere_in_the_body_is_a_failure) {
  const Message message{.question = kText,
                        .answer = {cname("www.example.com", "b.example"), txt("b.example", "a")},
                        .authority = {soa("example", 1, 1)},
                        .additional = {opt()}};
  const auto octets = message.octets();
  for (std::size_t size = 12 + 17 + 4; size < octets.size(); ++size) {
    BOOST_TEST(parse_reply(Bytes(octets).first(size), kText, 7).verdict == Verdict::kUnreadable);
  }
  BOOST_TEST(parse_reply(octets, kText, 7).verdict == Verdict::kAnswer);
}

BOOST_AUTO_TEST_CASE(octets_after_the_message_mean_nothing) {
  Message message{.question = kText, .answer = {txt("www.example.com", "a")}};
  Message none{.question = kText, .flags = kNxDomain};
  for (const std::string& trailer : {"x"s, std::string(1, '\0'), std::string(500, '\0'),
                                     repeat("\xff", 40), opt(), txt("b.example", "c").substr(3)}) {
    message.trailer = none.trailer = trailer;
    BOOST_TEST(parse(message).answer.texts.size() == 1u);
    BOOST_TEST(outcome_of(none) == "nxdomain");
  }
}

// The records are there, and not counted: to take the rest for all of them would be wrong.
BOOST_AUTO_TEST_CASE(a_record_that_was_asked_for_after_the_message_is_a_failure) {
  for (const std::string& record : {txt("www.example.com", "b"),
                                    cname("www.example.com", "b.example"), opt() + txt("b", "c")}) {
    BOOST_TEST(parse({.question = kText, .trailer = record}).verdict == Verdict::kUnreadable);
    BOOST_TEST(
        parse({.question = kText, .answer = {txt("www.example.com", "a")}, .trailer = record})
            .verdict == Verdict::kUnreadable);
  }
}

BOOST_AUTO_TEST_CASE(an_opt_record_in_the_wrong_section_means_nothing_unless_counts_are_wrong) {
  const std::string good = txt("www.example.com", "a");
  for (const auto& answer : {std::vector{good, opt()}, std::vector{opt(), good}}) {
    BOOST_TEST(outcome_of({.question = kText, .answer = answer}) == "data");
  }
  BOOST_TEST(outcome_of({.question = kText, .answer = {opt()}}) == "nodata");
  BOOST_TEST(outcome_of({.question = kText, .answer = {good}, .authority = {opt()}}) == "data");
  // One record is counted, and OPT has come in between.
  BOOST_TEST(parse({.question = kText, .answer = {opt()}, .additional = {good}}).verdict ==
             Verdict::kUnreadable);
  BOOST_TEST(parse({.question = kText, .answer = {opt(), good}, .additional = {good}}).verdict ==
             Verdict::kUnreadable);
}

BOOST_AUTO_TEST_CASE(a_text_of_no_octets_is_an_empty_one) {
  const std::string empty = record(wire("www.example.com"), 16, 60, "");
  BOOST_TEST((parse({.question = kText, .answer = {empty}}).answer.texts.at(0) ==
              protocol::TxtRecord{"", 1, 0}));
  const ParsedReply beside =
      parse({.question = kText, .answer = {empty, txt("www.example.com", "a")}});
  BOOST_TEST_REQUIRE(beside.answer.texts.size() == 2u);
  BOOST_TEST(beside.answer.texts[1].text == "a");
}

BOOST_AUTO_TEST_CASE(one_opt_record_in_its_place_is_allowed) {
  const std::string good = txt("www.example.com", "a");
  BOOST_TEST(outcome_of({.question = kText, .answer = {good}, .additional = {opt()}}) == "data");
  // A CHAIN option (RFC 7901), which some printers do not survive.
  BOOST_TEST(outcome_of({.question = kText,
                         .answer = {good},
                         .additional = {opt(0, u16(13) + u16(1) + '\0')}}) == "data");
  BOOST_TEST(outcome_of({.question = kText, .answer = {good}, .additional = {opt(), opt()}}) ==
             "none");
  BOOST_TEST(outcome_of({.question = kText,
                         .answer = {good},
                         .additional = {record(wire("a"), 41, 0, "", 1232)}}) == "none");
}

BOOST_AUTO_TEST_CASE(records_nobody_asked_for_are_stepped_over) {
  // TSIG, of whatever octets.
  BOOST_TEST(outcome_of({.question = kText,
                         .answer = {record(wire("www.example.com"), 46, 60, "\1\2\3"),
                                    txt("www.example.com", "a")},
                         .additional = {record(wire("key"), 250, 0, "\xff\xff\xff", 255),
                                        record(wire("key"), 16, 0, "\xff")}}) == "data");
}

BOOST_AUTO_TEST_CASE(a_text_may_have_any_number_of_strings) {
  const std::string owner = wire("www.example.com");
  ParsedReply reply =
      parse({.question = kText, .answer = {record(owner, 16, 60, repeat("\1a", 64))}});
  BOOST_TEST(reply.answer.texts.at(0).text == std::string(64, 'a'));
  reply =
      parse({.question = kText,
             .answer = {record(owner, 16, 60, repeat("\1a", 65)), txt("www.example.com", "b")}});
  BOOST_TEST((reply.answer.texts.at(0) == protocol::TxtRecord{std::string(65, 'a'), 65, 1}));
  BOOST_TEST(reply.answer.texts.at(1).text == "b");
  // The largest that fits, all of empty strings.
  reply = parse({.question = kText, .answer = {record(owner, 16, 60, std::string(8000, '\0'))}});
  BOOST_TEST((reply.answer.texts.at(0) == protocol::TxtRecord{"", 8000, 0}));
}

BOOST_AUTO_TEST_CASE(records_and_octets_are_bounded) {
  Message message{.question = kText};
  message.answer.assign(128, record("\xc0\x0c", 16, 60, "\1a"));
  BOOST_TEST(parse(message).answer.texts.size() == 128u);
  message.answer.push_back(message.answer[0]);
  BOOST_TEST(parse(message).verdict == Verdict::kFailure);
  BOOST_TEST((parse(message).cause == protocol::Cause::kTooManyRecords));
  auto octets = message.octets();
  octets.resize(octets.size() / 2);  // the count alone
  BOOST_TEST(parse_reply(octets, kText, 7).verdict == Verdict::kUnreadable);

  // Header, question and record head are 12 + 21 + 12 octets.
  message.answer = {record("\xc0\x0c", 16, 60, std::string(kMaxMessage - 45, '\0'))};
  BOOST_TEST(message.octets().size() == kMaxMessage);
  BOOST_TEST(parse(message).verdict == Verdict::kAnswer);
  message.answer = {record("\xc0\x0c", 16, 60, std::string(kMaxMessage - 44, '\0'))};
  BOOST_TEST(parse(message).verdict == Verdict::kFailure);
  BOOST_TEST((parse(message).cause == protocol::Cause::kTooManyBytes));
}

BOOST_AUTO_TEST_CASE(a_chain_of_pointers_is_followed_only_so_far) {
  // One unasked record holds pointers, each to the one before it, the first to the question.
  const auto chained = [](std::size_t pointers) {
    std::string rdata = "\xc0\x0c";
    const std::size_t rdata_at = 12 + 21 + 12;
    for (std::size_t i = 1; i < pointers; ++i) rdata += u16(0xc000 | (rdata_at + 2 * (i - 1)));
    const std::string last = u16(0xc000 | (rdata_at + 2 * (pointers - 1)));
    return Message{.question = kText,
                   .answer = {record("\xc0\x0c", 99, 60, rdata), record(last, 16, 60, "\1a")}};
  };
  BOOST_TEST(outcome_of(chained(15)) == "data");
  BOOST_TEST(outcome_of(chained(16)) == "none");
  BOOST_TEST(outcome_of(chained(3000)) == "none");
}

BOOST_AUTO_TEST_CASE(a_name_that_grows_too_long_by_pointers_is_a_failure) {
  const std::string label = static_cast<char>(60) + std::string(60, 'a');
  // 15 + 2 * 61 + 1 and then 61 * 4 more.
  BOOST_TEST(outcome_of({.question = kText,
                         .answer = {record(label + label + "\xc0\x0c", 99, 60, ""),
                                    record(label + label + "\xc0\x21", 16, 60, "\1a")}}) == "none");
}

BOOST_AUTO_TEST_CASE(labels_of_any_octets_stay_labels) {
  const ParsedReply reply =
      parse({.question = question("www.example.com", RecordType::kCname),
             .answer = {record(wire("www.example.com"), 5, 60, "\3a.b\7ex\0mple\0"s)}});
  BOOST_TEST(reply.answer.aliases.at(0).text() == "a\\046b.ex\\000mple");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
