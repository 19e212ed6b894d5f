// A report of a domain whose owner wants to get into it what does not belong there.
#pragma once

#include <string>

#include "doctor/report.h"
#include "tests/doctor/evidence.h"

namespace http01::doctor {

inline Report report_of(const Case& c) { return make_report(c.policy, c.evidence()); }

// What a zone's owner, or whoever asks, could try to get into the report.
inline const std::string kHostile = "<script>alert(1)</script>\"'&\x1b[31m\r\n\\\xff";

inline Case hostile() {
  Case c;
  c.domain = "app.example.com";
  c.set("TXT _dstack-app-address.app.example.com", protocol::txt({kHostile}))
      .set("CAA example.com", caa({{false, kHostile, kHostile}, {true, "issue", kHostile}}))
      .set("CNAME app.example.com",
           protocol::cname(protocol::name_of_labels({kHostile, "example"})));
  ProbeResult probed{"http://app.example.com/x", *base::IpAddress::parse("45.0.0.1")};
  probed.status = 301;
  probed.location = probed.server = kHostile;
  c.extra.probe = {true, "/x", {probed}, {}};
  return c;
}

}  // namespace http01::doctor
