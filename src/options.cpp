#include "options.h"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "config/values.h"
#include "doctor/probe.h"
#include "version.h"

namespace http01 {
namespace {

using base::Failure;
using base::Result;

// Values above those of all characters, for options without a short form.
enum LongOption : int { kListen = 256, kSocketMode, kJson, kProbe, kCa, kRelayAddress };

constexpr std::array<option, 10> kLongOptions{{
    {"config", required_argument, nullptr, 'c'},
    {"listen", required_argument, nullptr, kListen},
    {"socket-mode", required_argument, nullptr, kSocketMode},
    {"json", no_argument, nullptr, kJson},
    {"probe", no_argument, nullptr, kProbe},
    {"ca", required_argument, nullptr, kCa},
    {"relay-address", required_argument, nullptr, kRelayAddress},
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'V'},
    {nullptr, 0, nullptr, 0},
}};

// "-": what is no option comes as option 1, in order, whatever POSIXLY_CORRECT says. ":": no
// messages.
constexpr const char* kShortOptions = "-:c:hV";
constexpr int kOperand = 1;

// The word of a long option as it was typed: "--config" of "--config=x".
std::string_view typed_option(char* const* argv) {
  // An argument that is a word of its own stands after the option.
  const int at = optarg != nullptr && optarg == argv[optind - 1] ? optind - 2 : optind - 1;
  const std::string_view word = argv[at];
  return word.substr(0, word.find('='));
}

// Of what getopt could not take. It leaves the value of an option it knows in optopt, the character
// of a short one that it does not, and nothing for a long one.
std::string option_fault(int found, char* const* argv) {
  if (optopt == 0) return "unknown option " + in_quotes(typed_option(argv));
  const auto* const known = std::ranges::find(kLongOptions, optopt, &option::val);
  if (known == kLongOptions.end()) {
    return "unknown option " + in_quotes(std::string("-") + static_cast<char>(optopt));
  }
  return std::string("option --") + known->name +
         (found == ':' ? " needs an argument" : " takes no argument");
}

// The first option given that only `check` has; nullptr if there is none.
const char* check_option(const Options& options) {
  if (options.json) return "--json";
  if (options.probe) return "--probe";
  if (options.ca != Options().ca) return "--ca";
  return options.relay_addresses.empty() ? nullptr : "--relay-address";
}

// The command, and what stands with it.
Result<Options> with_operands(Options options, bool mode_given,
                              const std::vector<std::string>& operands) {
  const auto failure = [](std::string what) { return Failure{std::move(what)}; };
  if (!operands.empty()) {
    if (operands[0] == "check") {
      options.command = Options::Command::kCheck;
    } else if (operands[0] == "config") {
      options.command = Options::Command::kConfig;
    } else {
      return failure("unknown command " + in_quotes(operands[0]));
    }
    options.domains.assign(operands.begin() + 1, operands.end());
  }
  const bool check = options.command == Options::Command::kCheck;
  if (check && options.domains.empty()) return failure("check needs a domain");
  if (!check && !options.domains.empty()) {
    return failure("config takes no argument, but there is " + in_quotes(options.domains[0]));
  }
  if (const char* const option = check_option(options); !check && option != nullptr) {
    return failure(std::string(option) + " is for check");
  }
  if (options.probe && !doctor::has_probe()) {
    return failure("--probe: this program is linked statically and has none");
  }
  if (!options.listen.empty() && options.command != Options::Command::kServe) {
    return failure("--listen does not go with a command");
  }
  if (mode_given && !options.listen.starts_with("unix:")) {
    return failure("--socket-mode is for --listen unix:...");
  }
  return options;
}

}  // namespace

Result<Options> parse_options(int argc, const char* const* argv) {
  // getopt only ever permutes the pointers, and with "-" not even those.
  std::vector<char*> words;
  words.reserve(static_cast<std::size_t>(argc) + 1);
  for (int i = 0; i < argc; ++i) words.push_back(const_cast<char*>(argv[i]));
  words.push_back(nullptr);

  Options options;
  bool mode_given = false;
  std::vector<std::string> operands;
  optind = 0;  // glibc: forget all of an earlier run
  opterr = 0;
  while (true) {
    int index = -1;
    const int found = ::getopt_long(argc, words.data(), kShortOptions, kLongOptions.data(), &index);
    if (found == -1) break;
    if (found == '?' || found == ':') return Failure{option_fault(found, words.data())};
    // getopt takes a beginning for the whole: "--conf". A script that has it breaks with the next
    // option.
    if (index >= 0 && typed_option(words.data()).substr(2) !=
                          kLongOptions[static_cast<std::size_t>(index)].name) {
      return Failure{"unknown option " + in_quotes(typed_option(words.data()))};
    }
    if (found != kOperand && optarg != nullptr && *optarg == '\0') {
      const auto* const known = std::ranges::find(kLongOptions, found, &option::val);
      return Failure{std::string("the argument of --") + known->name + " is empty"};
    }
    switch (found) {
      case kOperand:
        operands.emplace_back(optarg);
        break;
      case 'c':
        options.config = optarg;
        break;
      case kListen:
        options.listen = optarg;
        break;
      case kSocketMode:
        options.socket_mode = optarg;
        mode_given = true;
        break;
      case kJson:
        options.json = true;
        break;
      case kProbe:
        options.probe = true;
        break;
      case kCa: {
        const auto ca = parse_domain(optarg);
        if (!ca) return Failure{"--ca: " + ca.error()};
        options.ca = ca->text();
        break;
      }
      case kRelayAddress: {
        const auto address = base::IpAddress::parse(optarg);
        if (!address) return Failure{"--relay-address: " + in_quotes(optarg) + " is no IP address"};
        options.relay_addresses.push_back(*address);
        break;
      }
      case 'h':
        options.command = Options::Command::kHelp;
        return options;
      case 'V':
        options.command = Options::Command::kVersion;
        return options;
    }
  }
  for (int i = optind; i < argc; ++i) operands.emplace_back(words[static_cast<std::size_t>(i)]);
  return with_operands(std::move(options), mode_given, operands);
}

const char* usage_text() {
  return R"(Usage: http01-relay [OPTION]...
       http01-relay [OPTION]... check DOMAIN...
       http01-relay [OPTION]... config

Answers ACME HTTP-01 challenges for custom domains of dstack apps with a redirect to the
app's gateway. Without a command it serves: FastCGI if standard input is a listening
socket, CGI if the environment says so.

  check DOMAIN...       say what the relay would answer and why, step by step, and what a CA
                        or the gateway would find wrong
  config                check the configuration, say what is odd about it, and print it in
                        full as TOML

  --listen ADDRESS      FastCGI on a socket of its own: unix:/run/http01-relay/relay.sock,
                        127.0.0.1:9001 or [::1]:9001
  --socket-mode MODE    permissions of the unix socket (0660)
  -c, --config FILE     default: $HTTP01_RELAY_CONFIG, else
                        /etc/http01-relay/http01-relay.toml, else built-in defaults
  --json                check: print JSON, one object a line
  --probe               check: also go the CA's way, over the network
  --ca NAME             check: the CA in CAA records (letsencrypt.org)
  --relay-address ADDRESS
                        check: where this relay is reached; may be given again
  -h, --help            print this and exit
  -V, --version         print the version and exit

Exit status: 0 all is well (check: each domain is redirected), 1 check: a domain is
refused, 2 check: the DNS fails, 64 wrong usage, 69 the address cannot be bound (check:
libcurl cannot be loaded), 78 the configuration is wrong.
)";
}

std::string version_text() { return "http01-relay " + std::string(kVersion) + "\n"; }

}  // namespace http01
