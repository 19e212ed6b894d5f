// What the log is told by the configuration. A value.
#pragma once

#include <string>

namespace http01 {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError, kCritical, kOff };
enum class LogFormat { kText, kJson };

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  std::string target = "stderr";  // "stderr", "syslog" or a file's path
};

}  // namespace http01
