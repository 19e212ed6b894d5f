// The page /check: what its query asks for, and the doctor's report as HTML. Pure; never throws,
// whatever the octets.
#pragma once

#include <string>
#include <string_view>

#include "doctor/report.h"

namespace http01 {

struct CheckQuery {
  std::string domain;  // any octets; "" where there is none
  bool json = false;
};
CheckQuery read_check_query(std::string_view query);

// The whole page; `report` may be nullptr: then it only has the form to ask with.
std::string check_page(const doctor::Report* report, std::string_view asked);

}  // namespace http01
