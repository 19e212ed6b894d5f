#include "config/environment.h"

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "tests/config/helpers.h"

namespace http01 {

BOOST_AUTO_TEST_SUITE(config_environment)

BOOST_AUTO_TEST_CASE(the_environment_overrides_the_file) {
  const std::string file =
      "[gateways]\nallow = [\"a.example\"]\nfallback = \"b.example\"\nallow_regex = '(c)\\.(d)'\n"
      "capture_group = 2\n[service]\nmetrics_from = [\"192.0.2.1\"]\n[log]\nlevel = \"off\"\n";
  const std::string printed =
      outcome(file, environment_of({{"FALLBACK_GATEWAY_DOMAIN", "E.example."},
                                    {"ALLOWED_DOMAIN_REGEX", "(f)"},
                                    {"GATEWAY_DOMAIN_CAPTURE_GROUP", "0"},
                                    {"LOG_LEVEL", "debug"},
                                    {"METRICS_FROM", "10.0.0.0/8, 2001:db8::1"},
                                    {"PORT", "8081"},
                                    {"RELAY_MODE", "redirect"}}));
  for (const char* line :
       {"gateways.allow = [\"a.example\"]", "gateways.fallback = \"e.example\"",
        "gateways.allow_regex = \"(f)\"", "gateways.capture_group = 0", "log.level = \"debug\"",
        "service.metrics_from = [\"10.0.0.0/8\", \"2001:db8::1\"]"}) {
    BOOST_TEST(has_line(printed, line), line << " is not in\n" << printed);
  }
}

BOOST_AUTO_TEST_CASE(a_regex_of_the_environment_decides_alone_unless_the_file_has_allow) {
  const Environment regex =
      environment_of({{"ALLOWED_DOMAIN_REGEX", R"(^_\.(.+\.example\.net)$)"}});
  BOOST_TEST(has_line(outcome("", regex), "gateways.allow = []"));
  BOOST_TEST(has_line(outcome("[gateways]\nallow = []\n", regex), "gateways.allow = []"));
  BOOST_TEST(has_line(outcome("[gateways]\nallow = [\"*.example\"]\n", regex),
                      "gateways.allow = [\"*.example\"]"));
}

BOOST_AUTO_TEST_CASE(an_empty_allow_needs_another_way_from_the_environment) {
  const std::string file = "[gateways]\nallow = []\n";
  BOOST_TEST(!outcome(file, environment_of({{"FALLBACK_GATEWAY_DOMAIN", ""}})).starts_with("["));
  BOOST_TEST(
      outcome(file, environment_of({{"FALLBACK_GATEWAY_DOMAIN", "a.example"}})).starts_with("["));
}

BOOST_AUTO_TEST_CASE(an_empty_variable_counts_as_unset) {
  Variables variables;
  for (const char* name :
       {"FALLBACK_GATEWAY_DOMAIN", "ALLOWED_DOMAIN_REGEX", "GATEWAY_DOMAIN_CAPTURE_GROUP",
        "LOG_LEVEL", "RUST_LOG", "METRICS_FROM", "PORT", "RELAY_MODE"}) {
    variables[name] = "";
  }
  BOOST_TEST(outcome("", environment_of(variables)) == kDefaults);
  variables["RUST_LOG"] = "debug";
  BOOST_TEST(has_line(outcome("", environment_of(variables)), "log.level = \"debug\""));
}

BOOST_AUTO_TEST_CASE(the_level_is_understood_as_the_original_relay_did) {
  const struct {
    Variables variables;
    const char* level;
  } cases[] = {
      {{{"LOG_LEVEL", "error"}}, "error"},
      {{{"LOG_LEVEL", "WARN"}}, "warn"},
      {{{"LOG_LEVEL", "warning"}}, "warn"},
      {{{"LOG_LEVEL", "err"}}, "error"},
      {{{"LOG_LEVEL", "info"}}, "info"},
      {{{"LOG_LEVEL", "trace"}}, "trace"},
      {{{"LOG_LEVEL", "off"}}, "off"},
      {{{"LOG_LEVEL", "critical"}}, "critical"},
      {{{"LOG_LEVEL", "debug"}, {"RUST_LOG", "no such thing"}}, "debug"},
      {{{"RUST_LOG", "debug"}}, "debug"},
      {{{"RUST_LOG", "relay_server=debug"}}, "debug"},
      {{{"RUST_LOG", "relay_server"}}, "trace"},
      {{{"RUST_LOG", "info,hyper=warn"}}, "info"},
      {{{"RUST_LOG", "hyper=trace,relay_server=error,warn"}}, "error"},
      {{{"RUST_LOG", " warn , relay_server = debug ,"}}, "debug"},
      {{{"RUST_LOG", "relay_server=debug,relay_server=off"}}, "off"},
      {{{"RUST_LOG", "hyper=trace"}}, "info"},
      {{{"RUST_LOG", ","}}, "info"},
  };
  for (const auto& [variables, level] : cases) {
    const std::string printed = outcome("", environment_of(variables));
    BOOST_TEST(has_line(printed, std::string("log.level = \"") + level + "\""),
               variables.begin()->second << ": " << printed);
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_variable_is_a_fault_that_names_it) {
  const struct {
    const char* name;
    const char* value;
    const char* fault;
  } cases[] = {
      {"FALLBACK_GATEWAY_DOMAIN", "http://x",
       "\"http://x\" is no domain, allowed are names of two labels or more, such as "
       "\"example.com\""},
      {"FALLBACK_GATEWAY_DOMAIN", ".", "\".\" is no domain, ..."},
      {"FALLBACK_GATEWAY_DOMAIN", "a.example\n\x1b[2J",
       "\"a.example\\010\\027[2J\" is no domain, ..."},
      {"ALLOWED_DOMAIN_REGEX", "([",
       "\"([\" is no pattern (missing ]: [), allowed are regular ..."},
      {"ALLOWED_DOMAIN_REGEX", "\xff",
       "\"\\255\" is no pattern (invalid UTF-8), allowed are regular ..."},
      {"ALLOWED_DOMAIN_REGEX", "phala",
       "there is no group 1 in \"phala\", allowed is 0, the whole match"},
      {"GATEWAY_DOMAIN_CAPTURE_GROUP", "x",
       "\"x\" is no such number, allowed is a whole number, 0 to 99"},
      {"GATEWAY_DOMAIN_CAPTURE_GROUP", "-1", "\"-1\" is no such number, ..."},
      {"GATEWAY_DOMAIN_CAPTURE_GROUP", "100", "\"100\" is no such number, ..."},
      {"GATEWAY_DOMAIN_CAPTURE_GROUP", "1 ", "\"1 \" is no such number, ..."},
      {"LOG_LEVEL", "loud",
       "\"loud\" is no level, allowed are trace, debug, info, warn, error, critical and off"},
      {"RUST_LOG", "inf", "\"inf\" is no level, ..."},
      {"RUST_LOG", "relay_server=loud", "\"loud\" is no level, ..."},
      {"RUST_LOG", "info,hyper=loud", "\"loud\" is no level, ..."},
      {"RUST_LOG", "relay_server=", "\"\" is no level, ..."},
      {"METRICS_FROM", "foo", "\"foo\" is not a network, expected ..."},
      {"METRICS_FROM", " ", "\"\" is not a network, expected ..."},
      {"METRICS_FROM", "10.0.0.0/8,", "\"\" is not a network, expected ..."},
      {"METRICS_FROM", "10.0.0.1 10.0.0.2", "\"10.0.0.1 10.0.0.2\" is not a network, ..."},
      {"METRICS_FROM", "192.0.2.1,10.0.0.0/33,::1", "\"10.0.0.0/33\" is not a network, ..."},
      {"PORT", "abc", "\"abc\" is no such number, allowed is a whole number, 1 to 65535"},
      {"PORT", "0", "\"0\" is no such number, ..."},
      {"PORT", "65536", "\"65536\" is no such number, ..."},
      {"PORT", "99999999999999999999", "\"99999999999999999999\" is no such number, ..."},
      {"RELAY_MODE", "proxy",
       "\"proxy\" is not what this program does, allowed is \"redirect\": ..."},
      {"RELAY_MODE", "Redirect", "\"Redirect\" is not what this program does, ..."},
  };
  for (const auto& [name, value, fault] : cases) {
    const auto config = parse_config("", "f", environment_of({{name, value}}));
    BOOST_TEST(!config, name << "=" << value);
    if (config) continue;
    BOOST_TEST(config.error().size() == 1u, name << "=" << value);
    const std::string expected = std::string("environment: ") + name + ": " + fault;
    BOOST_TEST(is_as_expected(config.error()[0], expected),
               config.error()[0] << "\n  but expected: " << expected);
  }
}

BOOST_AUTO_TEST_CASE(each_faulty_network_of_the_environment_is_listed) {
  BOOST_TEST(outcome("", environment_of({{"METRICS_FROM", "a, 10.0.0.0/8 ,b"}})) ==
             "environment: METRICS_FROM: \"a\" is not a network, expected one such as "
             "\"192.0.2.0/24\" or \"2001:db8::/32\", or a single address\n"
             "environment: METRICS_FROM: \"b\" is not a network, expected one such as "
             "\"192.0.2.0/24\" or \"2001:db8::/32\", or a single address\n");
}

BOOST_AUTO_TEST_CASE(a_group_that_is_missing_is_put_down_to_whoever_asked_for_it) {
  const std::string file = "[gateways]\nallow_regex = '(a)'\n";
  BOOST_TEST(
      outcome(file, environment_of({{"GATEWAY_DOMAIN_CAPTURE_GROUP", "2"}})) ==
      "environment: GATEWAY_DOMAIN_CAPTURE_GROUP: there is no group 2 in \"(a)\", allowed is 0, "
      "the whole match, to 1\n");
  BOOST_TEST(
      outcome(file, environment_of({{"ALLOWED_DOMAIN_REGEX", "b"}})) ==
      "environment: ALLOWED_DOMAIN_REGEX: there is no group 1 in \"b\", allowed is 0, the whole "
      "match\n");
}

BOOST_AUTO_TEST_CASE(faults_of_file_and_environment_are_listed_together) {
  const Environment wrong = environment_of({{"PORT", "x"}, {"RELAY_MODE", "proxy"}});
  for (const char* text : {"[dns]\nattempts = 0\n", "[dns\n"}) {
    const auto config = parse_config(text, "f", wrong);
    BOOST_REQUIRE(!config);
    BOOST_TEST(config.error().size() == 3u, text);
    BOOST_TEST(config.error()[0].starts_with("f:"));
    BOOST_TEST(config.error()[1].starts_with("environment: PORT: "));
    BOOST_TEST(config.error()[2].starts_with("environment: RELAY_MODE: "));
  }
}

BOOST_AUTO_TEST_CASE(the_environment_of_the_process_is_getenv) {
  BOOST_TEST(process_environment()("HTTP01_RELAY_NO_SUCH_VARIABLE").has_value() == false);
  BOOST_TEST(process_environment()("PATH").has_value() == (std::getenv("PATH") != nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
