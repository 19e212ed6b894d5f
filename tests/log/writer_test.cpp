#include "log/writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace http01 {

namespace {

// Writes to a string of the test's.
class StringOutput final : public LogOutput {
 public:
  explicit StringOutput(std::string& to) : to_(to) {}
  ~StringOutput() override { to_ += "closed"; }

  LogLoss write(std::string_view lines, const LogPatience& patience) override {
    // No check of Boost's here: it is not for threads.
    to_ += patience.lasts(std::chrono::milliseconds(999)) ? lines : "in a hurry";
    return {};
  }

 private:
  std::string& to_;
};

// A reader that does not read until it is released.
class StuckOutput final : public LogOutput {
 public:
  StuckOutput(std::promise<void>& reached, std::future<void> released)
      : reached_(&reached), released_(std::move(released)) {}

  LogLoss write(std::string_view, const LogPatience&) override {
    if (reached_ != nullptr) std::exchange(reached_, nullptr)->set_value();
    if (released_.valid()) released_.get();
    return {};
  }

 private:
  std::promise<void>* reached_;
  std::future<void> released_;
};

class CountingOutput final : public LogOutput {
 public:
  explicit CountingOutput(std::atomic<std::size_t>& written) : written_(written) {}
  LogLoss write(std::string_view lines, const LogPatience&) override {
    written_ += lines.size();
    written_.notify_one();
    return {};
  }

 private:
  std::atomic<std::size_t>& written_;
};

std::string notice_of_loss(const LogLoss& loss) {
  return "lost " + std::to_string(loss.lines) + " by " + std::to_string(loss.error) + "\n";
}

// A disk that is full until it is freed. What is written goes to a string of the test's.
class FullOutput final : public LogOutput {
 public:
  FullOutput(std::string& to, const std::atomic<bool>& full) : to_(to), full_(full) {
    set_notice(notice_of_loss);
  }

  LogLoss write(std::string_view lines, const LogPatience&) override {
    if (full_) return {static_cast<std::uint64_t>(std::ranges::count(lines, '\n')), ENOSPC};
    to_ += lines;
    return {};
  }

 private:
  std::string& to_;
  const std::atomic<bool>& full_;
};

const std::string kLongLine = std::string(200, 'x') + "\n";

// Its reader does not read until all is over.
class StuckPipe {
 public:
  explicit StuckPipe(int flags) {
    std::array<int, 2> ends{};
    BOOST_REQUIRE(::pipe2(ends.data(), flags) == 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
    output_ = LogOutput::descriptor(writer_.get());
    output_->set_notice(notice_of_loss);
  }

  const LogOutput::Pointer& output() const { return output_; }
  std::uint64_t lines() const {
    std::array<char, 65536> buffer{};
    BOOST_REQUIRE(::fcntl(reader_.get(), F_SETFL, O_NONBLOCK) == 0);
    std::uint64_t lines = 0;
    for (ssize_t count; (count = ::read(reader_.get(), buffer.data(), buffer.size())) > 0;) {
      lines += line_count({buffer.data(), static_cast<std::size_t>(count)});
    }
    return lines;
  }

 private:
  base::Fd reader_;
  base::Fd writer_;
  LogOutput::Pointer output_;
};

void wait_for_losses(const LogWriter& writer, std::uint64_t lines) {
  while (writer.dropped() < lines) std::this_thread::yield();
}

const std::string kByFull = " by " + std::to_string(ENOSPC) + "\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(log_writer)

BOOST_AUTO_TEST_CASE(each_line_goes_to_its_output_in_the_order_it_came) {
  std::string first;
  std::string second;
  std::string expected_first;
  std::string expected_second;
  {
    LogWriter writer;
    const LogOutput::Pointer one = std::make_shared<StringOutput>(first);
    const LogOutput::Pointer two = std::make_shared<StringOutput>(second);
    for (int i = 0; i < 3000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      writer.add(i % 3 == 0 ? one : two, line);
      (i % 3 == 0 ? expected_first : expected_second) += line;
    }
    BOOST_TEST(writer.dropped() == 0u);
  }
  BOOST_TEST(first == expected_first + "closed");
  BOOST_TEST(second == expected_second + "closed");
}

// Or a service would lose all lines after the first few megabytes.
BOOST_AUTO_TEST_CASE(lines_that_have_been_written_make_room_for_others) {
  std::atomic<std::size_t> written = 0;
  LogWriter writer;
  const auto output = std::make_shared<CountingOutput>(written);
  const std::string line = std::string(1023, 'x') + "\n";
  std::size_t added = 0;
  // Six megabytes, of which four may wait.
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 1024; ++i, added += line.size()) writer.add(output, line);
    BOOST_TEST_REQUIRE(writer.dropped() == 0u);
    for (std::size_t now = written; now < added; now = written) written.wait(now);
  }
  BOOST_TEST(written == added);
}

// syslog(3) has one connection: if the old output closed it later, it would be the new one's.
BOOST_AUTO_TEST_CASE(an_old_output_closes_before_the_next_is_written_to) {
  std::string written;
  {
    LogWriter writer;
    for (const char* const line : {"one\n", "two\n", "three\n"}) {
      writer.add(std::make_shared<StringOutput>(written), line);
    }
  }
  BOOST_TEST(written == "one\nclosedtwo\nclosedthree\nclosed");
}

BOOST_AUTO_TEST_CASE(lines_that_find_no_room_are_counted) {
  std::promise<void> reached;
  std::promise<void> release;
  LogWriter writer;
  const LogOutput::Pointer stuck = std::make_shared<StuckOutput>(reached, release.get_future());
  writer.add(stuck, "the thread waits with this one\n");
  reached.get_future().get();
  const std::string line = std::string(1023, 'x') + "\n";
  for (int i = 0; i < 4096; ++i) writer.add(stuck, line);
  BOOST_TEST(writer.dropped() == 0u);
  for (int i = 0; i < 3; ++i) writer.add(stuck, line);
  BOOST_TEST(writer.dropped() == 3u);
  release.set_value();
}

