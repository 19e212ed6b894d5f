"""DNS messages that are wrong, or right in a way that has brought programs down: made from a right answer."""

from __future__ import annotations

import struct
from collections.abc import Callable

from dns_message import Query

# A right answer to the query, spoilt.
Spoil = Callable[[Query, bytes], bytes]

_HEADER = struct.Struct("!6H")
_CLASS_IN, _CLASS_ANY = 1, 255
_TXT, _TSIG, _UNKNOWN = 16, 250, 65280
_OPTION_CHAIN = 13

_POINTER_TO_QUESTION = b"\xc0\x0c"


def _with_counts(message: bytes, answers: int = 0, additional: int = 0) -> bytes:
    """The same, with so many records more in its header."""
    fields = list(_HEADER.unpack_from(message))
    fields[3] += answers
    fields[5] += additional
    return _HEADER.pack(*fields) + message[_HEADER.size :]


def _empty(query: Query, answer: bytes) -> bytes:
    """Header and question alone."""
    fields = list(_HEADER.unpack_from(answer))
    return _HEADER.pack(*fields[:3], 0, 0, 0) + query.question


def _record(owner: bytes, record_type: int, data: bytes, ttl: int = 0, record_class: int = _CLASS_IN) -> bytes:
    return owner + struct.pack("!HHIH", record_type, record_class, ttl, len(data)) + data


def cut(query: Query, answer: bytes) -> bytes:
    """Ends in the middle of its first record, and does not say so."""
    return answer[: _HEADER.size + len(query.question) + 9]


def more_than_it_says(query: Query, answer: bytes) -> bytes:
    return answer + b"\0" * 5


_OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


def _without_opt(query: Query, answer: bytes) -> bytes:
    """encode_response() writes it last."""
    return _with_counts(answer[: -len(_OPT)], additional=-1) if query.edns else answer


def opt_in_answer(query: Query, answer: bytes) -> bytes:
    """The query's OPT record is in the answer section, behind the answer."""
    return _with_counts(_without_opt(query, answer), answers=1) + _OPT


def opt_before_answer(query: Query, answer: bytes) -> bytes:
    """The answer was written behind the query as it came, and the sections are counted as if it were not so."""
    if not query.edns:
        return answer
    body = _HEADER.size + len(query.question)
    return answer[:body] + _OPT + answer[body : -len(_OPT)]


def opt_without_question(query: Query, answer: bytes) -> bytes:
    fields = list(_HEADER.unpack_from(answer))
    return _HEADER.pack(*fields[:2], 0, 0, 0, 1) + _OPT


def bare_header(query: Query, answer: bytes) -> bytes:
    fields = list(_HEADER.unpack_from(answer))
    return _HEADER.pack(*fields[:2], 0, 0, 0, 0)


def uncounted(query: Query, answer: bytes) -> bytes:
    """The answer is there, but the header says that there is none: whatever this is, it is no absence."""
    fields = list(_HEADER.unpack_from(answer))
    return _HEADER.pack(*fields[:3], 0, 0, 0) + answer[_HEADER.size :]


def with_empty_txt(query: Query, answer: bytes) -> bytes:
    """A TXT record without a single string, before the others."""
    if query.type != "TXT":
        return answer
    body = _HEADER.size + len(query.question)
    return _with_counts(answer[:body], answers=1) + _record(_POINTER_TO_QUESTION, _TXT, b"") + answer[body:]


def records(count: int) -> Spoil:
    return lambda query, answer: (
        _with_counts(_empty(query, answer), answers=count) + _record(_POINTER_TO_QUESTION, _TXT, b"\1a") * count
    )


def large_txt(query: Query, answer: bytes) -> bytes:
    """Forty records of a string as long as can be."""
    return _with_counts(_empty(query, answer), answers=40) + _record(
        _POINTER_TO_QUESTION, _TXT, b"\xff" + b"v" * 255
    ) * 40


def fewer_than_it_says(query: Query, answer: bytes) -> bytes:
    return _with_counts(answer, answers=200)


def txt_bomb(strings: int) -> Spoil:
    """One legal TXT record of empty strings: a decoder may take as much memory as the record for each of them."""

    def spoil(query: Query, answer: bytes) -> bytes:
        return _with_counts(_empty(query, answer), answers=1) + _record(_POINTER_TO_QUESTION, _TXT, b"\0" * strings)

    return spoil


def many_records(query: Query, answer: bytes) -> bytes:
    """As many records as fit, each as small as can be."""
    count = 90
    return _with_counts(_empty(query, answer), answers=count) + _record(_POINTER_TO_QUESTION, _TXT, b"\0") * count


def pointer_bomb(query: Query, answer: bytes) -> bytes:
    """An owner's name that is a pointer to a pointer to a pointer, six hundred times."""
    message = _empty(query, answer)
    begin = len(message) + 11  # behind the root's octet and the record's fixed fields
    chain = b"".join(
        struct.pack("!H", 0xC000 | (begin + 2 * (number - 1) if number else _HEADER.size)) for number in range(500)
    )
    message += _record(b"\0", _UNKNOWN, chain)
    last = struct.pack("!H", 0xC000 | (begin + 2 * 499))
    return _with_counts(message, answers=2) + _record(last, _TXT, b"\0")


def pointer_to_itself(query: Query, answer: bytes) -> bytes:
    message = _empty(query, answer)
    owner = struct.pack("!H", 0xC000 | len(message))
    return _with_counts(message, answers=1) + _record(owner, _TXT, b"\0")


def with_tsig(query: Query, answer: bytes) -> bytes:
    """A signature that nobody asked for, ten times, behind the answer."""
    algorithm = b"\x0bhmac-sha256\0"
    data = algorithm + struct.pack("!HIHH", 0, 1_700_000_000, 300, 32) + b"m" * 32 + struct.pack("!HHH", query.id, 0, 0)
    count = 10
    return _with_counts(answer, additional=count) + _record(b"\0", _TSIG, data, record_class=_CLASS_ANY) * count


def with_chain_option(query: Query, answer: bytes) -> bytes:
    """EDNS CHAIN (RFC 7901) without a name."""
    if not query.edns:
        return answer
    option = struct.pack("!HH", _OPTION_CHAIN, 0)
    # The OPT record is the last one, and has no options yet.
    return answer[:-2] + struct.pack("!H", len(option)) + option


def referral(query: Query, answer: bytes) -> bytes:
    """A lame server's: ask somebody else."""
    fields = list(_HEADER.unpack_from(_empty(query, answer)))
    fields[1] &= ~0x0480  # neither an authority nor one that recurses
    fields[4] = 1
    name_server = _record(_POINTER_TO_QUESTION, 2, b"\x02ns" + _POINTER_TO_QUESTION, 300)
    return _HEADER.pack(*fields) + query.question + name_server


def query_sent_back(query: Query, answer: bytes) -> bytes:
    """The question, as it came, without the bit that makes it an answer."""
    fields = list(_HEADER.unpack_from(_empty(query, answer)))
    fields[1] &= 0x7FFF
    return _HEADER.pack(*fields) + query.question
