#include "transport/cgi.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <map>
#include <thread>

#include "base/fd.h"

namespace http01::transport {

BOOST_AUTO_TEST_SUITE(cgi)

using namespace std::chrono_literals;
using base::Clock;
using base::Fd;
using Variables = std::map<std::string, std::string>;

CgiEnvironment environment(Variables variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

struct Pipe {
  Fd reader;
  Fd writer;

  Pipe() {
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }

  void fill(std::size_t size) const {
    const std::string octets(size, 'b');
    BOOST_REQUIRE(::write(writer.get(), octets.data(), size) == static_cast<ssize_t>(size));
  }

  std::size_t left() const {
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    std::string buffer(1 << 20, '\0');
    const ssize_t count = ::read(reader.get(), buffer.data(), buffer.size());
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }
};

BOOST_AUTO_TEST_CASE(a_gateway_interface_makes_it_cgi) {
  BOOST_TEST(is_cgi_environment(environment({{"GATEWAY_INTERFACE", "CGI/1.1"}})));
  BOOST_TEST(!is_cgi_environment(environment({{"GATEWAY_INTERFACE", ""}})));
  BOOST_TEST(!is_cgi_environment(environment({{"REQUEST_METHOD", "GET"}})));
}

BOOST_AUTO_TEST_CASE(the_request_is_in_the_environment) {
  const auto request = read_cgi_request(environment({{"REQUEST_METHOD", "HEAD"},
                                                     {"REQUEST_URI", "/a?b"},
                                                     {"HTTP_HOST", "Example.com:80"},
                                                     {"REMOTE_ADDR", "192.0.2.1"},
                                                     {"HTTPS", "on"},
                                                     {"SERVER_NAME", "other"},
                                                     {"HTTP_X_FORWARDED_HOST", "other"}}),
                                        -1);
  BOOST_TEST(request.method == "HEAD");
  BOOST_TEST(request.uri == "/a?b");
  BOOST_TEST(request.host == "Example.com:80");
  BOOST_TEST(request.client == "192.0.2.1");
  BOOST_TEST(request.https);
  BOOST_TEST(!request.body_too_large);
}

BOOST_AUTO_TEST_CASE(variables_that_are_not_set_are_empty) {
  const auto request = read_cgi_request(environment({}), -1);
  BOOST_TEST(request.method.empty());
  BOOST_TEST(request.uri.empty());
  BOOST_TEST(request.host.empty());
  BOOST_TEST(!request.https);
}

// Some servers lose an answer that is written over an unread body, also one of 413.
BOOST_AUTO_TEST_CASE(a_body_is_read_as_far_as_its_length_says) {
  struct Case {
    const char* length;
    std::size_t sent;
    std::size_t left;
    bool too_large;
  };
  for (const Case& c :
       {Case{"60000", 60'000, 0, false}, Case{"10", 15, 5, false}, Case{"0", 15, 15, false},
        Case{"", 15, 15, false}, Case{"-1", 15, 15, false}, Case{"65536", 65'536, 0, false},
        Case{"65537", 65'536, 0, true}, Case{"123456789012345678901234567890", 15, 0, true}}) {
    Pipe body;
    body.fill(c.sent);
    if (c.too_large) body.writer.reset();
    const auto request =
        read_cgi_request(environment({{"CONTENT_LENGTH", c.length}}), body.reader.get());
    BOOST_TEST(request.body_too_large == c.too_large, c.length);
    BOOST_TEST(body.left() == c.left, c.length);
  }
}

// As Apache's mod_cgid passes a chunked one on.
BOOST_AUTO_TEST_CASE(a_body_of_unknown_length_is_read_to_its_end) {
  for (const std::size_t size : {5u, 65'536u, 65'537u, 1'000'000u}) {
    Pipe body;
    std::thread sender([&] {
      body.fill(size);
      body.writer.reset();
    });
    const auto request = read_cgi_request(environment({{"HTTP_TRANSFER_ENCODING", "chunked"}}),
                                          body.reader.get(), {60s, 60s});
    sender.join();
    BOOST_TEST(request.body_too_large == (size > 65'536), size);
    BOOST_TEST(body.left() == 0u, size);
  }
}

BOOST_AUTO_TEST_CASE(a_body_of_unknown_length_that_stays_open_is_waited_for_while_it_comes) {
  const Pipe body;
  body.fill(5);
  const auto start = Clock::now();
  const auto request = read_cgi_request(environment({{"HTTP_TRANSFER_ENCODING", "chunked"}}),
                                        body.reader.get(), {30ms, 60s});
  BOOST_TEST((Clock::now() - start >= 30ms));
  BOOST_TEST((Clock::now() - start < 10s));
  BOOST_TEST(!request.body_too_large);
  BOOST_TEST(body.left() == 0u);
}

// Writes pieces of a body that never ends.
class Sender {
 public:
  Sender(const Pipe& pipe, std::size_t piece)
      : thread_([this, fd = pipe.writer.get(), octets = std::string(piece, 'b')] {
          ::fcntl(fd, F_SETFL, O_NONBLOCK);
          while (!done_) {
            pollfd entry{fd, POLLOUT, 0};
            if (::poll(&entry, 1, 10) <= 0) continue;
            const ssize_t count = ::write(fd, octets.data(), octets.size());
            if (count > 0) written_ += static_cast<std::size_t>(count);
          }
        }) {}
  std::size_t stop() {
    done_ = true;
    thread_.join();
    return written_;
  }

 private:
  std::atomic<bool> done_ = false;
  std::size_t written_ = 0;
  std::thread thread_;
};

BOOST_AUTO_TEST_CASE(a_body_that_drips_is_given_up_when_its_time_is_over) {
  const Pipe body;
  Sender sender(body, 1);
  const auto start = Clock::now();
  read_cgi_request(environment({{"HTTP_TRANSFER_ENCODING", "chunked"}}), body.reader.get(),
                   {60s, 50ms});
  BOOST_TEST((Clock::now() - start < 10s));
  sender.stop();
}

BOOST_AUTO_TEST_CASE(not_more_than_16_mb_of_a_body_are_read) {
  for (const char* name : {"HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"}) {
    const Pipe body;
    Sender sender(body, 1 << 16);
    const auto request =
        read_cgi_request(environment({{name, "99999999999"}}), body.reader.get(), {60s, 60s});
    const std::size_t written = sender.stop();
    BOOST_TEST(request.body_too_large);
    BOOST_TEST(written - body.left() == std::size_t{16} << 20);
  }
}

BOOST_AUTO_TEST_CASE(without_a_request_uri_the_path_is_put_together) {
  struct Case {
    Variables variables;
    const char* uri;
  };
  for (const Case& c : {
           Case{{{"SCRIPT_NAME", "/a"}, {"PATH_INFO", "/b"}, {"QUERY_STRING", "c=%41"}},
                "/a/b?c=%41"},
           Case{{{"SCRIPT_NAME", "/a"}, {"REQUEST_URI", ""}}, "/a"},
           Case{{{"PATH_INFO", "/b"}, {"QUERY_STRING", ""}}, "/b"},
           Case{{{"SCRIPT_NAME", "/a"}, {"PATH_INFO", "/b"}, {"REQUEST_URI", "/c"}}, "/c"},
           // Decoded by the server: only as a part of the path can they have been there.
           Case{{{"SCRIPT_NAME", "/50%"}, {"PATH_INFO", "/?x#y"}, {"QUERY_STRING", "q#z"}},
                "/50%25/%3Fx%23y?q#z"},
           Case{{{"PATH_INFO", "/a\r\nX: y"}}, "/a\r\nX: y"},
       }) {
    BOOST_TEST(read_cgi_request(environment(c.variables), -1).uri == c.uri);
  }
}

BOOST_AUTO_TEST_CASE(a_body_that_ends_early_is_not_waited_for) {
  Pipe body;
  body.fill(5);
  body.writer.reset();
  const auto start = Clock::now();
  read_cgi_request(environment({{"CONTENT_LENGTH", "10"}}), body.reader.get(), {60s, 60s});
  BOOST_TEST((Clock::now() - start < 10s));
}

BOOST_AUTO_TEST_CASE(a_body_that_does_not_come_is_waited_for_a_while) {
  const Pipe body;
  body.fill(5);
  const auto start = Clock::now();
  const auto request =
      read_cgi_request(environment({{"CONTENT_LENGTH", "10"}, {"REQUEST_METHOD", "POST"}}),
                       body.reader.get(), {30ms, 60s});
  BOOST_TEST((Clock::now() - start >= 30ms));
  BOOST_TEST(request.method == "POST");
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_is_not_open_is_a_body_that_has_ended) {
  const auto start = Clock::now();
  for (const int fd : {-1, 1'000'000}) {
    const auto request =
        read_cgi_request(environment({{"CONTENT_LENGTH", "10"}}), fd, {100ms, 100ms});
    BOOST_TEST(!request.body_too_large);
  }
  BOOST_TEST((Clock::now() - start < 10s));
}

BOOST_AUTO_TEST_CASE(a_response_larger_than_the_pipe_is_written_whole) {
  for (const int flags : {0, O_NONBLOCK}) {
    Pipe pipe;
    ::fcntl(pipe.writer.get(), F_SETFL, flags);
    std::string response(1'000'000, 'r');
    response += "end";
    std::string received;
    std::thread reader([&] {
      char buffer[1000];
      for (ssize_t n = 0; (n = ::read(pipe.reader.get(), buffer, sizeof buffer)) > 0;) {
        received.append(buffer, static_cast<std::size_t>(n));
      }
    });
    const bool written = write_cgi_response(pipe.writer.get(), response);
    pipe.writer.reset();
    reader.join();
    BOOST_TEST(written);
    BOOST_TEST((received == response));
  }
}

BOOST_AUTO_TEST_CASE(a_reader_that_has_gone_fails_the_response) {
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  Pipe pipe;
  pipe.reader.reset();
  BOOST_TEST(!write_cgi_response(pipe.writer.get(), "Status: 200 OK\r\n\r\n"));
  ::sigaction(SIGPIPE, &before, nullptr);
  BOOST_TEST(!write_cgi_response(-1, "x", 1ms));
}

BOOST_AUTO_TEST_CASE(a_reader_that_takes_nothing_fails_the_response) {
  for (const int flags : {0, O_NONBLOCK}) {
    const Pipe pipe;
    ::fcntl(pipe.writer.get(), F_SETFL, flags);
    BOOST_TEST(!write_cgi_response(pipe.writer.get(), std::string(1'000'000, 'r'), 30ms));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::transport
