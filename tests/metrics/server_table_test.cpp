// Which server a query is counted for, and where there is no room.
#include "metrics/server_table.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "metrics/metrics.h"

namespace http01 {

namespace {

base::Endpoint endpoint(const std::string& text) { return *base::Endpoint::parse(text, 53); }

bool shows(const std::string& page, const std::string& server, const std::string& status,
           int count) {
  const std::string line = "\ndns_server_queries_total{server=\"" + server + "\",status=\"" +
                           status + "\"} " + std::to_string(count) + "\n";
  return page.find(line) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server_table)

BOOST_AUTO_TEST_CASE(a_server_is_what_has_its_address_family_scope_and_port) {
  const auto table = std::make_unique<ServerTable>();
  const char* const servers[] = {"192.0.2.1",          "192.0.2.1:5353", "192.0.2.2", "2001:db8::1",
                                 "[2001:db8::1]:5353", "c000:201::",     "fe80::1",   "fe80::1%7"};
  std::size_t count = 0;
  for (const char* server : servers) {
    for (std::size_t i = 0; i <= count; ++i) {
      table->of(endpoint(server))[dns::ServerStatus::kData].add();
    }
    BOOST_TEST_REQUIRE(table->server(count).has_value());
    BOOST_TEST((table->server(count) == endpoint(server)), server);
    ++count;
  }
  for (std::size_t row = 0; row < count; ++row) {
    BOOST_TEST(table->counters(row)[dns::ServerStatus::kData].get() == row + 1);
  }
  BOOST_TEST(!table->server(count).has_value());
}

BOOST_AUTO_TEST_CASE(servers_beyond_its_room_are_counted_together) {
  Metrics metrics("1.2.3");
  BOOST_TEST(metrics.page({}).find("server=\"other\"") == std::string::npos);
  for (std::size_t i = 0; i < ServerTable::kMost + 5; ++i) {
    metrics.on_server(endpoint("192.0.2." + std::to_string(i)), dns::ServerStatus::kTimeout);
  }
  const std::string page = metrics.page({});
  BOOST_TEST(shows(page, "192.0.2.0:53", "timeout", 1));
  BOOST_TEST(shows(page, "192.0.2.31:53", "timeout", 1));
  BOOST_TEST(page.find("server=\"192.0.2.32:53\"") == std::string::npos);
  BOOST_TEST(shows(page, "other", "timeout", 5));
  BOOST_TEST(shows(page, "other", "data", 0));
}

BOOST_AUTO_TEST_CASE(servers_of_the_configuration_are_shown_from_zero_and_those_that_go_stay) {
  Metrics metrics("1.2.3");
  metrics.on_servers({endpoint("192.0.2.1"), endpoint("2001:db8::1")});
  std::string page = metrics.page({});
  for (const char* server : {"192.0.2.1:53", "[2001:db8::1]:53"}) {
    for (const auto& status : dns::kServerStatuses) {
      BOOST_TEST(shows(page, server, std::string(status.word), 0), server << " " << status.word);
    }
  }
  metrics.on_server(endpoint("192.0.2.1"), dns::ServerStatus::kRefused);
  metrics.on_servers({endpoint("192.0.2.7")});
  page = metrics.page({});
  BOOST_TEST(shows(page, "192.0.2.1:53", "refused", 1));
  BOOST_TEST(shows(page, "192.0.2.7:53", "refused", 0));
}

BOOST_AUTO_TEST_CASE(processes_that_share_a_state_file_count_in_the_same_rows) {
  std::string directory =
      (std::filesystem::temp_directory_path() / "http01-servers-XXXXXX").string();
  BOOST_TEST_REQUIRE(::mkdtemp(directory.data()) != nullptr);
  Metrics one("1");
  Metrics two("1");
  for (Metrics* const metrics : {&one, &two}) {
    BOOST_TEST_REQUIRE(bool(metrics->use_state_file(directory + "/state")));
  }
  // In another order.
  one.on_server(endpoint("192.0.2.1"), dns::ServerStatus::kData);
  one.on_server(endpoint("192.0.2.2"), dns::ServerStatus::kTimeout);
  two.on_server(endpoint("192.0.2.2"), dns::ServerStatus::kTimeout);
  two.on_server(endpoint("192.0.2.3"), dns::ServerStatus::kData);
  two.on_server(endpoint("192.0.2.1"), dns::ServerStatus::kData);
  for (Metrics* const metrics : {&one, &two}) {
    const std::string page = metrics->page({});
    BOOST_TEST(shows(page, "192.0.2.1:53", "data", 2));
    BOOST_TEST(shows(page, "192.0.2.2:53", "timeout", 2));
    BOOST_TEST(shows(page, "192.0.2.3:53", "data", 1));
  }
  std::filesystem::remove_all(directory);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
