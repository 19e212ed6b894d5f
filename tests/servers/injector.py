"""A DNS server that misbehaves on demand, over UDP and TCP, on one loopback port.

What it does wrong stands in the name asked for, as one of its labels (`n7.servfail.example.net`), or is
decided by a function that the test gives. Any other name has a good app address and a good alias. It
counts what it was asked, by name and type.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self, cast

import dns_faults
from dns_faults import Spoil
from dns_message import (
    AD,
    BADVERS,
    FORMERR,
    NOERROR,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    TC,
    Query,
    Record,
    cname,
    encode_response,
    ns,
    parse_query,
    soa,
    txt,
)
from processes import free_port
from zones import APP_ID, GATEWAY

FORGED_APP_ID = "f" * 40
PREFIX = "_dstack-app-address."

# How long the true answer waits behind a forged one.
FORGERY_LEAD = 0.05


@dataclass(frozen=True)
class Behaviour:
    """How one query is answered. As it stands: correctly."""

    rcode: int = NOERROR
    answers: tuple[Record, ...] | None = None  # None: what good_records() has
    delay: float = 0.0
    drop: bool = False
    truncate: bool = False  # over UDP: TC and nothing else
    authenticated: bool = False
    forgery: str = ""  # sent before the answer, over UDP: see forge()
    forgeries: int = 1
    honest: bool = True  # False: after the forgery comes nothing
    refuse_edns: int = 0  # FORMERR or BADVERS to a query with EDNS
    copies: int = 1
    spoil: Spoil | None = None
    drop_edns: bool = False  # no answer to a query with EDNS
    drop_udp: bool = False  # no answer over UDP
    over_tcp: str = ""  # "silent", "drip", "hang-up", "half", "oversized"


Rule = Callable[[Query, bool], Behaviour]

_BY_LABEL = {
    "drop": Behaviour(drop=True),
    "servfail": Behaviour(rcode=SERVFAIL),
    "refused": Behaviour(rcode=REFUSED),
    "formerr": Behaviour(rcode=FORMERR),
    "nxdomain": Behaviour(rcode=NXDOMAIN),
    "nodata": Behaviour(answers=()),
    "double": Behaviour(copies=2),
    "truncate": Behaviour(truncate=True),
    "ad": Behaviour(authenticated=True),
    "wrong-id": Behaviour(forgery="wrong-id"),
    "wrong-question": Behaviour(forgery="wrong-question"),
    "garbage": Behaviour(forgery="garbage"),
    "wrong-port": Behaviour(forgery="wrong-port"),
    "wrong-address": Behaviour(forgery="wrong-address"),
    "flood": Behaviour(forgery="wrong-id", forgeries=10_000),
    "flood-elsewhere": Behaviour(forgery="wrong-port", forgeries=10_000),
    "only-wrong-id": Behaviour(forgery="wrong-id", honest=False),
    "only-wrong-question": Behaviour(forgery="wrong-question", honest=False),
    "only-wrong-port": Behaviour(forgery="wrong-port", honest=False),
    "only-wrong-address": Behaviour(forgery="wrong-address", honest=False),
    "formerr-edns": Behaviour(refuse_edns=FORMERR),
    "badvers-edns": Behaviour(refuse_edns=BADVERS),
    "cut": Behaviour(spoil=dns_faults.cut),
    "more": Behaviour(spoil=dns_faults.more_than_it_says),
    "fewer": Behaviour(spoil=dns_faults.fewer_than_it_says),
    "txt-bomb": Behaviour(spoil=dns_faults.txt_bomb(1000)),
    "txt-bomb-8k": Behaviour(spoil=dns_faults.txt_bomb(8000), truncate=True),
    "txt-bomb-64k": Behaviour(spoil=dns_faults.txt_bomb(65_000), truncate=True),
    "many-records": Behaviour(spoil=dns_faults.many_records),
    "pointer-bomb": Behaviour(spoil=dns_faults.pointer_bomb),
    "pointer-to-itself": Behaviour(spoil=dns_faults.pointer_to_itself),
    "tsig": Behaviour(spoil=dns_faults.with_tsig),
    "chain-option": Behaviour(spoil=dns_faults.with_chain_option),
    "lame": Behaviour(spoil=dns_faults.referral),
    "echo": Behaviour(spoil=dns_faults.query_sent_back),
    "drop-edns": Behaviour(drop_edns=True),
    "opt-in-answer": Behaviour(spoil=dns_faults.opt_in_answer),
    "opt-before-answer": Behaviour(spoil=dns_faults.opt_before_answer),
    "formerr-no-question": Behaviour(refuse_edns=FORMERR, spoil=dns_faults.opt_without_question),
    "bare-servfail": Behaviour(rcode=SERVFAIL, spoil=dns_faults.bare_header),
    "bare-refused": Behaviour(rcode=REFUSED, spoil=dns_faults.bare_header),
    "bare-formerr": Behaviour(refuse_edns=FORMERR, spoil=dns_faults.bare_header),
    "zero-padded": Behaviour(spoil=dns_faults.more_than_it_says),
    "uncounted": Behaviour(spoil=dns_faults.uncounted),
    "empty-txt": Behaviour(spoil=dns_faults.with_empty_txt),
    "udp-silent": Behaviour(drop_udp=True),
    "txt-9k": Behaviour(spoil=dns_faults.large_txt, truncate=True),
    "txt-129": Behaviour(spoil=dns_faults.records(129), truncate=True),
    "tcp-silent": Behaviour(truncate=True, over_tcp="silent"),
    "tcp-drip": Behaviour(truncate=True, over_tcp="drip"),
    "tcp-hang-up": Behaviour(truncate=True, over_tcp="hang-up"),
    "tcp-half": Behaviour(truncate=True, over_tcp="half"),
    "tcp-oversized": Behaviour(truncate=True, over_tcp="oversized"),
}


def by_label(query: Query, tcp: bool) -> Behaviour:
    """The default rule: "drop", "servfail", ... or "delay-300" (milliseconds) anywhere in the name."""
    for label in query.name.split("."):
        if label in _BY_LABEL:
            return _BY_LABEL[label]
        if label.startswith("delay-"):
            return Behaviour(delay=int(label.removeprefix("delay-")) / 1000)
    return Behaviour()


def always(behaviour: Behaviour) -> Rule:
    return lambda query, tcp: behaviour


def good_records(query: Query, app_id: str = APP_ID) -> tuple[Record, ...]:
    """Every name that is no record name has an app address and is an alias for the gateway."""
    if query.name == ".":
        return (ns(".", "ns.test"),) if query.type == "NS" else ()
    if query.type == "TXT" and query.name.startswith(PREFIX):
        return (txt(query.name, f"{app_id}:443"),)
    if query.type == "CNAME" and not query.name.startswith("_"):
        return (cname(query.name, f"_.{GATEWAY}"),)
    return ()


@dataclass(frozen=True)
class Packet:
    octets: bytes
    delay: float = 0.0
    source: str = ""  # "wrong-port", "wrong-address": not from where the query was sent to


def respond(query: Query, behaviour: Behaviour, tcp: bool) -> list[Packet]:
    if behaviour.drop or (behaviour.drop_edns and query.edns) or (behaviour.drop_udp and not tcp):
        return []
    if behaviour.refuse_edns:
        if not query.edns:
            return respond(query, replace(behaviour, refuse_edns=0, spoil=None), tcp)
        # A server that knows no EDNS sends none back; BADVERS needs it (RFC 6891 6.1.3, 7).
        refusal = encode_response(query, rcode=behaviour.refuse_edns, edns=behaviour.refuse_edns == BADVERS)
        return [Packet(behaviour.spoil(query, refusal) if behaviour.spoil else refusal)]
    if behaviour.truncate and not tcp:
        return [Packet(encode_response(query, flags=TC))]

    answers = good_records(query) if behaviour.answers is None else behaviour.answers
    if behaviour.rcode != NOERROR:
        answers = ()
    negative = behaviour.rcode == NXDOMAIN or (behaviour.rcode == NOERROR and not answers)
    authority = (soa("." if query.name == "." else query.name.split(".", 1)[-1]),) if negative else ()
    true_answer = encode_response(
        query,
        answers,
        rcode=behaviour.rcode,
        authority=authority,
        flags=AD if behaviour.authenticated else 0,
    )
    if behaviour.spoil:
        true_answer = behaviour.spoil(query, true_answer)
    if not behaviour.forgery or tcp:
        return [Packet(true_answer, behaviour.delay)] * behaviour.copies
    forged = forge(query, behaviour.forgery, behaviour.forgeries)
    return [*forged, *([Packet(true_answer, FORGERY_LEAD)] if behaviour.honest else [])]


def forge(query: Query, how: str, count: int) -> list[Packet]:
    """What would send the challenge somewhere else, if it were believed."""
    right = encode_response(query, good_records(query, FORGED_APP_ID))
    if how == "wrong-id":  # every other one, for as long as it takes
        return [Packet(struct.pack("!H", query.id ^ number) + right[2:]) for number in range(1, count + 1)]
    if how == "wrong-question":
        forged = encode_response(query, good_records(query, FORGED_APP_ID), question=other_question(query))
        return [Packet(forged)] * count
    if how == "garbage":
        return [Packet(struct.pack("!H", query.id) + b"\xff" * 40)] * count
    return [Packet(right, source=how)] * count


def other_question(query: Query) -> bytes:
    """The question with its first label's first letter changed."""
    changed = bytearray(query.question)
    changed[1] = ord("x") if changed[1] != ord("x") else ord("y")
    return bytes(changed)


