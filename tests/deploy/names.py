"""A name server, as Docker has one for its containers: every copy of a service under its name."""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

A, TTL = 1, 0


@contextmanager
def name_server(addresses: Mapping[str, Sequence[str]]) -> Iterator[int]:
    """Answers for these names, for as long as it is open; its UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(line, addresses), daemon=True)
        thread.start()
        try:
            yield line.getsockname()[1]
        finally:
            line.sendto(b"", line.getsockname())  # the word to leave
            thread.join()


def _serve(line: socket.socket, addresses: Mapping[str, Sequence[str]]) -> None:
    while True:
        asked, whom = line.recvfrom(4096)
        if not asked:
            return
        line.sendto(_answer(asked, addresses), whom)


def _answer(asked: bytes, addresses: Mapping[str, Sequence[str]]) -> bytes:
    labels, place = [], 12
    while asked[place]:
        labels.append(asked[place + 1 : place + 1 + asked[place]].decode())
        place += 1 + asked[place]
    question = asked[12 : place + 5]
    (kind,) = struct.unpack("!H", asked[place + 1 : place + 3])
    known = labels[0] in addresses and len(labels) == 1
    found = addresses[labels[0]] if known and kind == A else ()
    record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, TTL, 4)
    header = struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, len(found), 0, 0)
    return asked[:2] + header + question + b"".join(record + socket.inet_aton(ip) for ip in found)
