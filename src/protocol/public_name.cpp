#include "protocol/public_name.h"

#include "base/public_suffix.h"

namespace http01::protocol {
namespace {

// RFC 8375: the list has it, but everybody has another one.
bool is_home_network(const Name& name) {
  static const Name kHome = Name::from_text("home.arpa").value();
  return name.is_at_or_under(kHome);
}

}  // namespace

// Under a suffix that the list names. What stands before the last label that is not plain, and that
// label, do not matter: escaped, they may look like names of other labels.
bool is_public(const Name& name) {
  Name plain = name;
  for (Name at = name; !at.is_root(); at = at.parent()) {
    if (!Name::from_text(at.first_label())) plain = at.parent();
  }
  return !plain.is_root() && !is_home_network(plain) && base::ends_in_public_suffix(plain.text());
}

}  // namespace http01::protocol
