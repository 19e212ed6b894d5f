// libFuzzer's way into a program with one target.

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  http01::fuzz::targets().front().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
