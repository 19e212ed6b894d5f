// The version of the program. It stands in the Makefile, and nowhere else.
#pragma once

#include <string_view>

#ifndef HTTP01_RELAY_VERSION
#error "the version comes from the Makefile, as -DHTTP01_RELAY_VERSION"
#endif

namespace http01 {

inline constexpr std::string_view kVersion = HTTP01_RELAY_VERSION;

}  // namespace http01
