"""A name server that keeps up with any load a test makes: a process of its own that does almost nothing.

Names with a label "drop" are never answered. A name with a label of the injector's gets that fault, but for those that
take time, TCP or another address. All others have a good app address and gateway, with a TTL of 0, or of 300 s for
names with a label "kept". UDP only.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import replace

from dns_message import parse_query
from injector import Behaviour, by_label, good_records, respond
from processes import Workspace, free_port, wait_until

_BUFFER = 8 << 20


def serve(port: int) -> None:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # What does not fit is lost, as a real resolver would lose it; root may have more than the system's limit.
    for option in (socket.SO_RCVBUF, 33):  # SO_RCVBUFFORCE
        try:
            udp.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        except PermissionError:
            pass
    udp.bind(("127.0.0.1", port))
    print(f"port {udp.getsockname()[1]}", flush=True)
    while True:
        packet, address = udp.recvfrom(4096)
        if b"\4drop" in packet:
            continue
        query = parse_query(packet)
        behaviour = by_label(query, False)
        if b"\4kept" in packet:
            behaviour = Behaviour(answers=tuple(replace(record, ttl=300) for record in good_records(query)))
        for answer in respond(query, behaviour, False):
            udp.sendto(answer.octets, address)


class QuickDns:
    """`port`: 0 for a free one, which no outgoing connection takes when it has ended; that one, to start it again."""

    def __init__(self, workspace: Workspace, port: int = 0) -> None:
        self.process = workspace.start("quick-dns", [sys.executable, "-B", __file__, str(port or free_port())])
        wait_until(lambda: "port" in self.process.output(), "the name server")
        self.port = int(self.process.output().split()[1])

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"


if __name__ == "__main__":
    serve(int(sys.argv[1]))
