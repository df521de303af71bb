"""The fixtures themselves: each test has a place of its own, and nothing of it is left."""

import aio_pika
from sqlalchemy import Column, Table, Text, insert, select

from shared.database.types import metadata_for
from tests.conftest import MakeDatabase
from tests.support import stores

METADATA = metadata_for("intake")
WORDS = Table("words", METADATA, Column("word", Text, primary_key=True))


async def test_a_test_has_an_empty_database_of_its_own(database: MakeDatabase) -> None:
    db = await database("intake", METADATA)
    async with db.transaction() as connection:
        await connection.execute(insert(WORDS).values(word="one"))
    async with db.snapshot() as connection:
        assert (await connection.execute(select(WORDS.c.word))).scalars().all() == ["one"]


async def test_a_dropped_virtual_host_takes_its_queues_with_it() -> None:
    with stores.fresh_vhost() as url:
        connection = await aio_pika.connect(url)
        async with connection, connection.channel() as channel:
            queue = await channel.declare_queue("tests", durable=True, arguments={"x-queue-type": "quorum"})
            await channel.default_exchange.publish(aio_pika.Message(b"x"), "tests")
            message = await queue.get(timeout=5)
            assert message and message.body == b"x"
