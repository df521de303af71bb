"""Batches in one statement: the same rows come of them on both databases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Integer, LargeBinary, Row, Table, delete, insert, literal_column, select

from shared.database.bulk import BulkDelete, BulkInsert, BulkUpdate, any_of
from shared.database.engine import Database
from shared.database.types import Identifier, Json, Key, UtcDateTime, metadata_for
from shared.ids import new_id
from tests.conftest import MakeDatabase

METADATA = metadata_for("rows")
ITEMS = Table(
    "items",
    METADATA,
    Column("id", Key, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("document", Json),
    Column("at", UtcDateTime, nullable=False),
    Column("note", Key),
)
VISITS = Table(
    "visits",
    METADATA,
    Column("id", Identifier, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
AT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
NEWEST = BulkInsert(
    ITEMS,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["id"],
        set_={"version": insert.excluded.version},
        where=ITEMS.c.version < insert.excluded.version,
    ).returning(ITEMS.c.id),
    omit=("note",),
)


def make_item(id_: str, version: int = 1) -> dict[str, Any]:
    """A row with something of every type."""
    return {"id": id_, "version": version, "body": b"\x00\xff", "document": {"楼": [id_, None]}, "at": AT}


@pytest.fixture
async def db(database: MakeDatabase) -> Database:
    """Three items."""
    db = await database("rows", METADATA)
    async with db.transaction() as connection:
        returned = await NEWEST.execute(connection, [make_item("a"), make_item("b", 5), make_item("c")])
    assert [row.id for row in returned] == ["a", "b", "c"]
    return db


async def all_items(db: Database) -> Sequence[Row[Any]]:
    """All rows."""
    async with db.snapshot() as connection:
        return (await connection.execute(select(ITEMS).order_by(ITEMS.c.id))).all()


async def test_every_type_comes_back_as_it_went(db: Database) -> None:
    first = (await all_items(db))[0]
    assert tuple(first) == ("a", 1, b"\x00\xff", {"楼": ["a", None]}, AT, None)


async def test_a_clause_says_what_happens_on_conflict_and_what_is_returned(db: Database) -> None:
    async with db.transaction() as connection:
        won = await NEWEST.execute(connection, [make_item("a", 2), make_item("b", 4), make_item("d")])
    assert [row.id for row in won] == ["a", "d"]
    rows = await all_items(db)
    assert [(row.id, row.version) for row in rows] == [("a", 2), ("b", 5), ("c", 1), ("d", 1)]


async def test_an_update_changes_the_named_columns_of_the_named_rows(db: Database) -> None:
    async with db.transaction() as connection:
        await BulkUpdate(ITEMS, ("id",), ("version", "note")).execute(
            connection,
            [
                {"id": "a", "version": 7, "note": "x"},
                {"id": "c", "version": 8, "note": None},
                make_item("z") | {"note": ""},
            ],
        )
    assert [(row.id, row.version, row.note) for row in await all_items(db)] == [
        ("a", 7, "x"),
        ("b", 5, None),
        ("c", 8, None),
    ]


async def test_a_delete_removes_the_rows_of_these_keys_and_no_others(db: Database) -> None:
    async with db.transaction() as connection:
        await BulkDelete(ITEMS, ("id", "version")).execute(
            connection, [{"id": "a", "version": 1}, {"id": "b", "version": 1}]
        )
    assert [row.id for row in await all_items(db)] == ["b", "c"]


@pytest.mark.parametrize(("searched", "ids"), [([], []), (["b"], ["b"]), (["c", "a", "z"], ["a", "c"])])
async def test_any_of_matches_any_number_of_values(db: Database, searched: list[str], ids: list[str]) -> None:
    async with db.transaction() as connection:
        query = select(ITEMS.c.id).where(any_of(connection, ITEMS.c.id, searched)).order_by(ITEMS.c.id)
        assert list((await connection.execute(query)).scalars()) == ids
        await connection.execute(delete(ITEMS).where(any_of(connection, ITEMS.c.version, [1])))
        assert list((await connection.execute(select(ITEMS.c.id))).scalars()) == ["b"]


async def test_any_of_compares_values_as_their_column_stores_them(db: Database) -> None:
    ids = [new_id() for _ in range(3)]
    visits = [{"id": id_, "at": AT + timedelta(days=day), "digest": b"\xff"} for day, id_ in enumerate(ids)]
    async with db.transaction() as connection:
        await connection.execute(insert(VISITS), visits)
        for column, values in ((VISITS.c.id, ids[:2]), (VISITS.c.at, [AT, AT + timedelta(days=1)])):
            query = select(VISITS.c.id).where(any_of(connection, column, values)).order_by(VISITS.c.at)
            assert list((await connection.execute(query)).scalars()) == ids[:2], column.name


async def test_any_of_refuses_bytes_where_it_could_never_match_them(db: Database) -> None:
    async with db.transaction() as connection:
        await connection.execute(insert(VISITS).values(id=new_id(), at=AT, digest=b"\xff"))
        if db.is_postgres:
            query = select(VISITS.c.at).where(any_of(connection, VISITS.c.digest, [b"\xff"]))
            assert list((await connection.execute(query)).scalars()) == [AT]
        else:
            with pytest.raises(TypeError):
                any_of(connection, VISITS.c.digest, [b"\xff"])


async def test_what_is_computed_is_the_databases_own_on_postgresql(db: Database) -> None:
    statement = BulkInsert(ITEMS, computed={"version": literal_column("40 + 2")})
    async with db.transaction() as connection:
        await statement.execute(connection, [make_item("e", 1) | {"note": "given"}])
    last = (await all_items(db))[-1]
    assert (last.version, last.note) == (42 if db.is_postgres else 1, "given")
