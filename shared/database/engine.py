"""A service's database: PostgreSQL (a schema of its own) or SQLite (a file of its own), behind one face.

Writing transactions are `transaction()`. On SQLite there is one writer connection per process and readers
beside it: the driver's own defaults lose concurrent updates, `BEGIN IMMEDIATE` on a single writer loses none.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import JSON, DateTime, MetaData, String, Uuid, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from shared.database.sqlite import WRITING, connect_on_caller_thread

STATEMENT_SECONDS = 30
CONNECT_SECONDS = 5


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: stored in UTC, always aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs an offset")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Identifier = Uuid(as_uuid=False)
"""A UUID as text in Python, 16 bytes on PostgreSQL."""

Json = JSON().with_variant(JSONB(), "postgresql")
"""A JSON document; encoded and decoded by msgspec."""

Key = String().with_variant(String(collation="C"), "postgresql")
"""Text that is compared by code points on every database."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def metadata_for(service: str) -> MetaData:
    """The metadata of a service's tables; `service` is also its schema on PostgreSQL."""
    metadata = MetaData(schema=service)
    metadata.naming_convention = {
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
    return metadata


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
            self._plain = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / f"{service}.db"
            self._open_sqlite()
        self._lock = asyncio.Lock()

    def _open_sqlite(self, *, by_hand: bool = False) -> None:
        translate: dict[str | None, str | None] = {self.service: None}
        self._writer = _sqlite_engine(self.path, translate, pool=1, writes=True, by_hand=by_hand)
        self._engine = _sqlite_engine(self.path, translate, pool=4, writes=False, by_hand=by_hand)
        self._plain = self._engine

    def drive_by_hand(self) -> None:
        """Before anything is connected, where nothing runs beside: all on this thread, none synced.

        What is committed outlives the process, not the machine.
        """
        if not self.is_postgres:
            self._open_sqlite(by_hand=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A writing transaction: committed at the end, rolled back on an exception."""
        if self.is_postgres:
            async with self._writer.begin() as connection:
                yield connection
            return
        async with self._lock, self._writer.begin() as connection:
            yield connection

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
        async with self._plain.connect() as connection:
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


def _dumps(value: Any) -> str:
    return _encoder.encode(value).decode()


def _postgres_engine(url: str, pool: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,  # they may be personal data, and errors end in logs
        json_serializer=_dumps,
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
    path: Path, translate: dict[str | None, str | None], *, pool: int, writes: bool, by_hand: bool
) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        json_serializer=_dumps,
        json_deserializer=_decoder.decode,
        connect_args={
            "timeout": 10,
            "async_creator_fn": partial(connect_on_caller_thread, writes=writes, alone=by_hand),
        },
        execution_options={"schema_translate_map": translate},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred and loses the lock race
        cursor = connection.cursor()
        synchronous = "synchronous=OFF" if by_hand else "synchronous=FULL"
        patience = "busy_timeout=0" if writes else "busy_timeout=10000"  # who writes asks again by himself
        for pragma in ("journal_mode=WAL", synchronous, "foreign_keys=ON", patience):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(WRITING if writes else "BEGIN")

    return engine


# connection, rollback, resources, lock, operator intervention
_PASSING_STATES = ("08", "40", "53", "55P03", "57")


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later: the database is away, busy, full, or let another win."""
    if isinstance(error, PoolTimeout | OSError | TimeoutError | OperationalError | InterfaceError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    # while it connects, the driver's errors come as they are
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_PASSING_STATES)
