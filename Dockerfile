# http01-relay behind lighttpd, for port 8081 or $PORT. deploy/docker/README.md says what it takes.
#
#   docker build -t http01-relay .
#   docker run -p 80:80 -e PORT=80 -e FALLBACK_GATEWAY_DOMAIN=prod5.phala.network http01-relay

FROM debian:trixie-slim AS builder
WORKDIR /src
# The packages that building needs stand in this script, and nowhere else.
COPY tests/install-deps tests/
RUN tests/install-deps build package && rm -rf /var/lib/apt/lists/*
COPY Makefile ./
COPY deploy deploy
COPY etc etc
COPY src src
RUN make deb LINTIAN=
# A container of the original relay falls back to this gateway unless it is told another.
RUN sed 's|^#fallback = ""$|fallback = "prod5.phala.network"|' etc/http01-relay.toml >image.toml \
 && grep -q '^fallback = "prod5' image.toml


FROM debian:trixie-slim
# The package knows what the program needs to run; libcurl is for "check --probe".
COPY --from=builder /src/build-deb/http01-relay_*.deb /tmp/
RUN apt-get update \
 && apt-get install -y --no-install-recommends libcurl4 lighttpd /tmp/http01-relay_*.deb \
 && rm -rf /var/lib/apt/lists/* /tmp/http01-relay_*.deb

COPY --from=builder /src/image.toml /etc/http01-relay/http01-relay.toml
COPY deploy/docker/lighttpd.conf /etc/http01-relay/lighttpd.conf
COPY deploy/docker/entrypoint deploy/docker/health deploy/docker/relay /usr/lib/http01-relay/
# A library that is missing or a configuration with a fault is noticed now.
RUN http01-relay config >/dev/null

# Any user will do, with or without a name: nothing in the image belongs to this one.
USER 10001:10001
EXPOSE 8081

# To lighttpd, SIGINT is "answer what you have, then end"; SIGTERM is "end".
STOPSIGNAL SIGINT

HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 CMD ["/usr/lib/http01-relay/health"]
ENTRYPOINT ["/usr/lib/http01-relay/entrypoint"]
