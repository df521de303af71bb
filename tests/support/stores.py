"""Where a test keeps its data: a folder for SQLite, or a PostgreSQL database of its own, dropped after it."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.support import servers
from tests.support.blocking import run_blocking
from tests.support.rabbitmq import drop_vhost, make_vhost


@dataclass(frozen=True)
class Store:
    """`url` empty: SQLite files in `folder`."""

    kind: str
    url: str
    folder: Path


@contextmanager
def fresh_store(kind: str, folder: Path) -> Iterator[Store]:
    """An empty store of that kind: `sqlite` or `postgresql`."""
    if kind == "sqlite":
        yield Store(kind, "", folder)
        return
    with fresh_database() as url:
        yield Store(kind, url, folder)


@contextmanager
def fresh_database() -> Iterator[str]:
    """The URL of a new empty database; dropped afterwards, whoever is still connected."""
    server, name = servers.get_postgres_url(), f"guanjia_test_{uuid.uuid4().hex}"
    run_blocking(_on_server(server, f'CREATE DATABASE "{name}" TEMPLATE template0'))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        run_blocking(_on_server(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@contextmanager
def fresh_vhost() -> Iterator[str]:
    """The AMQP URL of a new empty virtual host; dropped afterwards with all that is in it."""
    url, api = servers.get_broker_urls()
    parts, name = urlsplit(url), f"guanjia_test_{uuid.uuid4().hex}"
    user, password = parts.username or "guest", parts.password or "guest"
    make_vhost(api, user, password, name)
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        drop_vhost(api, user, password, name)


async def fetch_rows(url: str, query: str, *values: object) -> list[dict[str, Any]]:
    """What a query answers on a PostgreSQL database: for checks beside the product's own code."""
    async with _connect(url) as connection:
        return [dict(row) for row in await connection.fetch(query, *values)]


async def _on_server(url: str, statement: str) -> None:
    async with _connect(url) as connection:
        await connection.execute(statement)


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(servers.strip_driver(url), timeout=20)
    try:
        yield connection
    finally:
        await connection.close()
