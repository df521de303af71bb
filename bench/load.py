"""A closed-loop HTTP client over raw keep-alive connections: cheap enough not to be what is measured."""

import asyncio
import time
from collections.abc import Callable


async def posted(port: int, request: Callable[[int], bytes], count: int, connections: int) -> float:
    """Send `count` requests over `connections`; how many seconds that took. Raises where one is not a 2xx."""
    numbers = iter(range(count))
    started = time.perf_counter()
    await asyncio.gather(*(_worker(port, request, numbers) for _ in range(connections)))
    return time.perf_counter() - started


async def _worker(port: int, request: Callable[[int], bytes], numbers: "object") -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in numbers:  # type: ignore[attr-defined]
        writer.write(request(number))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(head.split(b"\r\n")[0].decode())
        length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
    writer.close()


def post(path: str, body: bytes, kind: str = "application/json", key: str = "") -> bytes:
    """One request as it goes over the wire."""
    authorisation = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\n{authorisation}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
