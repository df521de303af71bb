"""A name server, as Docker has one for its containers: every copy of a service under its name."""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

A, TTL = 1, 0


@contextmanager
def run_name_server(addresses: Mapping[str, Sequence[str]]) -> Iterator[int]:
    """Answers for these names, for as long as it is open; its UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(udp, addresses), daemon=True)
        thread.start()
        try:
            yield udp.getsockname()[1]
        finally:
            udp.sendto(b"", udp.getsockname())  # the word to leave
            thread.join()


def _serve(udp: socket.socket, addresses: Mapping[str, Sequence[str]]) -> None:
    while True:
        request, client = udp.recvfrom(4096)
        if not request:
            return
        udp.sendto(_make_reply(request, addresses), client)


def _make_reply(request: bytes, addresses: Mapping[str, Sequence[str]]) -> bytes:
    labels, position = [], 12
    while request[position]:
        labels.append(request[position + 1 : position + 1 + request[position]].decode())
        position += 1 + request[position]
    question = request[12 : position + 5]
    (kind,) = struct.unpack("!H", request[position + 1 : position + 3])
    is_known = labels[0] in addresses and len(labels) == 1
    addresses_found = addresses[labels[0]] if is_known and kind == A else ()
    record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, TTL, 4)
    header = struct.pack("!HHHHH", 0x8180 if is_known else 0x8183, 1, len(addresses_found), 0, 0)
    return request[:2] + header + question + b"".join(record + socket.inet_aton(ip) for ip in addresses_found)
