// A fuzz target: a function that is given any octets and requires what must hold whatever they are.
// The same function is driven by libFuzzer (`make fuzz`, one program a target) and by the unit
// tests, which replay the kept inputs. A target leaves nothing behind between two inputs.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace http01::fuzz {

// What a target found; libFuzzer takes any exception for a find.
class Broken : public std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool holds, std::string_view what) {
  if (!holds) throw Broken(std::string(what));
}

struct Target {
  std::string_view name;  // of the file without "_fuzz.cpp", and of the corpus's directory
  void (*run)(std::string_view octets);
};

// Those linked into this program.
inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

struct Registration {
  explicit Registration(Target target) { targets().push_back(target); }
};

}  // namespace http01::fuzz

#define FUZZ_TARGET(name, octets)                                      \
  static void run_##name(std::string_view octets);                     \
  static const Registration registration_##name({#name, &run_##name}); \
  static void run_##name(std::string_view octets)
