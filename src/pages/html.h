// HTML as all pages of the relay write it: one head with one style, and the escape. Pure; throws
// std::bad_alloc only.
#pragma once

#include <string>
#include <string_view>

namespace http01 {

inline constexpr std::string_view kHtmlType = "text/html; charset=utf-8";

// For text and for attributes in quotes of either kind.
std::string html_escaped(std::string_view text);

// All before the body's first element. `head_html` goes into the head as it is.
std::string html_head(std::string_view title, std::string_view head_html = {});

inline constexpr std::string_view kHtmlTail = "</body>\n</html>\n";

}  // namespace http01
