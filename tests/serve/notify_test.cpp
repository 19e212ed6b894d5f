#include "serve/notify.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"

namespace http01 {

namespace {

using namespace std::chrono_literals;

// The socket of a service manager, by a path or an abstract name.
class Manager {
 public:
  explicit Manager(bool is_abstract) {
    std::string form = (std::filesystem::temp_directory_path() / "http01-notify-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(form.data()) != nullptr);
    directory_ = form;
    name = (is_abstract ? "@" : "") + (directory_ / "socket").string();
    listen();
  }
  ~Manager() { std::filesystem::remove_all(directory_); }

  void listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name.starts_with('@')) address.sun_path[0] = '\0';
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    BOOST_REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  }
  void leave() {
    socket_.reset();
    std::filesystem::remove(directory_ / "socket");
  }

  // "" if there is none.
  std::string message() const {
    std::array<char, 256> text{};
    const ssize_t size = ::recv(socket_.get(), text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }
  int fd() const { return socket_.get(); }

  std::string name;

 private:
  std::filesystem::path directory_;
  base::Fd socket_;
};

Environment environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

// What a relay in this environment has to complain about.
std::vector<std::string> faults(std::map<std::string, std::string> variables) {
  base::Loop loop;
  std::vector<std::string> told;
  Notifier notifier(environment(std::move(variables)));
  notifier.ready(loop, [&](const std::string& fault) { told.push_back(fault); });
  notifier.reload_begins();
  notifier.reload_ends();
  notifier.stops();
  return told;
}

// So many messages, as the loop sends them; the loop ends by itself if they do not come.
std::vector<std::string> messages_in(base::Loop& loop, const Manager& manager, std::size_t count) {
  std::vector<std::string> messages;
  loop.watch(manager.fd(), EPOLLIN, [&](std::uint32_t) {
    messages.push_back(manager.message());
    if (messages.size() == count) loop.stop();
  });
  loop.after(10s, [&] { loop.stop(); });
  loop.run();
  return messages;
}

void ignore(const std::string& fault) { BOOST_ERROR(fault); }

}  // namespace

BOOST_AUTO_TEST_SUITE(notify)

BOOST_AUTO_TEST_CASE(the_manager_hears_of_service_reload_and_stop) {
  for (const bool is_abstract : {false, true}) {
    const Manager manager(is_abstract);
    base::Loop loop;
    Notifier notifier(environment({{"NOTIFY_SOCKET", manager.name}}));
    BOOST_TEST(manager.message() == "");
    notifier.ready(loop, ignore);
    BOOST_TEST(manager.message() == "READY=1");
    const auto before =
        std::chrono::duration_cast<std::chrono::microseconds>(base::Clock::now().time_since_epoch())
            .count();
    notifier.reload_begins();
    const std::string reloading = manager.message();
    const std::string begin = "RELOADING=1\nMONOTONIC_USEC=";
    BOOST_REQUIRE(reloading.starts_with(begin));
    BOOST_TEST(std::stoll(reloading.substr(begin.size())) >= before);
    BOOST_TEST(std::stoll(reloading.substr(begin.size())) < before + 60'000'000);
    notifier.reload_ends();
    BOOST_TEST(manager.message() == "READY=1");
    notifier.stops();
    BOOST_TEST(manager.message() == "STOPPING=1");
    // A reload is no way back.
    notifier.reload_begins();
    notifier.reload_ends();
    BOOST_TEST(manager.message() == "");
  }
}

BOOST_AUTO_TEST_CASE(the_loop_feeds_the_watchdog_at_less_than_half_of_its_time) {
  const std::string own = std::to_string(::getpid());
  for (const auto& pid : {own, std::string()}) {
    const Manager manager(false);
    base::Loop loop;
    Notifier notifier(environment(
        {{"NOTIFY_SOCKET", manager.name}, {"WATCHDOG_USEC", "200000"}, {"WATCHDOG_PID", pid}}));
    notifier.ready(loop, ignore);
    const auto begun = base::Clock::now();
    const std::vector<std::string> expected{"READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"};
    BOOST_TEST(messages_in(loop, manager, 4) == expected, boost::test_tools::per_element());
    BOOST_TEST((base::Clock::now() - begun >= 120ms));
  }
}

BOOST_AUTO_TEST_CASE(the_watchdog_of_another_process_is_not_fed) {
  const Manager manager(false);
  base::Loop loop;
  for (const std::string& pid : {std::to_string(::getppid()), std::string("nonsense")}) {
    Notifier notifier(environment(
        {{"NOTIFY_SOCKET", manager.name}, {"WATCHDOG_USEC", "10000"}, {"WATCHDOG_PID", pid}}));
    notifier.ready(loop, ignore);
    BOOST_TEST(manager.message() == "READY=1");
    loop.after(100ms, [&] { loop.stop(); });
    loop.run();
    BOOST_TEST(manager.message() == "");
  }
}

BOOST_AUTO_TEST_CASE(a_watchdog_of_no_time_does_not_keep_the_loop_busy) {
  const Manager manager(false);
  base::Loop loop;
  Notifier notifier(environment({{"NOTIFY_SOCKET", manager.name}, {"WATCHDOG_USEC", "1"}}));
  notifier.ready(loop, ignore);
  const auto begun = base::Clock::now();
  BOOST_TEST(messages_in(loop, manager, 4).size() == 4u);
  BOOST_TEST((base::Clock::now() - begun >= 29ms));
}

BOOST_AUTO_TEST_CASE(a_state_that_finds_no_room_is_sent_once_there_is_some) {
  for (const bool is_abstract : {false, true}) {
    const Manager manager(is_abstract);
    base::Loop loop;
    Notifier notifier(environment({{"NOTIFY_SOCKET", manager.name}}));
    // Another service's messages, as many as the kernel keeps.
    Notifier other(environment({{"NOTIFY_SOCKET", manager.name}}));
    other.ready(loop, ignore);
    for (int i = 0; i < 10'000; ++i) other.reload_begins();
    notifier.ready(loop, ignore);
    notifier.reload_begins();
    notifier.stops();
    std::string last;
    loop.watch(manager.fd(), EPOLLIN, [&](std::uint32_t) {
      last = manager.message();
      if (last == "STOPPING=1") loop.stop();
    });
    loop.after(10s, [&] { loop.stop(); });
    loop.run();
    BOOST_TEST(last == "STOPPING=1");
  }
}

// A feed that was dropped there cost a healthy service its life: the next one came a third of the
// time later, and might meet a full queue again.
BOOST_AUTO_TEST_CASE(a_feed_that_finds_no_room_is_sent_once_there_is_some) {
  const Manager manager(false);
  base::Loop loop;
  Notifier notifier(environment({{"NOTIFY_SOCKET", manager.name}, {"WATCHDOG_USEC", "3000000"}}));
  notifier.ready(loop, ignore);
  // Other services' messages, as many as the kernel keeps: of one service it keeps fewer.
  std::vector<std::unique_ptr<Notifier>> others;
  for (int other = 0; other < 8; ++other) {
    others.push_back(std::make_unique<Notifier>(environment({{"NOTIFY_SOCKET", manager.name}})));
    others.back()->ready(loop, ignore);
    for (int i = 0; i < 2000; ++i) others.back()->reload_begins();
  }
  base::TimePoint room{};
  base::TimePoint fed{};
  loop.after(1200ms, [&] {
    room = base::Clock::now();
    loop.watch(manager.fd(), EPOLLIN, [&](std::uint32_t) {
      if (manager.message() != "WATCHDOG=1") return;
      fed = base::Clock::now();
      loop.stop();
    });
  });
  loop.after(10s, [&] { loop.stop(); });
  loop.run();
  BOOST_TEST((fed > room));
  BOOST_TEST((fed - room < 600ms));
}

BOOST_AUTO_TEST_CASE(
    a_manager_that_has_gone_is_reported_once_each_time_and_notified_when_it_is_back) {
  Manager manager(false);
  base::Loop loop;
  std::vector<std::string> told;
  Notifier notifier(environment({{"NOTIFY_SOCKET", manager.name}}));
  notifier.ready(loop, [&](const std::string& fault) { told.push_back(fault); });
  BOOST_TEST(manager.message() == "READY=1");
  manager.leave();
  for (int i = 0; i < 3; ++i) {
    notifier.reload_begins();
    notifier.reload_ends();
  }
  BOOST_REQUIRE(told.size() == 1u);
  BOOST_TEST(told.front() == "NOTIFY_SOCKET: " + manager.name +
                                 ": Connection refused; the service manager is not notified");
  manager.listen();
  notifier.reload_ends();
  BOOST_TEST(manager.message() == "READY=1");
  // It goes a second time.
  manager.leave();
  for (int i = 0; i < 3; ++i) notifier.reload_ends();
  BOOST_TEST(told.size() == 2u);
  manager.listen();
  notifier.stops();
  BOOST_TEST(manager.message() == "STOPPING=1");
}

BOOST_AUTO_TEST_CASE(without_a_manager_nothing_happens) {
  BOOST_TEST(faults({}).empty());
  BOOST_TEST(faults({{"NOTIFY_SOCKET", ""}, {"WATCHDOG_USEC", "nonsense"}}).empty());
}

BOOST_AUTO_TEST_CASE(what_is_no_socket_or_no_time_is_told_and_ignored) {
  const std::string no_socket = " is neither a path nor @NAME: the service manager is not notified";
  for (const std::string& name :
       {std::string("relative"), std::string("vsock:2:1234"), std::string("/"), std::string("@"),
        "/" + std::string(107, 'x'), "@" + std::string(108, 'x')}) {
    const std::vector<std::string> expected{"NOTIFY_SOCKET: " + name + no_socket};
    BOOST_TEST(faults({{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", "1000000"}}) == expected,
               boost::test_tools::per_element());
  }
  for (const char* const text : {"0", "-1", "nonsense", "1s", "99999999999999999999"}) {
    const std::string time = text;
    const Manager manager(false);
    const std::vector<std::string> expected{"WATCHDOG_USEC: " + time +
                                            " is not a number of microseconds: the watchdog is "
                                            "not fed"};
    BOOST_TEST(faults({{"NOTIFY_SOCKET", manager.name}, {"WATCHDOG_USEC", time}}) == expected,
               boost::test_tools::per_element());
    BOOST_TEST(manager.message() == "READY=1");
  }
  const Manager manager(false);
  BOOST_TEST(
      faults({{"NOTIFY_SOCKET", manager.name}, {"WATCHDOG_USEC", "18446744073709551615"}}).empty());
}

BOOST_AUTO_TEST_CASE(the_longest_names_are_sockets) {
  for (const std::string& name : {"/" + std::string(106, 'x'), "@" + std::string(107, 'x')}) {
    const std::vector<std::string> told = faults({{"NOTIFY_SOCKET", name}});
    BOOST_REQUIRE(told.size() == 1u);
    BOOST_TEST(told.front().find("is neither") == std::string::npos, told.front());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01
