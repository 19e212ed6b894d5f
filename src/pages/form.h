// What a browser sends for a form: the query of a URL (application/x-www-form-urlencoded, WHATWG
// URL Standard 5.1). Pure, whatever the bytes; throws std::bad_alloc only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace http01 {

// The field's first value, decoded, without the blanks around it; nothing where the field is not
// there or its first value is empty; a name without "=" is no field. An escape that is none stays
// as it is. The query may begin with its "?".
std::optional<std::string> form_field(std::string_view query, std::string_view name);

}  // namespace http01
