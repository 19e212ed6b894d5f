// The version of the program, from the Makefile.
#pragma once

#include <string_view>

#ifndef HTTP01_RELAY_VERSION
#define HTTP01_RELAY_VERSION "0.1.0"
#endif

namespace http01 {

inline constexpr std::string_view kVersion = HTTP01_RELAY_VERSION;

}  // namespace http01
