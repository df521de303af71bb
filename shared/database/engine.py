"""A service's database: PostgreSQL (a schema of its own) or SQLite (a file of its own), behind one interface.

Writing transactions are `transaction()`. On SQLite there is one writer connection per process and readers
beside it: the driver's own defaults lose concurrent updates, `BEGIN IMMEDIATE` on a single writer loses none.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, event, text
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.database.batch import WriteConflict
from shared.database.sqlite import BEGIN_WRITING, connect_on_caller_thread

STATEMENT_SECONDS = 30
CONNECT_SECONDS = 5
_TRIES = 4
T = TypeVar("T")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def asyncpg_url(url: str) -> str:
    """`url` with the driver that is used here."""
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError("GUANJIA_DATABASE_URL must be a postgresql:// URL or empty")
    return f"postgresql+asyncpg://{rest}"


class Database:
    """A service's database. `url` empty: SQLite, the file `<folder>/<service>.db`."""

    def __init__(self, service: str, url: str, folder: Path, *, pool: int = 8) -> None:
        self.service = service
        self.is_postgres = bool(url)
        if self.is_postgres:
            self._writer = _postgres_engine(asyncpg_url(url), pool)
            self._engine = self._writer.execution_options(isolation_level="REPEATABLE READ")
            self._autocommit = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / f"{service}.db"
            self._open_sqlite()
        self._lock = asyncio.Lock()
        self._after_commit: dict[AsyncConnection, list[Callable[[], None]]] = {}

    def _open_sqlite(self, *, single_task: bool = False) -> None:
        translate: dict[str | None, str | None] = {self.service: None}
        self._writer = _sqlite_engine(self.path, translate, pool=1, writes=True, single_task=single_task)
        self._engine = _sqlite_engine(self.path, translate, pool=4, writes=False, single_task=single_task)
        self._autocommit = self._engine

    def use_in_single_task(self) -> None:
        """Before anything is connected, in a process of a single task: all on this thread, none synced.

        What is committed outlives the process, not a failure of the machine.
        """
        if not self.is_postgres:
            self._open_sqlite(single_task=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A writing transaction: committed at the end, rolled back on an exception."""
        if self.is_postgres:
            async with self._run_after_commit(self._writer.begin()) as connection:
                yield connection
            return
        async with self._lock, self._run_after_commit(self._writer.begin()) as connection:
            yield connection

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[AsyncConnection]:
        """A connection for what a batch reads and, once, writes.

        On PostgreSQL each statement is a transaction of its own, so that there are two round trips and no
        lock: the write must be guarded by what was read. On SQLite all of it is one writing transaction.
        """
        if not self.is_postgres:
            async with self.transaction() as connection:
                yield connection
            return
        async with self._run_after_commit(self._autocommit.connect()) as connection:
            yield connection

    async def run_batch(self, work: Callable[[AsyncConnection, bool], Awaitable[T]]) -> T:
        """`work(connection, lock)`, which reads and, once, writes.

        Where another writer was first all of it is done again, the last time with what it reads locked.
        """
        for _ in range(_TRIES):
            try:
                async with self.batch() as connection:
                    return await work(connection, False)
            except Exception as error:
                if not is_conflict(error):
                    raise
        async with self.transaction() as connection:
            return await work(connection, True)

    def after_commit(self, connection: AsyncConnection, callback: Callable[[], None]) -> None:
        """Call `callback` once what is written on this connection is committed, never if it is not."""
        self._after_commit.setdefault(connection, []).append(callback)

    @asynccontextmanager
    async def _run_after_commit(
        self, opened: AbstractAsyncContextManager[AsyncConnection]
    ) -> AsyncIterator[AsyncConnection]:
        callbacks: list[Callable[[], None]] = []
        async with opened as connection:
            try:
                yield connection
            finally:
                callbacks = self._after_commit.pop(connection, [])
        for callback in callbacks:
            callback()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading: one consistent snapshot."""
        async with self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading where each statement may see what was committed since the one before.

        On PostgreSQL it saves two of three round trips.
        """
        async with self._autocommit.connect() as connection:
            yield connection

    async def ping(self) -> None:
        """A round trip, bounded in time. Raises where the database does not answer."""
        async with asyncio.timeout(CONNECT_SECONDS), self.autocommit() as connection:
            await connection.execute(text("SELECT 1"))

    async def dispose(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        if not self.is_postgres:  # there both are one pool
            await self._engine.dispose()


def _encode_json(value: object) -> str:
    return _encoder.encode(value).decode()


def _postgres_engine(url: str, pool: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,  # they may be personal data, and errors end in logs
        json_serializer=_encode_json,
        json_deserializer=_decoder.decode,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
            "server_settings": {
                "timezone": "UTC",
                "application_name": "guanjia",
                # a plan that is kept was made when the table was small, and goes on reading all of it
                "plan_cache_mode": "force_custom_plan",
            },
        },
    )


def _sqlite_engine(
    path: Path, translate: dict[str | None, str | None], *, pool: int, writes: bool, single_task: bool
) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        json_serializer=_encode_json,
        json_deserializer=_decoder.decode,
        connect_args={
            "timeout": 10,
            "async_creator_fn": partial(connect_on_caller_thread, writes=writes, single_task=single_task),
        },
        execution_options={"schema_translate_map": translate},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: AsyncAdapt_aiosqlite_connection, _: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred and loses the lock race
        cursor = connection.cursor()
        synchronous = "synchronous=OFF" if single_task else "synchronous=FULL"
        busy_timeout = (
            "busy_timeout=0" if writes else "busy_timeout=10000"
        )  # BEGIN_WRITING is repeated instead
        for pragma in ("journal_mode=WAL", synchronous, "foreign_keys=ON", busy_timeout):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(BEGIN_WRITING if writes else "BEGIN")

    return engine


# connection, rollback, resources, lock, operator intervention
_ROLLED_BACK, _UNIQUE_VIOLATION = "40", "23505"
_TRANSIENT_STATES = ("08", "40", "53", "55P03", "57")


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later: the database is away, busy, full, or let another win."""
    if isinstance(
        error, WriteConflict | PoolTimeout | OSError | TimeoutError | OperationalError | InterfaceError
    ):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    # while it connects, the driver's errors come as they are
    state: object = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_TRANSIENT_STATES)


def is_conflict(error: BaseException) -> bool:
    """Whether another writer was first: read again and decide again."""
    if isinstance(error, WriteConflict):
        return True
    state: object = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return isinstance(state, str) and (state.startswith(_ROLLED_BACK) or state == _UNIQUE_VIOLATION)
