#include "serve/drain.h"

namespace http01 {

void drain(base::Loop& loop, transport::FastCgiServer& fastcgi, Service& service,
           const DrainTimes& times) {
  // First the timers: without them a stop could take for ever.
  loop.after(times.held, [&service] { service.time_out(); });
  loop.after(times.held + times.answers, [&loop] { loop.stop(); });
  fastcgi.drain([&loop] { loop.stop(); });
}

}  // namespace http01
