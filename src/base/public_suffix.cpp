#include "base/public_suffix.h"

#include <libpsl.h>

namespace http01::base {

std::string registrable_domain(const std::string& name) {
  const psl_ctx_t* const list = psl_builtin();
  const char* const domain = list ? psl_registrable_domain(list, name.c_str()) : nullptr;
  return domain ? std::string(domain) : name;
}

bool is_public_suffix(const std::string& name) {
  constexpr int kRules = PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE;
  return psl_is_public_suffix2(psl_builtin(), name.c_str(), kRules) != 0;
}

bool ends_in_public_suffix(const std::string& name) {
  constexpr int kRules = PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE;
  if (name.ends_with('.')) return false;
  for (std::size_t at = 0; at < name.size();) {
    if (psl_is_public_suffix2(psl_builtin(), name.c_str() + at, kRules) != 0) return true;
    const std::size_t dot = name.find('.', at);
    if (dot == std::string::npos) break;
    at = dot + 1;
  }
  return false;
}

}  // namespace http01::base
