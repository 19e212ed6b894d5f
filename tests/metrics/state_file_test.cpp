#include "metrics/state_file.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "metrics/metrics.h"

namespace http01 {

namespace {

struct Directory {
  Directory() {
    std::string form = (std::filesystem::temp_directory_path() / "http01-state-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(form.data()) != nullptr);
    path = form;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
  std::ptrdiff_t entries() const {
    return std::distance(std::filesystem::directory_iterator(path), {});
  }

  std::filesystem::path path;
};

std::atomic<std::uint64_t>& counter(const StateFile& file) {
  return *static_cast<std::atomic<std::uint64_t>*>(file.data());
}

// "" where nothing is wrong.
std::string said(const base::Result<void>& result) { return result ? "" : result.error(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(state_file)

BOOST_AUTO_TEST_CASE(a_new_file_is_zeros_and_what_is_counted_stays) {
  const Directory directory;
  {
    auto file = StateFile::open(directory.file("state"), 4096, 1);
    BOOST_REQUIRE(bool(file));
    BOOST_TEST(!file->replaced());
    BOOST_TEST(counter(*file).load() == 0u);
    counter(*file) += 7;
  }
  auto again = StateFile::open(directory.file("state"), 4096, 1);
  BOOST_REQUIRE(bool(again));
  BOOST_TEST(counter(*again).load() == 7u);
  BOOST_TEST(directory.entries() == 1);
}

// Counters for everybody to write would be counters to lie with.
BOOST_AUTO_TEST_CASE(a_new_file_is_for_owner_and_group_whatever_the_umask) {
  const Directory directory;
  for (const mode_t mask : {0u, 0022u, 0077u}) {
    const std::string path = directory.file(std::to_string(mask).c_str());
    const mode_t before = ::umask(mask);
    const bool is_open = bool(StateFile::open(path, 4096, 1));
    ::umask(before);
    struct stat file {};
    BOOST_TEST(is_open);
    BOOST_REQUIRE(::stat(path.c_str(), &file) == 0);
    BOOST_TEST((file.st_mode & 07777) == 0660u);
  }
}

BOOST_AUTO_TEST_CASE(a_state_file_of_another_layout_or_size_is_replaced) {
  const Directory directory;
  const std::string path = directory.file("state");
  BOOST_REQUIRE(bool(StateFile::open(path, 4096, 1)));
  const auto other_layout = StateFile::open(path, 4096, 2);
  BOOST_REQUIRE(bool(other_layout));
  BOOST_TEST(other_layout->replaced());
  const auto other_size = StateFile::open(path, 8192, 2);
  BOOST_REQUIRE(bool(other_size));
  BOOST_TEST(other_size->replaced());
  std::filesystem::resize_file(path, 100);
  BOOST_TEST(StateFile::open(path, 8192, 2)->replaced());
  std::filesystem::resize_file(path, 0);
  BOOST_TEST(StateFile::open(path, 8192, 2)->replaced());
  BOOST_TEST(directory.entries() == 1);
}

// A configuration that named /dev/null made a regular file of it, for the whole machine.
BOOST_AUTO_TEST_CASE(what_is_no_state_file_is_never_replaced) {
  const Directory directory;
  std::ofstream(directory.file("text")) << "something else altogether";
  std::ofstream(directory.file("short")) << "relay";
  std::filesystem::create_directory(directory.file("directory"));
  std::filesystem::create_symlink(directory.file("text"), directory.file("link"));
  BOOST_REQUIRE(::mkfifo(directory.file("pipe").c_str(), 0600) == 0);
  std::vector<std::pair<std::string, std::string>> in_the_way{
      {"text", "is a file, but not a state file"},
      {"short", "is a file, but not a state file"},
      {"directory", "is a directory"},
      {"link", "is a symbolic link"},
      {"pipe", "is a pipe"}};
  // With the numbers of /dev/null, where the tests may make one.
  if (::mknod(directory.file("device").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0) {
    in_the_way.emplace_back("device", "is a device");
  }
  for (const auto& [name, what] : in_the_way) {
    struct stat before {};
    BOOST_REQUIRE(::lstat(directory.file(name.c_str()).c_str(), &before) == 0);
    const auto file = StateFile::open(directory.file(name.c_str()), 4096, 1);
    BOOST_TEST_REQUIRE(!file, name);
    BOOST_TEST(file.error().starts_with(directory.file(name.c_str()) + ": " + what), file.error());
    BOOST_TEST(said(StateFile::check_path(directory.file(name.c_str()))) == file.error());
    struct stat after {};
    BOOST_REQUIRE(::lstat(directory.file(name.c_str()).c_str(), &after) == 0);
    BOOST_TEST(after.st_ino == before.st_ino, name);
    BOOST_TEST(after.st_mode == before.st_mode, name);
    BOOST_TEST(after.st_size == before.st_size, name);
  }
  BOOST_TEST(directory.entries() == std::ssize(in_the_way));
  BOOST_TEST(bool(StateFile::check_path(directory.file("nothing"))));
}

BOOST_AUTO_TEST_CASE(garbage_written_over_the_mapped_file_is_replaced_by_who_maps_it) {
  const Directory directory;
  const std::string path = directory.file("state");
  const auto file = StateFile::open(path, 4096, 1);
  BOOST_REQUIRE(bool(file));
  std::ofstream(path) << std::string(4096 + 64, 'x');
  BOOST_TEST((file->path_now() == StateFile::Path::kOther));
  BOOST_TEST(!StateFile::open(path, 4096, 1));
  const auto next = StateFile::open(path, 4096, 1, &*file);
  BOOST_REQUIRE(bool(next));
  BOOST_TEST(next->replaced());
  BOOST_TEST(counter(*next).load() == 0u);
}

BOOST_AUTO_TEST_CASE(a_device_that_takes_the_path_is_told_once_and_stays) {
  const Directory directory;
  const std::string path = directory.file("state");
  Metrics metrics("1.2.3");
  BOOST_REQUIRE(bool(metrics.use_state_file(path)));
  std::filesystem::remove(path);
  BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  base::TimePoint now = base::Clock::now();
  BOOST_TEST(
      said(metrics.look_after(now += std::chrono::seconds(1))).starts_with(path + ": is a pipe"));
  BOOST_TEST(said(metrics.look_after(now += std::chrono::seconds(1))).empty());
  BOOST_TEST(std::filesystem::is_fifo(path));
  metrics.on_cache_hit();
  BOOST_TEST(metrics.page({}).find("\ndns_cache_hits_total 1\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_path_that_cannot_be_used_says_why) {
  const Directory directory;
  for (const std::string& path : {directory.file("no/such/place"), directory.path.string()}) {
    const auto file = StateFile::open(path, 4096, 1);
    BOOST_REQUIRE(!file);
    BOOST_TEST(file.error().starts_with(path + ": "), file.error());
  }
}

BOOST_AUTO_TEST_CASE(processes_that_count_at_once_and_end_by_force_lose_nothing) {
  constexpr int kProcesses = 8;
  constexpr std::uint64_t kCounts = 20'000;
  const Directory directory;
  std::array<pid_t, kProcesses> children{};
  for (pid_t& child : children) {
    child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
      // All of them find no file, and make one at the same time.
      const auto file = StateFile::open(directory.file("state"), 4096, 1);
      if (!file) ::_exit(1);
      for (std::uint64_t i = 0; i < kCounts; ++i)
        counter(*file).fetch_add(1, std::memory_order_relaxed);
      ::kill(::getpid(), SIGKILL);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    BOOST_TEST(WIFSIGNALED(status));
  }
  const auto file = StateFile::open(directory.file("state"), 4096, 1);
  BOOST_REQUIRE(bool(file));
  BOOST_TEST(counter(*file).load() == kProcesses * kCounts);
}

BOOST_AUTO_TEST_CASE(a_mapped_file_that_is_cut_short_takes_nobody_down) {
  const Directory directory;
  const std::string path = directory.file("state");
  auto file = StateFile::open(path, 4096 * 4, 1);
  BOOST_REQUIRE(bool(file));
  counter(*file) = 7;
  for (const std::uintmax_t size : {64U, 0U}) {
    std::filesystem::resize_file(path, size);
    BOOST_TEST((file->path_now() == StateFile::Path::kOther));
  }
  BOOST_TEST(!file->lost());
  counter(*file).fetch_add(1);  // SIGBUS
  BOOST_TEST(file->lost());
  BOOST_TEST(counter(*file).load() == 1u);
  file = StateFile::open(path, 4096 * 4, 1);
  BOOST_REQUIRE(bool(file));
  BOOST_TEST(!file->lost());
  BOOST_TEST(file->replaced());
  BOOST_TEST((file->path_now() == StateFile::Path::kThis));
}

BOOST_AUTO_TEST_CASE(a_file_says_what_has_become_of_its_path) {
  const Directory directory;
  const std::string path = directory.file("state");
  const auto file = StateFile::open(path, 4096, 1);
  BOOST_REQUIRE(bool(file));
  BOOST_TEST((file->path_now() == StateFile::Path::kThis));
  std::filesystem::remove(path);
  BOOST_TEST((file->path_now() == StateFile::Path::kOther));
  BOOST_REQUIRE(bool(StateFile::open(path, 4096, 1)));
  BOOST_TEST((file->path_now() == StateFile::Path::kOther));
  BOOST_REQUIRE(bool(StateFile::open(path, 4096, 2)));
  BOOST_TEST((file->path_now() == StateFile::Path::kForeign));
  BOOST_REQUIRE(bool(StateFile::open(path, 8192, 1)));
  BOOST_TEST((file->path_now() == StateFile::Path::kForeign));
  std::ofstream(path) << std::string(4096 + 64, 'x');
  BOOST_TEST((file->path_now() == StateFile::Path::kOther));
}

BOOST_AUTO_TEST_CASE(a_mark_ends_with_its_holder_however_that_ends) {
  const Directory directory;
  const std::string path = directory.file("state");
  const auto reader = StateFile::open(path, 4096, 1);
  BOOST_REQUIRE(bool(reader));
  std::array<int, 2> taken{};
  BOOST_REQUIRE(::pipe(taken.data()) == 0);
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    auto file = StateFile::open(path, 4096, 1);
    const char mark = file ? static_cast<char>('0' + file->take_mark(2).value_or(9)) : 'x';
    if (::write(taken[1], &mark, 1) == 1) ::pause();
    ::_exit(1);
  }
  char mark = 0;
  BOOST_REQUIRE(::read(taken[0], &mark, 1) == 1);
  BOOST_TEST(mark == '0');
  BOOST_TEST(reader->held_by_another(0));
  BOOST_TEST(!reader->held_by_another(1));
  {
    auto second = StateFile::open(path, 4096, 1);
    BOOST_REQUIRE(bool(second));
    BOOST_TEST((second->take_mark(2) == std::optional<std::size_t>(1)));
    BOOST_TEST(reader->held_by_another(1));
    auto third = StateFile::open(path, 4096, 1);
    BOOST_TEST(!third->take_mark(2).has_value());
  }
  BOOST_TEST(!reader->held_by_another(1));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  BOOST_TEST(!reader->held_by_another(0));
  ::close(taken[0]);
  ::close(taken[1]);
}

BOOST_AUTO_TEST_CASE(a_page_has_the_gauges_of_all_who_live) {
  const Directory directory;
  Metrics one("1.2.3");
  auto two = std::make_unique<Metrics>("1.2.3");
  BOOST_REQUIRE(bool(one.use_state_file(directory.file("state"))));
  BOOST_REQUIRE(bool(two->use_state_file(directory.file("state"))));
  two->show({3, 5, 7, 11});
  std::string page = one.page({10, 20, 30, 40});
  for (const char* line : {"http_requests_in_flight 13", "dns_in_flight 25", "dns_cache_entries 37",
                           "relay_log_lines_dropped_total 51", "relay_processes 2"}) {
    BOOST_TEST(page.find("\n" + std::string(line) + "\n") != std::string::npos, line);
  }
  two.reset();
  page = one.page({10, 20, 30, 40});
  for (const char* line : {"http_requests_in_flight 10", "dns_in_flight 20", "dns_cache_entries 30",
                           "relay_log_lines_dropped_total 51", "relay_processes 1"}) {
    BOOST_TEST(page.find("\n" + std::string(line) + "\n") != std::string::npos, line);
  }
}

// A reload that only some of the processes have taken is a thing to know of, whichever is asked.
BOOST_AUTO_TEST_CASE(a_reload_is_a_success_if_it_was_one_for_all_who_live) {
  const Directory directory;
  Metrics one("1.2.3");
  auto two = std::make_unique<Metrics>("1.2.3");
  for (Metrics* const metrics : {&one, two.get()}) {
    BOOST_REQUIRE(bool(metrics->use_state_file(directory.file("state"))));
  }
  const auto shows = [](Metrics& metrics, const char* value) {
    return metrics.page({}).find("\nrelay_config_last_reload_successful " + std::string(value) +
                                 "\n") != std::string::npos;
  };
  const auto timestamp = [](Metrics& metrics) {
    const std::string page = metrics.page({});
    const std::string name = "\nrelay_config_last_reload_success_timestamp_seconds ";
    return std::stod(page.substr(page.find(name) + name.size()));
  };
  BOOST_TEST(shows(one, "1"));
  const double before = timestamp(*two);
  two->reloaded(false);
  BOOST_TEST(shows(one, "0"));
  BOOST_TEST(shows(*two, "0"));
  one.reloaded(true);
  BOOST_TEST(shows(one, "0"));
  BOOST_TEST(timestamp(one) <= before);
  // It is started again, with what is there now.
  two.reset();
  BOOST_TEST(shows(one, "1"));
  BOOST_TEST(timestamp(one) >= before);
}

BOOST_AUTO_TEST_CASE(a_file_that_goes_away_is_noticed_within_a_second_and_told_once) {
  const Directory directory;
  const std::string path = directory.file("state");
  Metrics one("1.2.3");
  Metrics two("1.2.3");
  BOOST_REQUIRE(bool(one.use_state_file(path)));
  BOOST_REQUIRE(bool(two.use_state_file(path)));
  base::TimePoint now = base::Clock::now();
  const auto look = [&now](Metrics& metrics) {
    now += std::chrono::seconds(1);
    return said(metrics.look_after(now));
  };
  BOOST_TEST(look(one).empty());
  std::filesystem::remove(path);
  BOOST_TEST(bool(one.look_after(now + std::chrono::milliseconds(999))));
  BOOST_TEST(look(one).starts_with(path + ": was removed"));
  BOOST_TEST(look(one).empty());
  BOOST_TEST(look(two).starts_with(path + ": was removed"));
  one.on_cache_hit();
  BOOST_TEST(two.page({}).find("\ndns_cache_hits_total 1\n") != std::string::npos);

  std::filesystem::resize_file(path, 0);
  BOOST_TEST(!look(one).empty());
  BOOST_TEST(!look(two).empty());
  one.on_cache_hit();
  BOOST_TEST(two.page({}).find("\ndns_cache_hits_total 1\n") != std::string::npos);

  // Another version has its own counters: the two go on side by side, and neither replaces the
  // other's for ever.
  BOOST_REQUIRE(bool(StateFile::open(path, 4096, 1)));
  BOOST_TEST(look(one).find("another version") != std::string::npos);
  BOOST_TEST(look(one).empty());
  one.on_cache_hit();
  BOOST_TEST(two.page({}).find("\ndns_cache_hits_total 2\n") != std::string::npos);
  std::filesystem::remove(path);
  BOOST_TEST(look(one).starts_with(path + ": was removed"));
  BOOST_TEST(one.page({}).find("\ndns_cache_hits_total 0\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_page_has_the_sum_of_all_who_share_the_file) {
  const Directory directory;
  Metrics one("1.2.3");
  Metrics two("1.2.3");
  Metrics alone("1.2.3");
  BOOST_REQUIRE(bool(one.use_state_file(directory.file("state"))));
  BOOST_REQUIRE(bool(two.use_state_file(directory.file("state"))));
  for (Metrics* const metrics : {&one, &two, &two, &alone}) metrics->on_cache_hit();
  BOOST_TEST(one.page({}).find("\ndns_cache_hits_total 3\n") != std::string::npos);
  BOOST_TEST(two.page({}).find("\ndns_cache_hits_total 3\n") != std::string::npos);
  BOOST_TEST(alone.page({}).find("\ndns_cache_hits_total 1\n") != std::string::npos);

  BOOST_TEST(!one.use_state_file(directory.file("no/such/place")));
  one.on_cache_hit();
  BOOST_TEST(two.page({}).find("\ndns_cache_hits_total 4\n") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
