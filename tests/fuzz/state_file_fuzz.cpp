// A state file of any contents: what another version, another program or a full disk left there.
// The first octet is the size asked for, the second the layout's number, the rest the file.

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "metrics/state_file.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace http01::fuzz {
namespace {

namespace fs = std::filesystem;

// What every state file begins with, of whatever version.
constexpr std::size_t kMagicOctets = 8;

// In memory where there is such a place.
class Directory {
 public:
  Directory() {
    std::string path = (fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path().string());
    path += "/state-file-fuzz.XXXXXX";
    require(::mkdtemp(path.data()) != nullptr, "no directory");
    path_ = path;
  }
  ~Directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path file() const { return path_ / "state"; }
  std::ptrdiff_t files() const {
    return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
  }

 private:
  fs::path path_;
};

std::string contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

FUZZ_TARGET(state_file, octets) {
  static const Directory directory;
  Input input(octets);
  const std::size_t size = 8 * (1 + input.octet());
  const auto layout = static_cast<std::uint32_t>(input.octet());
  const std::string_view contents = input.rest();
  const std::string path = directory.file().string();
  require(bool(StateFile::open(path, size, layout)), "no new file");
  const std::string fresh = contents_of(path);
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(contents.data(), static_cast<std::streamsize>(contents.size()));

  if (!contents.empty() && contents.substr(0, kMagicOctets) != fresh.substr(0, kMagicOctets)) {
    require(!StateFile::open(path, size, layout), "what is no state file is taken");
    require(contents_of(path) == contents, "what is no state file is changed");
    require(directory.files() == 1, "a file left behind");
    fs::remove(path);
    return;
  }

  const std::string zeros(size, '\0');
  {
    const auto file = StateFile::open(path, size, layout);
    require(bool(file), file ? "" : file.error());
    const std::string_view data(static_cast<const char*>(file->data()), size);
    // What stands before the counters says whose they are.
    const std::size_t head = fresh.size() - size;
    const bool ours = contents.size() == fresh.size() &&
                      contents.substr(0, head) == std::string_view(fresh).substr(0, head);
    require(file->replaced() == !ours, ours ? "replaced without need" : "another's file is taken");
    require(data == (ours ? contents.substr(head) : std::string_view(zeros)), "other counters");
    std::memset(file->data(), 0x5a, size);
  }
  const auto again = StateFile::open(path, size, layout);
  require(again && !again->replaced(), "replaced without need");
  require(std::memcmp(again->data(), std::string(size, '\x5a').data(), size) == 0, "lost counters");
  const auto other = StateFile::open(path, size + 8, layout);
  require(other && other->replaced(), "a file of another size");
  require(std::memcmp(other->data(), zeros.data(), size) == 0, "another size's counters");
  require(directory.files() == 1, "a file left behind");
  fs::remove(path);
}

}  // namespace
}  // namespace http01::fuzz