class Injector:
    """Runs on a thread of its own, from start() to stop()."""

    def __init__(self, rule: Rule = by_label, *, address: str = "127.0.0.1", port: int = 0, tcp: bool = True) -> None:
        self.rule = rule
        self.address = address
        self.port = port  # 0: a free one; any other is there again after a restart
        self.tcp = tcp  # False: nobody listens there
        self.counts: Counter[tuple[str, str]] = Counter()
        self.tcp_counts: Counter[tuple[str, str]] = Counter()
        self._closing: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="injector", daemon=True)

    @property
    def server(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def count(self, name: str, record_type: str) -> int:
        """How often this was asked, over UDP and TCP."""
        with self._lock:
            return self.counts[(name, record_type)]

    def total(self) -> int:
        with self._lock:
            return sum(self.counts.values())

    def start(self) -> Self:
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the injector did not start")
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._started.set()
        self._loop.run_forever()
        self._close_sockets()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _close_sockets(self) -> None:
        for close in self._closing:
            close()
        self._closing.clear()

    async def _listen(self) -> None:
        fixed = self.port
        while True:
            self.port = fixed or free_port()
            try:
                udp, _ = await self._loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(self.address, self.port)
                )
                self._closing.append(udp.close)
                if self.tcp:
                    server = await asyncio.start_server(self._serve_tcp, self.address, self.port, reuse_address=True)
                    self._closing.append(server.close)
                return
            except OSError:
                self._close_sockets()
                if fixed:
                    raise

    def answer(self, packet: bytes, tcp: bool) -> tuple[Behaviour, list[Packet]]:
        try:
            query = parse_query(packet)
        except (ValueError, IndexError, struct.error):
            return Behaviour(), []
        with self._lock:
            self.counts[(query.name, query.type)] += 1
            if tcp:
                self.tcp_counts[(query.name, query.type)] += 1
        behaviour = self.rule(query, tcp)
        return behaviour, respond(query, behaviour, tcp)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                behaviour, answers = self.answer(await reader.readexactly(size), tcp=True)
                for answer in answers:
                    await asyncio.sleep(answer.delay)
                    await _send_over_tcp(reader, writer, behaviour.over_tcp, answer.octets)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _send_over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, how: str, octets: bytes) -> None:
    message = struct.pack("!H", len(octets)) + octets
    if how == "silent":
        await reader.read()
    elif how == "drip":
        for octet in message:
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0)
    elif how == "hang-up":
        raise ConnectionAbortedError
    elif how == "half":
        writer.write(message[: len(message) // 2])
        raise ConnectionAbortedError
    elif how == "oversized":
        writer.write(struct.pack("!H", 65535) + octets + b"\0" * (65535 - len(octets)))
    else:
        writer.write(message)
    await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, injector: Injector) -> None:
        self._injector = injector
        self._senders: dict[str, Callable[[bytes, tuple[str, int]], object]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for packet in self._injector.answer(data, tcp=False)[1]:
            send = self._senders.get(packet.source) or self._sender(packet.source)
            if packet.delay:
                asyncio.get_running_loop().call_later(packet.delay, send, packet.octets, addr)
            else:
                send(packet.octets, addr)

    def _sender(self, source: str) -> Callable[[bytes, tuple[str, int]], object]:
        if not source:
            return self._senders.setdefault(source, self._transport.sendto)
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.bind(("127.0.0.2", self._injector.port) if source == "wrong-address" else ("127.0.0.1", 0))
        return self._senders.setdefault(source, stranger.sendto)

    def connection_lost(self, exc: Exception | None) -> None:
        self._senders.clear()

    def error_received(self, exc: Exception) -> None:
        """The asker has gone; nothing to do."""
