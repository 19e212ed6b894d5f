"""As much of the DNS wire format (RFC 1035, RFC 6891) as a test server and a readiness probe need."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from processes import family_of, loopback

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "TXT": 16, "AAAA": 28, "OPT": 41}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16

QR, AA, TC, RD, RA, AD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020


def encode_name(name: str) -> bytes:
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


@dataclass(frozen=True)
class Query:
    id: int
    name: str  # lower case, no final dot; "." for the root
    type: str
    question: bytes  # as it stood in the packet
    edns: bool


def parse_query(packet: bytes) -> Query:
    number, _, questions, _, _, additional = struct.unpack("!6H", packet[:12])
    if questions != 1:
        raise ValueError("a query has one question")
    labels, at = [], 12
    while size := packet[at]:
        labels.append(packet[at + 1 : at + 1 + size].decode("latin-1").lower())
        at += 1 + size
    (record_type,) = struct.unpack("!H", packet[at + 1 : at + 3])
    return Query(
        id=number,
        name=".".join(labels) or ".",
        type=TYPE_NAMES.get(record_type, str(record_type)),
        question=packet[12 : at + 5],
        edns=additional > 0,
    )


@dataclass(frozen=True)
class Record:
    name: str
    type: str
    data: bytes
    ttl: int = 0

    def encode(self) -> bytes:
        return (
            encode_name(self.name)
            + struct.pack("!HHIH", TYPES[self.type], 1, self.ttl, len(self.data))
            + self.data
        )


def txt(name: str, *strings: str | bytes, ttl: int = 0) -> Record:
    octets = [text.encode() if isinstance(text, str) else text for text in strings]
    return Record(name, "TXT", b"".join(bytes([len(text)]) + text for text in octets), ttl)


def cname(name: str, target: str, ttl: int = 0) -> Record:
    return Record(name, "CNAME", encode_name(target), ttl)


def ns(name: str, target: str, ttl: int = 0) -> Record:
    return Record(name, "NS", encode_name(target), ttl)


def address(name: str, text: str, ttl: int = 0) -> Record:
    family, record_type = (socket.AF_INET6, "AAAA") if ":" in text else (socket.AF_INET, "A")
    return Record(name, record_type, socket.inet_pton(family, text), ttl)


def soa(zone: str, ttl: int = 0) -> Record:
    numbers = struct.pack("!5I", 1, 3600, 600, 86400, ttl)
    return Record(zone, "SOA", encode_name(f"ns.{zone}") + encode_name(f"admin.{zone}") + numbers, ttl)


def encode_response(
    query: Query,
    answers: Sequence[Record] = (),
    *,
    rcode: int = NOERROR,
    flags: int = 0,
    authority: Sequence[Record] = (),
    edns: bool | None = None,
    id: int | None = None,
    question: bytes | None = None,
) -> bytes:
    with_edns = query.edns if edns is None else edns
    header = struct.pack(
        "!6H",
        query.id if id is None else id,
        QR | RD | RA | flags | (rcode & 0xF),
        1,
        len(answers),
        len(authority),
        1 if with_edns else 0,
    )
    # The high bits of an extended rcode stand where other records have their TTL (RFC 6891 6.1.3).
    opt = b"\0" + struct.pack("!HHIH", TYPES["OPT"], 1232, (rcode >> 4) << 24, 0) if with_edns else b""
    return (
        header
        + (query.question if question is None else question)
        + b"".join(record.encode() for record in (*answers, *authority))
        + opt
    )


def question(name: str, record_type: str = "TXT") -> bytes:
    """A query."""
    header = struct.pack("!6H", secrets.randbelow(65536), RD, 1, 0, 0, 0)
    return header + encode_name(name) + struct.pack("!HH", TYPES[record_type], 1)


def probe(port: int, name: str, record_type: str) -> bool:
    """Whether the server on a loopback port answers this question with NOERROR."""
    packet = question(name, record_type)
    host = loopback()
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.5)
        try:
            udp.connect((host, port))
            udp.send(packet)
            answer = udp.recv(4096)
        except OSError:
            return False
    return answer[:2] == packet[:2] and answer[3] & 0xF == NOERROR
