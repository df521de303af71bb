"""Both databases behind one interface: no update lost, a reader sees one snapshot, and which errors pass."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Column, Integer, Table, Text, insert, select, text, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError

from shared.database.engine import Database, is_transient
from shared.database.sqlite import connect_on_caller_thread
from shared.database.types import Json, Key, UtcDateTime, metadata_for
from tests.conftest import MakeDatabase
from tests.support.stores import Store

METADATA = metadata_for("tester")
ITEMS = Table(
    "items",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("count", Integer, nullable=False, default=0),
    Column("at", UtcDateTime),
    Column("more", Json),
    Column("words", Text),
)


@pytest.fixture
async def db(database: MakeDatabase) -> Database:
    return await database("tester", METADATA)


async def test_concurrent_updates_lose_none(db: Database, store: Store) -> None:
    async with db.transaction() as connection:
        await connection.execute(insert(ITEMS).values(id="a"))
    copies = [db, Database("tester", store.url, store.folder)]

    async def add(copy: Database) -> None:
        async with copy.transaction() as connection:
            await connection.execute(update(ITEMS).values(count=ITEMS.c.count + 1))

    await asyncio.gather(*(add(copies[number % 2]) for number in range(100)))
    async with db.snapshot() as connection:
        assert (await connection.execute(select(ITEMS.c.count))).scalar_one() == 100
    await copies[1].dispose()


async def test_what_failed_left_nothing(db: Database) -> None:
    with pytest.raises(IntegrityError):
        async with db.transaction() as connection:
            await connection.execute(insert(ITEMS).values(id="a"))
            await connection.execute(insert(ITEMS).values(id="a"))
    async with db.snapshot() as connection:
        assert (await connection.execute(select(ITEMS.c.id))).all() == []


async def test_a_reader_sees_one_snapshot_and_does_not_wait_for_a_writer(db: Database) -> None:
    async with db.snapshot() as reader:
        assert (await reader.execute(select(ITEMS.c.id))).all() == []
        async with db.transaction() as writer:
            await writer.execute(insert(ITEMS).values(id="a"))
            async with db.snapshot() as other:
                assert (await other.execute(select(ITEMS.c.id))).all() == []
        assert (await reader.execute(select(ITEMS.c.id))).all() == []
    async with db.snapshot() as reader:
        assert len((await reader.execute(select(ITEMS.c.id))).all()) == 1


async def test_instants_documents_and_order_are_the_same_on_both(db: Database) -> None:
    at = datetime(2026, 11, 23, 12, 0, 0, 123456, timezone(timedelta(hours=8)))
    document = {"名": ["é", None, 1.5, {"deep": True}]}
    async with db.transaction() as connection:
        rows = [{"id": name, "at": at, "more": document} for name in ("b", "a", "Z", "é", "_", "王")]
        await connection.execute(insert(ITEMS), rows)
    async with db.snapshot() as connection:
        stored = (await connection.execute(select(ITEMS).order_by(ITEMS.c.id))).all()
    assert [row.id for row in stored] == ["Z", "_", "a", "b", "é", "王"]
    assert (stored[0].at, stored[0].at.tzinfo, stored[0].more) == (at, UTC, document)
    with pytest.raises(StatementError):
        async with db.transaction() as connection:
            await connection.execute(insert(ITEMS).values(id="x", at=datetime(2026, 11, 23)))  # noqa: DTZ001


async def test_an_error_does_not_tell_what_was_to_be_stored(db: Database) -> None:
    for _ in range(2):
        try:
            async with db.transaction() as connection:
                await connection.execute(insert(ITEMS).values(id="a", words="13800138000"))
        except IntegrityError as error:
            assert "13800138000" not in str(error)
            return
    raise AssertionError("the second insert went through")


async def test_errors_of_the_work_do_not_pass_by_themselves(db: Database) -> None:
    statements = ["SELECT nothing FROM nowhere"] if db.is_postgres else []
    statements += ["INSERT INTO tester.items (id, count) VALUES ('x', NULL)"] if db.is_postgres else []
    for statement in [*statements, "SELEC"]:
        with pytest.raises(SQLAlchemyError) as caught:
            async with db.transaction() as connection:
                await connection.execute(text(statement))
        assert db.is_postgres is False or not is_transient(caught.value)
    if db.is_postgres:
        for values in ({"id": "a\x00"}, {"id": "x", "count": 2**40}):
            with pytest.raises(SQLAlchemyError) as caught:
                async with db.transaction() as connection:
                    await connection.execute(insert(ITEMS).values(**values))
            assert not is_transient(caught.value)


async def test_errors_of_the_server_do(store: Store) -> None:
    refusals = (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, asyncpg.DeadlockDetectedError)
    passing = [ConnectionRefusedError(), TimeoutError(), *(refusal("not now") for refusal in refusals)]
    assert all(is_transient(error) for error in passing)
    for error in (ValueError(), KeyError("x"), asyncpg.UniqueViolationError("twice")):
        assert not is_transient(error)
    if store.url:
        db = Database("tester", store.url, store.folder)
        with pytest.raises(SQLAlchemyError) as caught:
            async with db.transaction() as connection:
                await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert is_transient(caught.value)
        await db.dispose()


async def test_a_full_or_locked_sqlite_file_passes_by_itself(tmp_path: Path) -> None:
    db = Database("tester", "", tmp_path)
    with pytest.raises(SQLAlchemyError) as caught:
        async with db.transaction() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.exec_driver_sql("PRAGMA max_page_count = 12")
            for number in range(100):
                await connection.execute(insert(ITEMS).values(id=f"{number}", words="x" * 5000))
    assert is_transient(caught.value)
    await db.dispose()


async def test_whoever_writes_to_sqlite_waits_for_another_process_and_holds_nobody_up(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        ours, theirs = Database("tester", "", tmp_path), Database("tester", "", tmp_path)
        for db in (ours, theirs):
            stack.push_async_callback(db.dispose)
        async with ours.transaction() as connection:
            await connection.run_sync(METADATA.create_all)
        order = []

        async def write() -> None:
            async with ours.transaction():
                order.append("ours")

        async with theirs.transaction():
            writing = asyncio.create_task(write())
            for _ in range(20):
                await ours.ping()
                await asyncio.sleep(0.002)
            order.append("theirs")
        await writing
        assert order == ["theirs", "ours"]


async def test_a_connection_waits_for_a_commit_whose_caller_was_cancelled(tmp_path: Path) -> None:
    """Two threads on one connection of SQLite would end the process."""
    connection = await connect_on_caller_thread(tmp_path / "one.db", writes=True)
    execute: Callable[..., Awaitable[None]] = connection._execute
    order: list[str] = []

    def commit() -> None:
        time.sleep(0.1)
        order.append("committed")

    committing = asyncio.ensure_future(execute(commit))
    await asyncio.sleep(0.01)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    await execute(order.append, "used")
    assert order == ["committed", "used"]
    await connection.close()
