// What the system refuses, or a callback throws for want of it, is the loss of one.
#include <fcntl.h>
#include <sys/socket.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <new>
#include <string>
#include <system_error>

#include "base/loop.h"

namespace http01::base {

BOOST_AUTO_TEST_SUITE(loop_refusal)

BOOST_AUTO_TEST_CASE(a_callback_that_throws_ends_alone) {
  Loop loop;
  int ends[2];
  BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  BOOST_REQUIRE(::send(theirs.get(), "x", 1, 0) == 1);
  std::string order;
  int events = 0;
  Loop::WatchId watch = 0;
  watch = loop.watch(ours.get(), EPOLLIN, [&](std::uint32_t) {
    if (++events == 1) throw std::bad_alloc();
    order += 'w';
    loop.forget(watch);
  });
  loop.defer([&] { order += 'a'; });
  loop.defer([&] { throw std::bad_alloc(); });
  loop.defer([&] { order += 'b'; });
  loop.at(loop.now(), [&] { throw std::system_error(EMFILE, std::generic_category()); });
  loop.at(loop.now(), [&] { order += 't'; });
  loop.after(std::chrono::milliseconds(20), [&] { loop.stop(); });
  loop.run();
  BOOST_TEST(order.starts_with("ab"));
  BOOST_TEST(order.find('t') != std::string::npos);
  BOOST_TEST(order.find('w') != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_epoll_refuses_is_not_watched) {
  Loop loop;
  const Fd file(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC));  // EPERM
  BOOST_CHECK_EXCEPTION(
      loop.watch(file.get(), EPOLLIN, [](std::uint32_t) {}), std::system_error,
      [](const std::system_error& error) { return error.code().value() == EPERM; });
  BOOST_TEST(!loop.rewatch(1, EPOLLIN));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
