/* The usual program over libfcgi, to compare with: it accepts, reads the request and sends
 * what the relay would, always the same. Usage: hello THREADS [detach] <listening socket. "detach"
 * leaves out libfcgi's wait for the web server to close the connection. */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdlib.h>

static int detach;

static void* serve(void* unused) {
  FCGX_Request request;
  FCGX_InitRequest(&request, 0, 0);
  while (FCGX_Accept_r(&request) >= 0) {
    FCGX_PutS(
        "Status: 307 Temporary Redirect\r\n"
        "Location: https://5b912f5cec6c02d851db76bc20f410700f01fc65.dstack-prod5.phala.network"
        "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 155\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Relay-Reason: ok\r\n\r\n"
        "ok: see https://5b912f5cec6c02d851db76bc20f410700f01fc65.dstack-prod5.phala.network"
        "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA\n",
        request.out);
    if (detach) FCGX_Detach(&request);
    FCGX_Finish_r(&request);
  }
  return unused;
}

int main(int count, char** arguments) {
  detach = count > 2;
  FCGX_Init();
  for (int more = atoi(arguments[1]); more > 1; --more) {
    pthread_t thread;
    pthread_create(&thread, NULL, serve, NULL);
  }
  serve(NULL);
}
