// Which names anybody may be told of: those under a public suffix. Behind others, such as "corp" or
// "home.arpa", there may be a private zone, which the relay's resolver knows and strangers must not
// read through the relay: an alias of one's own leads there. Safe from any thread.
#pragma once

#include "protocol/name.h"

namespace http01::protocol {

bool is_public(const Name& name);

}  // namespace http01::protocol
