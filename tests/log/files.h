// Files that a log is written to, and what is lost there.
#pragma once

#include <sys/resource.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/posix.h"
#include "log/output.h"

namespace http01 {

struct OutputDirectory {
  OutputDirectory() {
    std::string form = (std::filesystem::temp_directory_path() / "http01-log-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(form.data()) != nullptr);
    path = form;
  }
  ~OutputDirectory() { std::filesystem::remove_all(path); }

  std::filesystem::path path;
};

// "LINES: WHY", or "" where all were written.
inline std::string lost(const LogOutput::Pointer& output, std::string_view lines,
                        std::chrono::milliseconds patience = LogOutput::kForever) {
  const LogLoss loss = output->write(lines, patience);
  if (loss.lines == 0) return "";
  const std::string why =
      loss.error == LogLoss::kNotReadInTime ? "not read" : base::error_text(loss.error);
  return std::to_string(loss.lines) + ": " + why;
}

inline std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// While it lives, no file grows beyond so many bytes: a disk that is full in the middle of a line.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    base::Loop::block_signals({SIGXFSZ});
    BOOST_REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit limit{bytes, before_.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace http01
