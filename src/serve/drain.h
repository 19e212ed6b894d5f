// The ordered stop of a service: nothing new is taken, what is under way is finished, and what is
// still held after a while gets its dns-timeout. Throws std::bad_alloc only.
#pragma once

#include "base/loop.h"
#include "serve/service.h"
#include "transport/fastcgi.h"

namespace http01 {

struct DrainTimes {
  // Requests are over within the DNS deadline, which is shorter unless the operator wants it
  // longer.
  base::Duration held = std::chrono::seconds{10};
  // Then for the web server to take the answers.
  base::Duration answers = std::chrono::seconds{1};
};

// Begins it; the loop is stopped once all is done, or all time is over. To be called once; all
// three must outlive the loop's run.
void drain(base::Loop& loop, transport::FastCgiServer& fastcgi, Service& service,
           const DrainTimes& times = {});

}  // namespace http01
