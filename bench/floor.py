"""The floor for intake: bare ASGI, msgspec, group commit over asyncpg; no keys, no events, no framework."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec

from shared.messages import DemandRaised

_decoder = msgspec.json.Decoder(DemandRaised)
_INSERT = "INSERT INTO floor_demands (id, body) SELECT * FROM unnest($1::uuid[], $2::text[])"
_HEADERS = [(b"content-type", b"application/json")]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Floor:
    """Accepts demands; durable before the 202."""

    def __init__(self) -> None:
        self._waiting: list[tuple[uuid.UUID, str, asyncio.Future[None]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None

    async def put(self, body: bytes) -> uuid.UUID:
        """Store one demand; its id."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        id_ = uuid.uuid4()
        self._waiting.append((id_, body.decode(), future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._commit())
        await future
        return id_

    async def _commit(self) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(os.environ["BENCH_DATABASE_URL"])
            await self._connection.execute(
                "CREATE TABLE IF NOT EXISTS floor_demands (id uuid PRIMARY KEY, body text)"
            )
        while self._waiting:
            taken, self._waiting = self._waiting[:256], self._waiting[256:]
            await self._connection.execute(_INSERT, [t[0] for t in taken], [t[1] for t in taken])
            for *_, future in taken:
                future.set_result(None)

    async def __call__(self, _: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            _decoder.decode(body)
            status, answer = 202, b'{"id":"%s"}' % str(await self.put(body)).encode()
        except msgspec.ValidationError:
            status, answer = 422, b"{}"
        headers = [*_HEADERS, (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


app = Floor()
