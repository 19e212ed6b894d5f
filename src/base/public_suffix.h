// The Public Suffix List as libpsl has it built in: which part of a name one owner registered. The
// only door to libpsl. Safe from any thread; never throws.
#pragma once

#include <string>

namespace http01::base {

// "example.co.uk" for "a.b.example.co.uk"; the name itself where it is a public suffix. The name is
// in lower case, without a final dot.
std::string registrable_domain(const std::string& name);

// Whether the list names it, in its private part too ("co.uk", "github.io"): names directly below
// it belong to strangers. Not by the rule that holds for top-level domains the list does not know.
// Same form of name.
bool is_public_suffix(const std::string& name);

// In the list's ICANN section, which is what a CA asks of a redirect's host; a name that is itself
// a public suffix does. Same form of name.
bool ends_in_public_suffix(const std::string& name);

}  // namespace http01::base
