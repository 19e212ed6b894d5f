// The log's part of the configuration. A value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/enum.h"

namespace http01 {

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kCritical, kOff };
struct LogLevelInfo {
  LogLevel id;
  std::string_view word;
  std::string_view also;  // another word for it, "" for none
};

inline constexpr base::EnumTable<LogLevel, LogLevelInfo> kLogLevels{{{
    {LogLevel::kTrace, "trace", ""},
    {LogLevel::kDebug, "debug", ""},
    {LogLevel::kInfo, "info", ""},
    {LogLevel::kWarn, "warn", "warning"},
    {LogLevel::kError, "error", "err"},
    {LogLevel::kCritical, "critical", ""},
    {LogLevel::kOff, "off", ""},
}}};

enum class LogFormat : std::uint8_t { kText, kJson };

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  std::string target = "stderr";  // "stderr", "syslog" or a file's path

  bool operator==(const LogSettings&) const = default;
};

}  // namespace http01
