/* The least a CGI program can do, to compare with: it says what the relay would, always the same.
 */
#include <unistd.h>

int main(void) {
  static const char answer[] =
      "Status: 307 Temporary Redirect\r\n"
      "Location: https://5b912f5cec6c02d851db76bc20f410700f01fc65.dstack-prod5.phala.network"
      "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 155\r\n"
      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Relay-Reason: ok\r\n\r\n"
      "ok: see https://5b912f5cec6c02d851db76bc20f410700f01fc65.dstack-prod5.phala.network"
      "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA\n";
  return write(STDOUT_FILENO, answer, sizeof answer - 1) == sizeof answer - 1 ? 0 : 1;
}
