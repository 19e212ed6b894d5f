// What name servers have done with queries, of all processes that share the memory: a bounded table
// of servers, each with its counters. A server has its row for as long as the memory lives, so no
// counter vanishes or falls; one beyond the table's room counts with others of its kind. Lock-free,
// of fixed layout, zero octets are an empty table. Never throws.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/enum.h"
#include "base/ip_address.h"
#include "dns/server_status.h"
#include "metrics/counter.h"

namespace http01 {

class ServerTable {
 public:
  using Counters = base::EnumArray<dns::ServerStatus, Counter>;

  // resolv.conf has three at most, and they change with the network that the machine is in.
  static constexpr std::size_t kMost = 32;

  // Its counters; until it has a row it gets the next free one, where there is one.
  Counters& of(const base::Endpoint& server);

  // The server in this row, if there is one.
  std::optional<base::Endpoint> server(std::size_t row) const;
  const Counters& counters(std::size_t row) const { return rows_[row].counters; }
  // Of all that have no row.
  const Counters& others() const { return others_; }

 private:
  // An address with its port and scope.
  using Words = std::array<std::uint64_t, 3>;

  struct Row {
    std::atomic<std::uint64_t> key;  // the hash of the words; 0: the row is free
    std::array<std::atomic<std::uint64_t>, 3> words;
    Counters counters;
  };

  static Words words_of(const base::Endpoint& server);
  static base::Endpoint endpoint_of(const Words& words);
  static std::uint64_t key_of(const Words& words);

  std::array<Row, kMost> rows_;
  Counters others_;
};

}  // namespace http01
