// Serving FastCGI until told to stop, and answering one CGI request: the two ways in which a web
// server runs the program. Both return the exit status, and throw std::bad_alloc or
// std::system_error for what the system refuses at start.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "config/config.h"
#include "log/log.h"
#include "transport/listen.h"

namespace http01 {

// On a listening socket, whose file (if it has one) goes with it. `config_option` is where SIGHUP
// reads the configuration again. The version is of static storage, also below.
int serve_fastcgi(transport::Listener listener, Config config, const std::string& config_option,
                  std::string_view version);

// The request in the environment and on standard input, answered on standard output.
int serve_cgi(Config config, std::string_view version);

// What a web server shows for such a request when the configuration is wrong, or the system refuses
// what the relay needs: a 500 that says no more than `why`, a sentence. Never throws.
void refuse_cgi(std::string_view why);

}  // namespace http01
