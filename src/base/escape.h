// Octets from outside, made fit to be shown: what is not plain printable ASCII becomes \DDD (as RFC
// 1035 5.1 writes it), so that nothing can end a line, open a quote or look like markup. Never
// throws.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace http01::base {

// Appends the octet as \DDD.
void append_octet_escape(std::string& text, char c);

// Kept as they are: letters, digits and -._~:/=+,;@()[]{}*!$%?# and, where `spaces`, the space.
// What is longer than `most` octets is cut and ends with "...".
std::string escaped(std::string_view octets, std::size_t most, bool spaces = false);
void append_escaped(std::string& text, std::string_view octets, std::size_t most,
                    bool spaces = false);

}  // namespace http01::base
