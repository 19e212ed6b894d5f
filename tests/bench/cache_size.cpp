// What a million names in the cache take, and how long a look-up is then. Each name has the two
// answers of a redirect, the TXT and the CNAME record. Prints one line of JSON.
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "dns/cache.h"

namespace {

using http01::base::TimePoint;
using http01::protocol::Answer;
using http01::protocol::Name;
using http01::protocol::Outcome;
using http01::protocol::Question;
using http01::protocol::RecordType;

constexpr std::size_t kLookups = 200'000;

Name name(const std::string& text) { return Name::from_text(text).value(); }

Question txt_question(std::size_t number) {
  return {name("_dstack-app-address.app" + std::to_string(number) + ".example.com"),
          RecordType::kTxt};
}

Question cname_question(std::size_t number) {
  return {name("app" + std::to_string(number) + ".example.com"), RecordType::kCname};
}

Answer txt_answer() {
  Answer answer;
  answer.outcome = Outcome::kData;
  answer.ttl_s = 60;
  answer.texts.push_back({"5b912f5cec6c02d851db76bc20f410700f01fc65:443", 1, 44});
  return answer;
}

Answer cname_answer() {
  Answer answer;
  answer.outcome = Outcome::kData;
  answer.ttl_s = 60;
  answer.aliases.push_back(name("_.dstack-prod5.phala.network"));
  return answer;
}

std::size_t resident() {
  std::size_t all = 0;
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> all >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

double processor_nanoseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

struct Measured {
  double octets_each;       // of resident memory, an answer
  double nanoseconds_each;  // a look-up of an answer, in an order of chance
};

Measured measure(std::size_t answers) {
  const TimePoint now{};
  const std::size_t before = resident();
  http01::dns::Cache cache({answers, std::chrono::seconds{60}, std::chrono::seconds{10}});
  const Answer txt = txt_answer();
  const Answer cname = cname_answer();
  for (std::size_t i = 0; i < answers / 2; ++i) {
    cache.put(txt_question(i), txt, now);
    cache.put(cname_question(i), cname, now);
  }
  const std::size_t after = resident();

  std::vector<Question> questions;
  questions.reserve(kLookups);
  std::uint64_t random = 88172645463325252U;
  for (std::size_t i = 0; i < kLookups; ++i) {
    random ^= random << 13;  // xorshift64
    random ^= random >> 7;
    random ^= random << 17;
    const std::size_t number = random % (answers / 2);
    questions.push_back(i % 2 == 0 ? txt_question(number) : cname_question(number));
  }
  Answer answer;
  std::size_t found = 0;
  const double begin = processor_nanoseconds();
  for (const Question& question : questions) found += cache.get(question, now, answer) ? 1 : 0;
  const double took = processor_nanoseconds() - begin;
  if (found != kLookups || cache.size() != answers) {
    std::fprintf(stderr, "cache_size: %zu of %zu found, %zu entries\n", found, kLookups,
                 cache.size());
    std::exit(1);
  }
  return {static_cast<double>(after - before) / static_cast<double>(answers),
          took / static_cast<double>(kLookups)};
}

}  // namespace

int main() {
  const Measured small = measure(1000);
  ::malloc_trim(0);
  const Measured large = measure(1'000'000);
  std::printf("{\"octets_each\": %.1f, \"lookup_ns_1000\": %.1f, \"lookup_ns_1000000\": %.1f}\n",
              large.octets_each, small.nanoseconds_each, large.nanoseconds_each);
}
