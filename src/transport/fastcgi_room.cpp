// What the connections keep in memory, and who goes where there is no room for all of it.
#include <chrono>
#include <new>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "transport/fastcgi.h"

namespace http01::transport {
namespace {

// After a crowd the allocator has many free pages between a few that are in use, and gives none
// back by itself. To look for them takes milliseconds, so it is done when the crowd has gone, and
// only after one that is worth it.
constexpr std::size_t kCrowdKept = std::size_t{1} * 1024 * 1024;
constexpr std::chrono::seconds kTrimPause{1};

}  // namespace

void FastCgiServer::move_to(Position connection, Phase phase) {
  Stage& from = stages_[connection->phase];
  Stage& to = stages_[phase];
  if (connection->kept != 0) {
    from.kept -= connection->kept;
    connection->kept = 0;
  }
  to.connections.splice(to.connections.end(), from.connections, connection);
  connection->phase = phase;
  if (phase != Phase::kHeld) start_time(connection);
}

// What moves on to another phase is counted there as soon as it is waited for again.
void FastCgiServer::count_kept(Position connection) {
  const std::size_t kept =
      connection->reader.kept() + connection->unread.capacity() + connection->output.capacity();
  stages_[connection->phase].kept += kept - connection->kept;
  connection->kept = kept;
}

// False if the connection is gone.
bool FastCgiServer::has_room(Position connection) {
  count_kept(connection);
  const Phase phase = connection->phase;
  const Stage& stage = stages_[phase];
  if (stage.kept > kCrowdKept) trim_later();
  while (stage.kept > max_kept_) {
    // Others that are held have an answer to come.
    const bool oldest = phase == Phase::kReading || phase == Phase::kWriting;
    const Position leaving = oldest ? stages_[phase].connections.begin() : connection;
    const bool itself = leaving == connection;
    phase == Phase::kReading ? refuse(leaving) : close(leaving);
    if (itself) return false;
  }
  return true;
}

void FastCgiServer::refuse(Position connection) {
  try {
    if (connection->reader.refuse()) {
      connection->body_unread = true;
      hand_on(connection, {});
      return;
    }
  } catch (const std::bad_alloc&) {
  }
  close(connection);
}

void FastCgiServer::trim_later() {
#ifdef __GLIBC__
  if (trim_timer_ != 0) return;
  try {
    trim_timer_ = loop_.after(kTrimPause, [this] {
      trim_timer_ = 0;
      for (const Stage& stage : stages_) {
        if (stage.kept > kCrowdKept / 4) return trim_later();
      }
      ::malloc_trim(0);
    });
  } catch (const std::bad_alloc&) {
    // The next crowd sets it.
  }
#endif
}

}  // namespace http01::transport
