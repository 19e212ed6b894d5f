#include "metrics/server_table.h"

#include <cstring>

#include "base/keyed_hash.h"

namespace http01 {

ServerTable::Words ServerTable::words_of(const base::Endpoint& server) {
  Words words{};
  static_assert(sizeof server.address.octets == 2 * sizeof words[0]);
  std::memcpy(words.data(), server.address.octets.data(), sizeof server.address.octets);
  words[2] = std::uint64_t{server.port} | std::uint64_t{server.scope} << 16 |
             std::uint64_t{server.address.v6} << 48;
  return words;
}

base::Endpoint ServerTable::endpoint_of(const Words& words) {
  base::Endpoint server;
  std::memcpy(server.address.octets.data(), words.data(), sizeof server.address.octets);
  server.port = static_cast<std::uint16_t>(words[2]);
  server.scope = static_cast<std::uint32_t>(words[2] >> 16);
  server.address.v6 = (words[2] >> 48) != 0;
  return server;
}

// The same in all processes. The operator chooses the servers, so the hash needs no secret key.
std::uint64_t ServerTable::key_of(const Words& words) {
  std::array<std::uint8_t, sizeof(Words)> octets;
  std::memcpy(octets.data(), words.data(), sizeof words);
  return base::KeyedHash({1, 2}).of(octets) | 1;
}

// Each user of a row writes its address again. If a process is killed between key and address, the
// next one completes the row.
ServerTable::Counters& ServerTable::of(const base::Endpoint& server) {
  const Words words = words_of(server);
  const std::uint64_t key = key_of(words);
  for (Row& row : rows_) {
    std::uint64_t there = row.key.load();
    if (there == 0 && row.key.compare_exchange_strong(there, key)) there = key;
    if (there != key) continue;
    for (std::size_t i = 0; i < words.size(); ++i) row.words[i].store(words[i]);
    return row.counters;
  }
  return others_;
}

std::optional<base::Endpoint> ServerTable::server(std::size_t row) const {
  Words words{};
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = rows_[row].words[i].load();
  if (rows_[row].key.load() != key_of(words)) return std::nullopt;
  return endpoint_of(words);
}

}  // namespace http01
