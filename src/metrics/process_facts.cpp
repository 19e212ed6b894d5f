#include "metrics/process_facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace http01 {
namespace {

std::string directory_of(std::uint64_t pid) { return "/proc/" + std::to_string(pid); }

// Field `index` (from 1, as proc(5) counts) of /proc/[pid]/stat.
std::uint64_t stat_field(std::string_view stat, int index) {
  std::size_t at = stat.rfind(')');  // the name before it may hold anything
  for (int field = 2; at != std::string_view::npos && field < index; ++field)
    at = stat.find(' ', at + 1);
  std::uint64_t value = 0;
  if (at != std::string_view::npos) {
    std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), value);
  }
  return value;
}

double seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

base::Duration duration_of(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

std::optional<ProcessFacts> process_facts(std::uint64_t pid) {
  const base::Fd file(::open((directory_of(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size <= 0) return std::nullopt;
  const std::string_view stat(text.data(), static_cast<std::size_t>(size));
  const auto page_octets = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return ProcessFacts{stat_field(stat, 22), stat_field(stat, 24) * page_octets,
                      stat_field(stat, 23)};
}

std::optional<std::size_t> open_descriptors(std::uint64_t pid) {
  // Not by std::filesystem, whose iterator ends the process where there is no memory for an entry.
  const std::unique_ptr<DIR, CloseDirectory> directory(
      ::opendir((directory_of(pid) + "/fd").c_str()));
  if (!directory) return std::nullopt;
  std::size_t open = 0;
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.') ++open;
  }
  return open;
}

std::uint64_t own_pid() { return static_cast<std::uint64_t>(::getpid()); }

base::Duration processor_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return duration_of(usage.ru_utime) + duration_of(usage.ru_stime);
}

// Not by the time of boot in /proc/stat, which a service that may see processes only cannot read.
std::uint64_t start_milliseconds(const ProcessFacts& facts) {
  const double ticks_a_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double age =
      seconds_of(CLOCK_BOOTTIME) - static_cast<double>(facts.start_ticks) / ticks_a_second;
  return static_cast<std::uint64_t>((seconds_of(CLOCK_REALTIME) - age) * 1000);
}

}  // namespace http01
