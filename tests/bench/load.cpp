// Asks a FastCGI program on a unix socket as a web server would, as fast as it answers, over so
// many connections at a time. One thread. Prints what it saw as one line of JSON.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kUsage =
    "usage: load SOCKET [--connections N] [--seconds S] [--keep 1] [--host PATTERN] [--client "
    "PATTERN]\n"
    "            [--status CODE] [--pause MICROSECONDS] [--ramp SECONDS] [--requests N]\n"
    "{n} in a pattern is the number of the request, {g} the connection's in groups of fifty.\n"
    "--pause waits between a connection's requests, --ramp spreads the first ones, --requests ends "
    "early.\n";

constexpr int kGroup = 50;
constexpr int kEndRequest = 3;
constexpr int kHeader = 8;

struct Options {
  std::string socket;
  int connections = 64;
  double seconds = 2;
  bool keep = false;
  std::string host = "app.bench.test";
  std::string client = "127.0.0.1";
  std::string status = "307";
  int pause = 0;
  double ramp = 0;
  std::size_t requests = static_cast<std::size_t>(-1);
};

struct Connection {
  int fd = -1;
  int number = 0;
  bool registered = false;
  std::string in;
  Clock::time_point begun;
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::string fill(std::string pattern, std::uint64_t request, int connection) {
  const auto replace = [&pattern](std::string_view mark, const std::string& value) {
    const std::size_t at = pattern.find(mark);
    if (at != std::string::npos) pattern.replace(at, mark.size(), value);
  };
  replace("{n}", std::to_string(request));
  replace("{g}", std::to_string(connection / kGroup + 1));
  return pattern;
}

std::string record(int type, std::string_view content) {
  std::string out{1, static_cast<char>(type), 0, 1};
  out += static_cast<char>(content.size() >> 8);
  out += static_cast<char>(content.size());
  out.append(2, '\0');
  return out.append(content);
}

// With the variables that lighttpd sends.
std::string whole_request(const Options& options, std::uint64_t request, int connection) {
  std::string params;
  const auto add = [&params](std::string_view name, const std::string& value) {
    params += static_cast<char>(name.size());
    params += static_cast<char>(value.size());
    params.append(name).append(value);
  };
  const std::string path =
      "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
  const std::string host = fill(options.host, request, connection);
  add("CONTENT_LENGTH", "0");
  add("QUERY_STRING", "");
  add("REQUEST_URI", path);
  add("SCRIPT_NAME", path);
  add("SCRIPT_FILENAME", "/var/www/html" + path);
  add("DOCUMENT_ROOT", "/var/www/html");
  add("REQUEST_METHOD", "GET");
  add("SERVER_PROTOCOL", "HTTP/1.1");
  add("SERVER_SOFTWARE", "load");
  add("GATEWAY_INTERFACE", "CGI/1.1");
  add("REQUEST_SCHEME", "http");
  add("SERVER_PORT", "80");
  add("SERVER_ADDR", "127.0.0.1");
  add("SERVER_NAME", host);
  add("REMOTE_ADDR", fill(options.client, request, connection));
  add("REMOTE_PORT", "50000");
  add("HTTP_HOST", host);
  const std::string begin{0, 1, options.keep ? char{1} : char{0}, 0, 0, 0, 0, 0};
  return record(1, begin) + record(4, params) + record(4, {}) + record(5, {});
}

// Whether the answer is there up to its END_REQUEST.
bool is_whole(const std::string& in) {
  std::size_t at = 0;
  while (in.size() - at >= kHeader) {
    const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(in[at + i]); };
    const std::size_t end = at + kHeader + (std::size_t{octet(4)} << 8 | octet(5)) + octet(6);
    if (end > in.size()) return false;
    if (octet(1) == kEndRequest) return true;
    at = end;
  }
  return false;
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        fixed_(options.host.find('{') == std::string::npos &&
               options.client.find('{') == std::string::npos) {
    address_.sun_family = AF_UNIX;
    options_.socket.copy(address_.sun_path, sizeof address_.sun_path - 1);
    if (fixed_) request_ = whole_request(options_, 0, 0);
    if ((epoll_ = ::epoll_create1(0)) < 0) fail("epoll_create1");
  }

