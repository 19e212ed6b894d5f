// What is wrong with the text of an app address record, in words, and what was probably meant.
// Pure; never throws, whatever the octets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/pattern.h"
#include "protocol/record.h"

namespace http01::doctor {

// Of a text that is no app address for this reason: one clause, such as "there is a blank in it".
std::string explain_fault(protocol::AppAddressFault fault, const base::Pattern& app_id,
                          std::string_view text);

// The app address that is in there once blanks, quotes and the like are taken away.
std::optional<protocol::AppAddress> meant_by(const base::Pattern& app_id, std::string_view text);

}  // namespace http01::doctor
