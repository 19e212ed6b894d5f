// What a web server, or whoever reaches the socket, sends on a FastCGI connection: the first octet
// says where it is cut, the others are the stream. However it is cut, the same must be read.

#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "transport/framing.h"

namespace http01::fuzz {
namespace {

using protocol::RawRequest;
using transport::RequestReader;
using Status = RequestReader::Status;

struct Reading {
  Status status = Status::kNeedMore;
  std::size_t consumed = 0;
  std::uint16_t id = 0;
  bool keep = false;
  RawRequest request;
  std::string replies;
};

Reading read(std::string_view stream, std::size_t chunk) {
  RequestReader reader;
  Reading reading;
  while (reading.status == Status::kNeedMore && reading.consumed < stream.size()) {
    const std::string fed(stream.substr(reading.consumed, chunk));  // its end is seen by ASan
    const RequestReader::Progress progress = reader.feed(fed);
    require(progress.consumed <= fed.size(), "more octets read than were there");
    require(progress.status != Status::kNeedMore || progress.consumed == fed.size(),
            "octets left unread");
    require(reader.kept() < 50'000, "much is kept of what is not a request yet");
    reading.status = progress.status;
    reading.consumed += progress.consumed;
    reading.replies += reader.take_replies();
  }
  if (reading.status == Status::kRequest || reading.status == Status::kBodyTooLarge) {
    reading.id = reader.id();
    reading.keep = reader.keep_connection();
    reading.request = reader.take_request();
  }
  return reading;
}

bool same(const RawRequest& a, const RawRequest& b) {
  return a.method == b.method && a.uri == b.uri && a.host == b.host && a.client == b.client &&
         a.https == b.https && a.body_too_large == b.body_too_large;
}

FUZZ_TARGET(fastcgi, octets) {
  Input input(octets);
  const std::size_t chunk = 1 + input.octet();
  const std::string_view stream = input.rest();
  const Reading whole = read(stream, stream.size() + 1);
  for (const std::size_t size : {std::size_t{1}, chunk}) {
    const Reading cut = read(stream, size);
    require(cut.status == whole.status, "another status when cut");
    // Of a body that is too large anyway, how much is looked at depends on how it comes.
    require(cut.consumed == whole.consumed || cut.status == Status::kBodyTooLarge,
            "another end when cut");
    require(cut.id == whole.id && cut.keep == whole.keep, "another id or flag when cut");
    require(same(cut.request, whole.request), "other variables when cut");
    require(cut.replies == whole.replies, "other replies when cut");
  }
  require(whole.replies.size() < 10'000, "replies without end");
  if (whole.status != Status::kRequest && whole.status != Status::kBodyTooLarge) return;

  const RawRequest& request = whole.request;
  require(whole.id != 0, "a request without an id");
  require(request.body_too_large == (whole.status == Status::kBodyTooLarge), "the body's size");
  // Of a path that the server has decoded, each octet may be encoded again.
  require(request.method.size() + request.uri.size() / 3 + request.host.size() +
                  request.client.size() <=
              RequestReader::kMaxParams,
          "more than all parameters may be");
  require(whole.status == Status::kBodyTooLarge ||
              read(stream.substr(0, whole.consumed - 1), 64).status == Status::kNeedMore,
          "done before its last octet");
}

}  // namespace
}  // namespace http01::fuzz
