#include "dns/resolv_conf.h"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace http01::dns {

using namespace std::chrono_literals;
using base::TimePoint;

BOOST_AUTO_TEST_SUITE(resolv_conf)

std::string text_of(const std::vector<base::Endpoint>& servers) {
  std::string text;
  for (const base::Endpoint& server : servers) text += server.text() + " ";
  return text;
}
std::string parsed(std::string_view text) { return text_of(parse_resolv_conf(text).servers); }

BOOST_AUTO_TEST_CASE(nameserver_lines_are_read_in_order) {
  BOOST_TEST(
      parsed("domain example\nnameserver 192.0.2.1\noptions edns0\nnameserver\t2001:db8::1\n") ==
      "192.0.2.1:53 [2001:db8::1]:53 ");
  BOOST_TEST(parsed("nameserver 192.0.2.1") == "192.0.2.1:53 ");
  BOOST_TEST(parsed("nameserver 192.0.2.1 # main\r\nnameserver 192.0.2.2\r\n") ==
             "192.0.2.1:53 192.0.2.2:53 ");
  BOOST_TEST(parsed("nameserver 127.0.0.1:5353\n") == "127.0.0.1:5353 ");
}

BOOST_AUTO_TEST_CASE(an_interface_is_part_of_a_link_local_address) {
  BOOST_TEST(parsed("nameserver fe80::1%lo\nnameserver fe80::2%no-such-if0\n") ==
             "[fe80::1%1]:53 ");
}

BOOST_AUTO_TEST_CASE(other_lines_are_skipped) {
  BOOST_TEST(parsed("# nameserver 192.0.2.1\n;nameserver 192.0.2.2\n#nameserver 192.0.2.3\n"
                    "nameserver\nnameserver \nnameserver dns.example\nnameserver 192.0.2.300\n"
                    "nameservers 192.0.2.4\nxnameserver 192.0.2.5\n\n\nnameserver 192.0.2.6\n") ==
             "192.0.2.6:53 ");
}

BOOST_AUTO_TEST_CASE(the_option_use_vc_is_read_wherever_it_is) {
  BOOST_TEST(
      !parse_resolv_conf("nameserver 192.0.2.1\noptions edns0 no-use-vc use-vcs\n").tcp_alone);
  BOOST_TEST(parse_resolv_conf("options use-vc\nnameserver 192.0.2.1\n").tcp_alone);
  BOOST_TEST(
      parse_resolv_conf("nameserver 192.0.2.1\noptions edns0\toptions use-vc\r\n").tcp_alone);
  BOOST_TEST(!parse_resolv_conf("# options use-vc\n").tcp_alone);
  std::string text;
  for (int i = 1; i <= 20; ++i) text += "nameserver 192.0.2." + std::to_string(i) + "\n";
  BOOST_TEST(parse_resolv_conf(text + "options use-vc").tcp_alone);
}

BOOST_AUTO_TEST_CASE(without_any_it_is_this_machine) {
  BOOST_TEST(parsed("") == "127.0.0.1:53 ");
  BOOST_TEST(parsed("search example.com\n") == "127.0.0.1:53 ");
}

BOOST_AUTO_TEST_CASE(a_server_counts_once_and_eight_are_enough) {
  BOOST_TEST(parsed("nameserver 192.0.2.1\nnameserver 192.0.2.1\n") == "192.0.2.1:53 ");
  std::string text;
  for (int i = 1; i <= 20; ++i) text += "nameserver 192.0.2." + std::to_string(i) + "\n";
  BOOST_TEST(parse_resolv_conf(text).servers.size() == 8u);
}

struct File {
  File() {
    char name[] = "/tmp/resolv-conf-test-XXXXXX";
    ::close(::mkstemp(name));
    path = name;
  }
  ~File() { std::filesystem::remove(path); }
  void write(std::string_view text) const { std::ofstream(path) << text; }

  std::string path;
};

BOOST_AUTO_TEST_CASE(a_changed_file_is_noticed_within_a_second) {
  const File file;
  file.write("nameserver 192.0.2.1\n");
  ResolvConf conf(file.path);
  BOOST_TEST(conf.refresh(TimePoint(100s)));
  BOOST_TEST(text_of(conf.servers()) == "192.0.2.1:53 ");
  BOOST_TEST(!conf.refresh(TimePoint(102s)));
  file.write("nameserver 192.0.2.22\n");
  BOOST_TEST(!conf.refresh(TimePoint(102s) + 900ms));
  BOOST_TEST(conf.refresh(TimePoint(103s)));
  BOOST_TEST(text_of(conf.servers()) == "192.0.2.22:53 ");
}

BOOST_AUTO_TEST_CASE(a_file_that_goes_leaves_what_it_said) {
  const File file;
  file.write("nameserver 192.0.2.1\n");
  ResolvConf conf(file.path);
  conf.refresh(TimePoint(100s));
  std::filesystem::remove(file.path);
  BOOST_TEST(!conf.refresh(TimePoint(102s)));
  BOOST_TEST(text_of(conf.servers()) == "192.0.2.1:53 ");
}

BOOST_AUTO_TEST_CASE(a_file_that_never_was_is_this_machine) {
  ResolvConf conf("/nonexistent/resolv.conf");
  BOOST_TEST(conf.refresh(TimePoint(100s)));
  BOOST_TEST(text_of(conf.servers()) == "127.0.0.1:53 ");
  BOOST_TEST(!conf.refresh(TimePoint(102s)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::dns
