// The first page, "/": for people, who learn here what this host is, which records to set for their
// own domain, and what an answer means. One HTML document that needs nothing else: no script, no
// other request. Pure; never throws.
#pragma once

#include <string>

#include "protocol/policy.h"
#include "protocol/request.h"

namespace http01 {

std::string index_page(const protocol::Policy& policy, const protocol::Request& request);

}  // namespace http01
