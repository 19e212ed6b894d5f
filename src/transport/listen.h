// Listening sockets: opened by ourselves at an address, or inherited from whoever started the
// process. Used once, at start-up, on the only thread: the file mode mask and the environment are
// the process's. Never throws.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace http01::transport {

struct ListenError {
  enum class Kind { kMalformed, kCannotBind };
  Kind kind;
  std::string message;  // names the address
};

// Owns the file of a unix socket: unlinks it when it goes, unless something else stands there by
// then.
class SocketFile {
 public:
  SocketFile() = default;
  explicit SocketFile(const std::string& path);
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;
  ~SocketFile();

 private:
  std::string path_;  // "" for none
  struct stat file_ {};
};

struct Listener {
  base::Fd socket;  // listening, non-blocking, close-on-exec
  SocketFile file;  // to be kept until the process ends
};

// "unix:/run/http01-relay/relay.sock", "127.0.0.1:9001", "[::1]:9001". A unix socket left behind is
// replaced; one that is served, or a file of another kind, never, however many start at once: while
// they do, "PATH.lock" is there. `mode` is the unix socket's from the first moment on.
base::Result<Listener, ListenError> open_listener(std::string_view address, mode_t mode);

// Fails where nothing can be opened there whatever the machine is like.
base::Result<void> check_listen_address(std::string_view address);

// Where a listening socket is, as open_listener() takes it; "an unnamed socket" where there is no
// address.
std::string socket_address(int fd);

// "0660": octal, at most 0777.
std::optional<mode_t> parse_socket_mode(std::string_view text);

// The socket this process was given: by systemd (LISTEN_FDS, which is unset here), or as descriptor
// 0 by a web server, spawn-fcgi or systemd's StandardInput=socket. Empty where there is none; the
// failure says why what was given cannot be served on.
base::Result<base::Fd> inherited_listener();

}  // namespace http01::transport
