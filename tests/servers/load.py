"""Requests without a pause, of several kinds, from several threads: each is answered as its kind must be, or noted."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import fastcgi_client as fcgi
import http_client
from crowd import client_address
from fastcgi_client import Address, Connection
from http_client import Response
from processes import wait_until
from relay import CHALLENGE
from zones import APP_ID, GATEWAY

GOOD = f"https://{APP_ID}.{GATEWAY}{CHALLENGE}"


@dataclass(frozen=True)
class Kind:
    """{n} in the host is a number of its own for each request."""

    host: str
    status: int
    reason: str | None
    path: str = CHALLENGE
    method: str = "GET"
    location: str | None = None


COLD = Kind("n{n}.cold{n}.test", 307, "ok", location=GOOD)
CACHED = Kind("in-use.kept.test", 307, "ok", location=GOOD)


class Load:
    """Runs from start() to stop(); in a with statement, which ends with a check that nothing went wrong."""

    def __init__(self, address: Address, kinds: Mapping[Kind, int], threads: int = 4) -> None:
        self._address = address
        self._turns = list(itertools.chain.from_iterable([kind] * often for kind, often in kinds.items()))
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered: Counter[Kind] = Counter()
        self.wrong: list[str] = []
        # How many requests each thread has brought to an end.
        self._ended = [0] * threads
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]

    def start(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        if kind is None:
            assert not self.wrong, f"{len(self.wrong)} of {self.total() + len(self.wrong)}: {self.wrong[:5]}"
            assert self.total() > 0

    def total(self) -> int:
        with self._lock:
            return self.answered.total()

    def goes_on(self, count: int = 50) -> None:
        """Waits for so many more answers."""
        wanted = self.total() + count
        wait_until(lambda: self.total() >= wanted or bool(self.wrong), "the load to go on", 30)

    def ends_what_it_has_begun(self) -> None:
        """Waits until no request is under way that is so now."""
        before = list(self._ended)

        def all_ended() -> bool:
            return all(now > then for now, then in zip(self._ended, before, strict=True))

        wait_until(lambda: all_ended() or bool(self.wrong), "what is under way to end", 30)

    def _run(self, thread: int) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            kind = self._turns[number % len(self._turns)]
            fault = self._ask(kind, number)
            with self._lock:
                if fault:
                    self.wrong.append(fault)
                else:
                    self.answered[kind] += 1
            self._ended[thread] += 1

    def _ask(self, kind: Kind, number: int) -> str:
        host = kind.host.format(n=number)
        try:
            response = self._request(kind, host, number)
        except (OSError, AssertionError) as error:
            return f"{host}: {error!r}"
        if (response.status, response.reason, response.location) != (kind.status, kind.reason, kind.location):
            return f"{host}: {response.status} {response.reason} {response.location}"
        return ""

    def _request(self, kind: Kind, host: str, number: int) -> Response:
        variables = fcgi.cgi_variables(kind.path, host, kind.method, client_address(number))
        with Connection(self._address, 30) as connection:
            connection.send(fcgi.whole_request(variables))
            return connection.read_response()


class HttpLoad(Load):
    """Requests through a web server. Those that went wrong are noted and stop nothing."""

    def __init__(self, port: int, kinds: dict[Kind, int], threads: int = 8) -> None:
        super().__init__("", kinds, threads)
        self._port = port

    def goes_on(self, count: int = 50) -> None:
        wanted = self.total() + count
        wait_until(lambda: self.total() >= wanted, "the load to go on")

    def every_thread_goes_on(self) -> None:
        """Waits until what is under way now has ended, well or not."""
        before = list(self._ended)
        wait_until(lambda: all(now > then for now, then in zip(self._ended, before, strict=True)), "each thread to go on")

    def _request(self, kind: Kind, host: str, number: int) -> Response:
        # Each client has an address of its own, as far as the limits of nginx and the relay go.
        source = f"127.1.{number // 250 % 250}.{number % 250 + 1}"
        return http_client.request(self._port, kind.path, host=host, method=kind.method, source=source)
