// A file of fixed size, mapped into memory and shared by all processes that name it: how counters
// are summed over processes and survive their ends. What stands in it is up to its user, who may
// only use lock-free atomics; an octet that a killed process left half-done cannot exist. Never
// throws. Nothing that is done to the file takes the process down: where one that is mapped is cut
// short, zeros of this process's own take its place (see lost()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace http01 {

class StateFile {
 public:
  // Opens or makes it. A state file of another size or layout, an empty file, and the one that
  // `before` has mapped, whatever stands in it now, are replaced by one of zeros; processes that
  // have the old one mapped go on with it. Nothing else is ever replaced. The failure says why the
  // path cannot be used.
  static base::Result<StateFile> open(const std::string& path, std::size_t octets,
                                      std::uint32_t layout, const StateFile* before = nullptr);

  // Fails where something is in the way that is never replaced; the failure names the path.
  static base::Result<void> check_path(const std::string& path);

  StateFile(StateFile&& other) noexcept;
  StateFile& operator=(StateFile&& other) noexcept;
  ~StateFile();

  // Of `octets` octets, aligned for any atomic; as long as this lives.
  void* data() const;
  // A file was there, and it was none of this layout.
  bool replaced() const { return replaced_; }

  // What has become of the path since.
  enum class Path : std::uint8_t {
    kThis,    // the file that is mapped
    kOther,   // nothing, or something else, which open() takes, replaces or refuses
    kForeign  // a whole file of another layout: another version of the program counts there
  };
  Path path_now() const;
  // The file was cut short (or its disk had no room for it) and is not counted in any more.
  bool lost() const;

  // A mark in the file is held by one holder at most, and ends with it, however it ends: with this
  // object or with the process. Takes one of so many; none where all are held.
  std::optional<std::size_t> take_mark(std::size_t marks);
  bool held_by_another(std::size_t mark) const;

 private:
  StateFile() = default;

  std::string path_;
  base::Fd fd_;
  void* mapping_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t layout_ = 0;
  bool replaced_ = false;
};

}  // namespace http01