BOOST_AUTO_TEST_CASE(
    lines_that_could_not_be_written_are_counted_and_reported_where_they_are_missing) {
  std::string written;
  std::atomic<bool> full = false;
  {
    LogWriter writer;
    const LogOutput::Pointer disk = std::make_shared<FullOutput>(written, full);
    writer.add(disk, "one\n");
    BOOST_TEST(writer.dropped() == 0u);
    // Written before the disk is full.
    std::promise<void> reached;
    writer.add(std::make_shared<StuckOutput>(reached, std::future<void>()), "behind it\n");
    reached.get_future().get();
    full = true;
    for (std::uint64_t lost = 1; lost <= 3; ++lost) {
      writer.add(disk, "lost\n");
      wait_for_losses(writer, lost);
    }
    full = false;
    writer.add(disk, "two\n");
    writer.add(disk, "three\n");
  }
  BOOST_TEST(written == "one\nlost 3" + kByFull + "two\nthree\n");
}

// After a reload to another one, say.
BOOST_AUTO_TEST_CASE(the_next_output_that_works_reports_what_was_lost) {
  std::string nothing;
  std::string written;
  const std::atomic<bool> full = true;
  const std::atomic<bool> not_full = false;
  {
    LogWriter writer;
    writer.add(std::make_shared<FullOutput>(nothing, full), "lost\n");
    writer.add(std::make_shared<FullOutput>(nothing, full), "lost\n");
    writer.add(std::make_shared<FullOutput>(written, not_full), "first\n");
  }
  BOOST_TEST(written == "lost 2" + kByFull + "first\n");
  BOOST_TEST(nothing == "");
}

BOOST_AUTO_TEST_CASE(lines_that_found_no_room_are_reported_behind_those_that_did) {
  std::promise<void> reached;
  std::promise<void> release;
  std::string written;
  const std::atomic<bool> full = false;
  {
    LogWriter writer;
    const LogOutput::Pointer stuck = std::make_shared<StuckOutput>(reached, release.get_future());
    const LogOutput::Pointer disk = std::make_shared<FullOutput>(written, full);
    writer.add(stuck, "the thread waits with this one\n");
    reached.get_future().get();
    const std::string line = std::string(1023, 'x') + "\n";
    for (int i = 0; i < 4095; ++i) writer.add(stuck, line);
    writer.add(disk, "last\n");
    for (int i = 0; i < 3; ++i) writer.add(disk, line);
    writer.add(disk, "fits\n");
    writer.lose(ENOMEM);
    writer.add(disk, "too\n");
    BOOST_TEST(writer.dropped() == 4u);
    release.set_value();
  }
  BOOST_TEST(written ==
             "last\nlost 3 by -1\nfits\nlost 1 by " + std::to_string(ENOMEM) + "\ntoo\n");
}

// At the end of service no thread may be had any more.
BOOST_AUTO_TEST_CASE(finishing_takes_nothing_of_the_system_and_waits_no_longer_than_told) {
  std::promise<void> reached;
  std::promise<void> release;
  std::atomic<std::size_t> written = 0;
  auto behind = std::make_shared<CountingOutput>(written);
  const std::weak_ptr<LogOutput> still_there = behind;
  std::atomic<std::size_t> written_before = 0;
  LogWriter writer;
  // Written is not held: this is not lost with what is.
  writer.add(std::make_shared<CountingOutput>(written_before), "before\n");
  writer.add(std::make_shared<StuckOutput>(reached, release.get_future()), "stuck\n");
  reached.get_future().get();
  writer.add(std::exchange(behind, nullptr), "behind it\n");
  BOOST_TEST(!writer.finish(std::chrono::milliseconds(5)));
  BOOST_TEST(written_before == 7u);
  BOOST_TEST(writer.dropped() == 2u);
  // The thread ends by itself: what was counted as lost is not written after all.
  release.set_value();
  while (!still_there.expired()) std::this_thread::yield();
  BOOST_TEST(written == 0u);
  BOOST_TEST(writer.dropped() == 2u);
  BOOST_TEST(writer.finish(LogOutput::kForever));
}

// Ends behind a reader that does not read, with a line for an output that works: all is accounted
// for.
void finish_behind_a_stuck_reader(std::chrono::milliseconds patience) {
  for (const int flags : {0, O_NONBLOCK}) {
    const StuckPipe pipe(flags);
    std::string written;
    const std::atomic<bool> full = false;
    LogWriter writer;
    for (int i = 0; i < 1000; ++i) writer.add(pipe.output(), kLongLine);
    writer.add(std::make_shared<FullOutput>(written, full), "first\n");
    BOOST_TEST(writer.finish(patience));
    const std::uint64_t lost = 1000 - pipe.lines();
    BOOST_TEST(lost > 0u);
    BOOST_TEST(writer.dropped() == lost);
    BOOST_TEST(written == "lost " + std::to_string(lost) + " by -1\nfirst\n");
  }
}

// The new log stayed empty: its lines waited for the old one's reader.
BOOST_AUTO_TEST_CASE(a_reader_that_does_not_read_gives_way_to_the_next_output) {
  finish_behind_a_stuck_reader(std::chrono::seconds(10));
}

// They had gone with the process, and no counter told. Less patience than the reader would have,
// with room for a busy machine.
BOOST_AUTO_TEST_CASE(lines_that_are_held_when_the_patience_is_over_are_counted_as_lost) {
  finish_behind_a_stuck_reader(std::chrono::milliseconds(1200));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
