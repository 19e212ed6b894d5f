// The pages of the relay's own: what stands in the body of /, /health, /ready and /metrics. Never
// throws.
#pragma once

#include <functional>
#include <string>

#include "protocol/decide.h"

namespace http01 {

// Fills the reply's body where it is a page; `metrics` is asked only for the page that needs it.
void fill_page(const protocol::Policy& policy, const protocol::Request& request,
               const std::function<std::string()>& metrics, protocol::Reply& reply);

}  // namespace http01
