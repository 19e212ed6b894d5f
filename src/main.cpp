// Which front door: options, a web server's FastCGI socket, or a CGI request.
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "base/loop.h"
#include "check.h"
#include "config/advice.h"
#include "config/environment.h"
#include "config/load.h"
#include "options.h"
#include "serve/serve.h"
#include "transport/cgi.h"
#include "transport/listen.h"
#include "version.h"

namespace {

using namespace http01;

// Not by <iostream>: its objects are set up at every start, and under CGI each request is one.
void print(std::FILE* to, std::string_view text) { std::fwrite(text.data(), 1, text.size(), to); }

// A listing or a verdict that did not get out, because the disk is full say, is no success.
int printed(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  print(stderr, "http01-relay: standard output cannot be written\n");
  return EX_IOERR;
}

int usage(const std::string& fault) {
  if (!fault.empty()) print(stderr, "http01-relay: " + fault + "\n\n");
  print(stderr, usage_text());
  return EX_USAGE;
}

int unavailable(const std::string& fault) {
  print(stderr, "http01-relay: " + fault + "\n");
  return EX_UNAVAILABLE;
}

int config_faults(const ConfigFaults& faults) {
  for (const std::string& fault : faults) print(stderr, fault + "\n");
  return EX_CONFIG;
}

// A descriptor that is missing here would be given to the next socket, and the log written to it.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", O_RDWR);
  }
}

// What the system refuses at start.
int refused(const std::exception& refusal) {
  print(stderr, "http01-relay: the system refuses what it takes to start: ");
  print(stderr, refusal.what());
  print(stderr, "\n");
  return EX_UNAVAILABLE;
}

int run_cgi() {
  try {
    auto config = load_config({}, process_environment());
    if (config) return serve_cgi(std::move(*config), kVersion);
    refuse_cgi("The relay is not configured correctly.");
    return config_faults(config.error());
  } catch (const std::bad_alloc& refusal) {
    refuse_cgi("The relay is short of memory.");
    return refused(refusal);
  } catch (const std::system_error& refusal) {
    refuse_cgi("The system refuses what the relay needs.");
    return refused(refusal);
  }
}

// What is printed reads back; what there is to say about it goes beside it.
int show_config(const Config& config, const Options& options) {
  const std::string path = config_path(options.config, process_environment());
  const bool is_there = ::access(path.c_str(), R_OK) == 0;
  std::string said;
  for (const char* const name : {kFallbackVariable, kRegexVariable, kCaptureGroupVariable,
                                 kLevelVariable, kRustLogVariable, kMetricsVariable}) {
    const bool outranked =
        std::string_view(name) == kRustLogVariable && is_set(process_environment(), kLevelVariable);
    if (is_set(process_environment(), name) && !outranked) {
      said += "environment: " + std::string(name) + " overrides the file\n";
    }
  }
  for (const std::string& line : config_advice(config, this_machine()))
    said += "note: " + line + "\n";
  // A script that reads the configuration is told nothing where there is nothing.
  const std::string verdict =
      path + (is_there ? ": in order\n" : ": not there, the defaults hold\n");
  if (!said.empty() || ::isatty(STDERR_FILENO) == 1) print(stderr, verdict + said);
  print(stdout, to_toml(config));
  return 0;
}

int run_command(const Options& options) {
  auto config = load_config(options.config, process_environment());
  if (!config) return config_faults(config.error());
  if (options.command == Options::Command::kCheck) return check(std::move(*config), options);
  return show_config(*config, options);
}

// Before the configuration is read, so that no signal of a service is lost; threads inherit it.
void block_service_signals() { base::Loop::block_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1}); }

int run_on_own_socket(const Options& options) {
  block_service_signals();
  const auto mode = transport::parse_socket_mode(options.socket_mode);
  if (!mode) return usage("--socket-mode: an octal mode such as 0660");
  // Before the configuration: wrong usage is told as such whatever that is like.
  if (const auto checked = transport::check_listen_address(options.listen); !checked) {
    return usage(checked.error());
  }
  auto config = load_config(options.config, process_environment());
  if (!config) return config_faults(config.error());
  auto listener = transport::open_listener(options.listen, *mode);
  if (listener)
    return serve_fastcgi(std::move(*listener), std::move(*config), options.config, kVersion);
  return unavailable(listener.error().message);
}

int run_on_inherited_socket(const Options& options, base::Fd socket) {
  block_service_signals();
  auto config = load_config(options.config, process_environment());
  if (!config) return config_faults(config.error());
  return serve_fastcgi({std::move(socket), {}}, std::move(*config), options.config, kVersion);
}

int run(int argc, char** argv) {
  const bool cgi = transport::is_cgi_environment(process_environment());
  // Under CGI the URL may reach the command line (RFC 3875 4.4): it is not looked at.
  const auto options = parse_options(cgi ? 1 : argc, argv);
  if (!options) return usage(options.error());
  switch (options->command) {
    case Options::Command::kHelp:
      print(stdout, usage_text());
      return printed(0);
    case Options::Command::kVersion:
      print(stdout, version_text());
      return printed(0);
    case Options::Command::kCheck:
    case Options::Command::kConfig:
      return printed(run_command(*options));
    case Options::Command::kServe:
      break;
  }

  if (!options->listen.empty()) return run_on_own_socket(*options);
  auto inherited = transport::inherited_listener();
  if (!inherited) return unavailable(inherited.error());
  if (*inherited) return run_on_inherited_socket(*options, std::move(*inherited));
  if (cgi) return run_cgi();
  return usage(
      "nothing to serve on: standard input is not a listening socket, so no web server, spawn-fcgi "
      "or systemd has started this as FastCGI; GATEWAY_INTERFACE is not set, so it is not CGI; and "
      "there is no --listen ADDRESS");
}

}  // namespace

int main(int argc, char** argv) {
  // A reader that has gone, or a file that may not grow any more, is an error of write(), no more.
  base::Loop::block_signals({SIGPIPE, SIGXFSZ});
  fill_standard_descriptors();
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc& refusal) {
    return refused(refusal);
  } catch (const std::system_error& refusal) {
    return refused(refusal);
  }
}
