"""The floor of intake: bare ASGI, msgspec, one commit for all that wait; no keys, events or framework."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from shared.messages.facts import DemandRaised

_decoder = msgspec.json.Decoder(DemandRaised)
_INSERT = """
WITH d AS (INSERT INTO demands (id, reference, body)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[]) RETURNING id)
INSERT INTO outbox (demand_id, topic) SELECT id, 'demand.accepted' FROM d
"""
_MAX_BATCH = 256
_HEADERS = [(b"content-type", b"application/json")]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
PendingDemand = tuple[uuid.UUID, str | None, str, asyncio.Future[None]]


class FloorApp:
    """Accepts demands; durable before the 202."""

    def __init__(self) -> None:
        self._pending: list[PendingDemand] = []
        self._worker: asyncio.Task[None] | None = None
        self._insert: Any = None

    async def store(self, reference: str | None, body: bytes) -> uuid.UUID:
        """Store one demand; its id."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        id_ = uuid7()
        self._pending.append((id_, reference, body.decode(), future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._commit())
        await future
        return id_

    async def _commit(self) -> None:
        if self._insert is None:
            connection = await asyncpg.connect(os.environ["BENCH_DATABASE_URL"])
            self._insert = await connection.prepare(_INSERT)
        while self._pending:
            batch, self._pending = self._pending[:_MAX_BATCH], self._pending[_MAX_BATCH:]
            await self._insert.fetch([t[0] for t in batch], [t[1] for t in batch], [t[2] for t in batch])
            for *_, future in batch:
                if not future.done():
                    future.set_result(None)

    async def __call__(self, _: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            demand = _decoder.decode(body)
            status, reply = 202, b'{"id":"%s"}' % str(await self.store(demand.reference, body)).encode()
        except msgspec.ValidationError:
            status, reply = 422, b"{}"
        headers = [*_HEADERS, (b"content-length", str(len(reply)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": reply})


app = FloorApp()
