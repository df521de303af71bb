"""By hand, with the least machinery: what aio-pika and asyncpg can do when all work is done in sets.

A demand's message opens the case; each transition consumes a message and publishes the next, until the
last. What is queued is taken at once: one transaction for all of it, then publishes with confirms, then one
acknowledgement. The guard of the version makes a repeated message harmless.
"""

import argparse
import asyncio
import uuid
from typing import Any

import aio_pika
import aiormq
import asyncpg
import msgspec
import uvloop

from bench.payload import demand
from bench.peers import business, workload

QUEUE = "repairs"
BATCH = 128

_OPEN = """
INSERT INTO cases (id, version, state, body)
SELECT id, 0, 'reported', body FROM unnest($1::uuid[], $2::jsonb[]) AS i (id, body) ON CONFLICT DO NOTHING
"""
_LOAD = "SELECT id, version, state, body FROM cases WHERE id = ANY($1::uuid[])"
# RETURNING hands the inputs on: joining the update back to its own input list would be quadratic
_ADVANCE = """
WITH i AS (SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::jsonb[], $6::text[],
                                $7::text[], $8::timestamptz[])
           AS i (id, before, now_in, was_in, data, topic, payload, due)),
     c AS (UPDATE cases SET version = i.before + 1, state = i.now_in, updated_at = now(),
                  closed_at = CASE WHEN i.now_in = 'following_up' THEN now() END
           FROM i WHERE cases.id = i.id AND cases.version = i.before
           RETURNING cases.id, cases.version, i.now_in, i.was_in, i.data, i.topic, i.payload, i.due),
     h AS (INSERT INTO case_history (case_id, version, from_state, to_state, data)
           SELECT id, version, was_in, now_in, data FROM c),
     o AS (INSERT INTO outbox (case_id, topic, payload) SELECT id, topic, payload FROM c),
     d AS (DELETE FROM timers USING c WHERE timers.case_id = c.id AND c.due IS NULL),
     t AS (INSERT INTO timers (case_id, name, due_at) SELECT id, 'respond', due FROM c WHERE due IS NOT NULL
           ON CONFLICT (case_id, name) DO UPDATE SET due_at = excluded.due_at)
SELECT id FROM c
"""


class RepairMessage(msgspec.Struct):
    """A message: which case, how many steps it has taken, and its demand."""

    case: uuid.UUID
    steps_taken: int
    demand: dict[str, Any]


class BatchLoop:
    """Consumes, commits, publishes, acknowledges: one set after another."""

    def __init__(self, steps: int, publish: Any, channel: Any, connection: Any) -> None:
        self.steps = steps
        self.done: dict[uuid.UUID, asyncio.Future[None]] = {}
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self._publish, self._channel, self._connection = publish, channel, connection
        self._encode, self._decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(RepairMessage).decode

    async def run_repair(self, case: str) -> None:
        """A course: publish the demand, wait for the last step."""
        id_ = uuid.UUID(case)
        self.done[id_] = finished = asyncio.get_running_loop().create_future()
        await self._publish(self._encode(RepairMessage(id_, 0, demand(1))))
        await finished

    async def enqueue(self, message: Any) -> None:
        """Queue a delivery."""
        self.queue.put_nowait(message)

    async def run(self) -> None:
        """For ever."""
        while True:
            deliveries = [await self.queue.get()]
            while len(deliveries) < BATCH and not self.queue.empty():
                deliveries.append(self.queue.get_nowait())
            messages = {
                message.case: message for message in (self._decode(delivery.body) for delivery in deliveries)
            }
            async with self._connection.transaction():
                advanced = await self._commit(messages)
            await asyncio.gather(*(self._publish(body) for last, _, body in advanced if not last))
            await self._channel.basic_ack(deliveries[-1].delivery_tag, multiple=True, wait=False)
            for last, case, _ in advanced:
                if last:
                    self.done.pop(case).set_result(None)

    async def _commit(self, messages: dict[uuid.UUID, RepairMessage]) -> list[tuple[bool, uuid.UUID, bytes]]:
        new = [message for message in messages.values() if message.steps_taken == 0]
        if new:
            bodies = [self._encode(message.demand).decode() for message in new]
            await self._connection.execute(_OPEN, [message.case for message in new], bodies)
        rows, advanced = [], []
        for row in await self._connection.fetch(_LOAD, list(messages)):
            message = messages[row["id"]]
            if row["version"] == message.steps_taken:
                next_message = RepairMessage(message.case, message.steps_taken + 1, message.demand)
                body = self._encode(next_message)
                rows.append(business.make_values(str(message.case), message.steps_taken, body.decode()))
                advanced.append((next_message.steps_taken == self.steps, message.case, body))
        if rows:
            await self._connection.fetch(_ADVANCE, *(list(column) for column in zip(*rows, strict=True)))
        return advanced


async def main(options: argparse.Namespace) -> None:
    """Run courses."""
    database = await asyncpg.connect(workload.database_url())
    await database.execute(business.DDL)
    publishing = await aio_pika.connect_robust(workload.amqp_url())
    exchange = (await publishing.channel(publisher_confirms=True)).default_exchange
    consuming = await (await aiormq.connect(workload.amqp_url())).channel(publisher_confirms=False)
    await consuming.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    await consuming.basic_qos(prefetch_count=3 * BATCH)

    async def publish(body: bytes) -> None:
        message = aio_pika.Message(body, delivery_mode=2, content_type="application/json")
        await exchange.publish(message, QUEUE)

    loop = BatchLoop(options.steps, publish, consuming, database)
    running = asyncio.create_task(loop.run())
    await consuming.basic_consume(QUEUE, loop.enqueue)
    await workload.run_workload(loop.run_repair, options)
    workload.exit_now()
    await running


if __name__ == "__main__":
    uvloop.run(main(workload.parse_options()))
