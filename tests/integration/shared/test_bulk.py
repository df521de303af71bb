"""Sets in one statement: the same rows come of them on both databases."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Column, Integer, LargeBinary, Table, delete, literal_column, select

from shared.database.bulk import BulkDelete, BulkInsert, BulkUpdate, any_of
from shared.database.engine import Database, Json, Key, UtcDateTime, metadata_for
from tests.conftest import MakeDatabase

METADATA = metadata_for("rows")
THINGS = Table(
    "things",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("told", Json),
    Column("at", UtcDateTime, nullable=False),
    Column("note", Key),
)
AT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
NEWEST = BulkInsert(
    THINGS,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["id"],
        set_={"version": insert.excluded.version},
        where=THINGS.c.version < insert.excluded.version,
    ).returning(THINGS.c.id),
    without=("note",),
)


def thing(id_: str, version: int = 1) -> dict[str, Any]:
    """A row with something of every type."""
    return {"id": id_, "version": version, "body": b"\x00\xff", "told": {"楼": [id_, None]}, "at": AT}


@pytest.fixture
async def things(database: MakeDatabase) -> Database:
    """Three things."""
    db = await database("rows", METADATA)
    async with db.transaction() as connection:
        returned = await NEWEST.run(connection, [thing("a"), thing("b", 5), thing("c")])
    assert [row.id for row in returned] == ["a", "b", "c"]
    return db


async def kept(db: Database) -> Sequence[Any]:
    """All rows."""
    async with db.snapshot() as connection:
        return (await connection.execute(select(THINGS).order_by(THINGS.c.id))).all()


async def test_every_type_comes_back_as_it_went(things: Database) -> None:
    first = (await kept(things))[0]
    assert tuple(first) == ("a", 1, b"\x00\xff", {"楼": ["a", None]}, AT, None)


async def test_a_clause_says_what_happens_on_conflict_and_what_is_returned(things: Database) -> None:
    async with things.transaction() as connection:
        won = await NEWEST.run(connection, [thing("a", 2), thing("b", 4), thing("d")])
    assert [row.id for row in won] == ["a", "d"]
    assert [(row.id, row.version) for row in await kept(things)] == [("a", 2), ("b", 5), ("c", 1), ("d", 1)]


async def test_a_revision_changes_the_named_columns_of_the_named_rows(things: Database) -> None:
    revision = BulkUpdate(THINGS, ("id",), ("version", "note"))
    async with things.transaction() as connection:
        await revision.run(
            connection,
            [
                {"id": "a", "version": 7, "note": "x"},
                {"id": "c", "version": 8, "note": None},
                thing("z") | {"note": ""},
            ],
        )
    assert [(row.id, row.version, row.note) for row in await kept(things)] == [
        ("a", 7, "x"),
        ("b", 5, None),
        ("c", 8, None),
    ]


async def test_a_removal_takes_the_rows_of_these_keys_and_no_others(things: Database) -> None:
    async with things.transaction() as connection:
        await BulkDelete(THINGS, ("id", "version")).run(
            connection, [{"id": "a", "version": 1}, {"id": "b", "version": 1}]
        )
    assert [row.id for row in await kept(things)] == ["b", "c"]


@pytest.mark.parametrize(("wanted", "found"), [([], []), (["b"], ["b"]), (["c", "a", "z"], ["a", "c"])])
async def test_among_finds_any_number(things: Database, wanted: list[str], found: list[str]) -> None:
    async with things.transaction() as connection:
        query = select(THINGS.c.id).where(any_of(connection, THINGS.c.id, wanted)).order_by(THINGS.c.id)
        assert list((await connection.execute(query)).scalars()) == found
        await connection.execute(delete(THINGS).where(any_of(connection, THINGS.c.version, [1])))
        assert list((await connection.execute(select(THINGS.c.id))).scalars()) == ["b"]


async def test_what_is_computed_is_the_databases_own_on_postgresql(things: Database) -> None:
    insertion = BulkInsert(THINGS, computed={"version": literal_column("40 + 2")})
    async with things.transaction() as connection:
        await insertion.run(connection, [thing("e", 1) | {"note": "told"}])
    last = (await kept(things))[-1]
    assert (last.version, last.note) == (42 if things.is_postgres else 1, "told")