  int run() {
    const Clock::time_point start = Clock::now();
    const Clock::time_point end = start + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(options_.seconds));
    connections_.resize(static_cast<std::size_t>(options_.connections));
    for (int i = 0; i < options_.connections; ++i) {
      Connection& connection = connections_[static_cast<std::size_t>(i)];
      connection.number = i;
      later_.push({start + std::chrono::microseconds(static_cast<std::int64_t>(
                               options_.ramp * 1e6 * i / options_.connections)),
                   &connection});
    }
    std::vector<epoll_event> events(1024);
    while (Clock::now() < end && took_.size() < options_.requests) {
      while (!later_.empty() && later_.top().first <= Clock::now()) {
        Connection& connection = *later_.top().second;
        later_.pop();
        ask(connection);
      }
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                     later_.empty() ? 100 : 1);
      for (int i = 0; i < count; ++i) {
        receive(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
    report(std::chrono::duration<double>(Clock::now() - start).count());
    return 0;
  }

 private:
  using Later = std::pair<Clock::time_point, Connection*>;

  void ask(Connection& connection) {
    if (connection.fd < 0 && !connect(connection)) return;
    if (!fixed_) request_ = whole_request(options_, sent_, connection.number);
    ++sent_;
    connection.begun = Clock::now();
    connection.in.clear();
    // One or two KB go into an empty socket's buffer as a whole.
    if (::send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size())) {
      lost(connection);
      return;
    }
    if (connection.registered) return;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) fail("epoll_ctl");
    connection.registered = true;
  }

  bool connect(Connection& connection) {
    connection.fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection.fd < 0) fail("socket");
    if (::connect(connection.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) ==
        0)
      return true;
    if (errno != EAGAIN) fail("connect");
    // The listening socket's queue is full: web servers try again, too.
    ++queue_full_;
    drop(connection);
    later_.push({Clock::now() + std::chrono::milliseconds(1), &connection});
    return false;
  }

  void receive(Connection& connection) {
    char buffer[16384];
    const ssize_t count = ::recv(connection.fd, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      lost(connection);
      return;
    }
    connection.in.append(buffer, static_cast<std::size_t>(count));
    if (!is_whole(connection.in)) return;
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.begun);
    took_.push_back(static_cast<std::uint32_t>(took.count()));
    if (connection.in.find("Status: " + options_.status) == std::string::npos) ++wrong_;
    next(connection);
  }

  void lost(Connection& connection) {
    ++lost_;
    drop(connection);
    later_.push({Clock::now() + std::chrono::milliseconds(1), &connection});
  }

  void next(Connection& connection) {
    if (!options_.keep) drop(connection);
    if (options_.pause == 0) {
      ask(connection);
    } else {
      later_.push({Clock::now() + std::chrono::microseconds(options_.pause), &connection});
    }
  }

  static void drop(Connection& connection) {
    ::close(connection.fd);
    connection.fd = -1;
    connection.registered = false;
  }

  void report(double seconds) {
    std::ranges::sort(took_);
    const auto quantile = [this](double part) {
      return took_.empty()
                 ? 0U
                 : took_[static_cast<std::size_t>(part * static_cast<double>(took_.size() - 1))];
    };
    std::printf(
        "{\"requests\": %zu, \"seconds\": %.3f, \"wrong\": %llu, \"lost\": %llu, \"queue_full\": "
        "%llu, "
        "\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
        took_.size(), seconds, static_cast<unsigned long long>(wrong_),
        static_cast<unsigned long long>(lost_), static_cast<unsigned long long>(queue_full_),
        quantile(0.5), quantile(0.99), quantile(1));
  }

  const Options options_;
  const bool fixed_;
  sockaddr_un address_{};
  std::string request_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  std::priority_queue<Later, std::vector<Later>, std::greater<>> later_;
  std::vector<std::uint32_t> took_;
  std::uint64_t sent_ = 0;
  std::uint64_t wrong_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t queue_full_ = 0;
};

Options parse(int count, char** arguments) {
  Options options;
  if (count < 2 || count % 2 != 0) {
    std::fputs(kUsage, stderr);
    std::exit(64);
  }
  options.socket = arguments[1];
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const char* const value = arguments[i + 1];
    if (name == "--connections") {
      options.connections = std::atoi(value);
    } else if (name == "--seconds") {
      options.seconds = std::atof(value);
    } else if (name == "--keep") {
      options.keep = std::atoi(value) != 0;
    } else if (name == "--host") {
      options.host = value;
    } else if (name == "--client") {
      options.client = value;
    } else if (name == "--status") {
      options.status = value;
    } else if (name == "--pause") {
      options.pause = std::atoi(value);
    } else if (name == "--requests") {
      options.requests = std::strtoull(value, nullptr, 10);
    } else if (name == "--ramp") {
      options.ramp = std::atof(value);
    } else {
      std::fputs(kUsage, stderr);
      std::exit(64);
    }
  }
  return options;
}

}  // namespace

int main(int count, char** arguments) {
  const Options options = parse(count, arguments);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return Load(options).run();
}
