"""Many rows in one statement: on PostgreSQL with an array for each column, on SQLite row after row.

There a statement of fixed text costs a fraction of one with a place for every value, for both sides; here
the statement is compiled once, and a row after that costs next to nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    bindparam,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

Row = Mapping[str, Any]
Clause = Callable[[Any], Any]
"""Adds to an INSERT what to do on conflict and what to return; both databases speak it alike."""


class BulkInsert:
    """Inserts rows of `table`, which tell every column but those `without`.

    `clause` adds to the statement. What is `computed` PostgreSQL works out itself, whatever the rows tell.
    """

    def __init__(
        self,
        table: Table,
        clause: Clause = lambda statement: statement,
        *,
        without: Sequence[str] = (),
        computed: Mapping[str, ColumnElement[Any]] | None = None,
    ) -> None:
        known = computed or {}
        self._told = [column.key for column in table.c if column.key not in (*without, *known)]
        values = [array.label(name) for name, array in _unnested_arrays(table, self._told, "").items()]
        given = select(*values, *(value.label(name) for name, value in known.items()))
        statement = postgresql.insert(table).from_select([*self._told, *known], given, include_defaults=False)
        self._postgres = clause(statement)
        self._sqlite = clause(sqlite.insert(table))

    async def run(self, connection: AsyncConnection, rows: Sequence[Row]) -> Sequence[Any]:
        """Insert `rows`, at least one, in their order; what the statement returns."""
        if connection.dialect.name == "postgresql":
            result = await connection.execute(self._postgres, _columnwise(rows, self._told))
        else:
            result = await connection.execute(self._sqlite, rows)
        return result.all() if result.returns_rows else ()


class BulkUpdate:
    """Updates `columns` of the rows of `table` that each row's `keys` name."""

    def __init__(self, table: Table, keys: Sequence[str], columns: Sequence[str]) -> None:
        self._names = [*keys, *columns]
        arrays = [array.label(name) for name, array in _unnested_arrays(table, self._names, "new_").items()]
        given = select(*arrays).subquery("given")
        self._postgres = (
            update(table)
            .where(*(table.c[name] == given.c[name] for name in keys))
            .values({name: given.c[name] for name in columns})
        )
        self._sqlite = (
            update(table)
            .where(*(table.c[name] == bindparam(f"new_{name}") for name in keys))
            .values({name: bindparam(f"new_{name}") for name in columns})
        )

    async def run(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Update by `rows`, at least one."""
        if connection.dialect.name == "postgresql":
            await connection.execute(self._postgres, _columnwise(rows, self._names, "new_"))
        else:
            named = [{f"new_{name}": row[name] for name in self._names} for row in rows]
            await connection.execute(self._sqlite, named)


class BulkDelete:
    """Deletes the rows of `table` that each row's `keys` name."""

    def __init__(self, table: Table, keys: Sequence[str]) -> None:
        self._keys = keys
        arrays = [array.label(name) for name, array in _unnested_arrays(table, keys, "old_").items()]
        given = select(*arrays).subquery("given")
        self._postgres = delete(table).where(*(table.c[name] == given.c[name] for name in keys))
        self._sqlite = delete(table).where(*(table.c[name] == bindparam(f"old_{name}") for name in keys))

    async def run(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Delete by `rows`, at least one."""
        if connection.dialect.name == "postgresql":
            await connection.execute(self._postgres, _columnwise(rows, self._keys, "old_"))
        else:
            named = [{f"old_{name}": row[name] for name in self._keys} for row in rows]
            await connection.execute(self._sqlite, named)


def _unnested_arrays(table: Table, names: Iterable[str], prefix: str) -> dict[str, ColumnElement[Any]]:
    return {
        name: func.unnest(bindparam(prefix + name, type_=ARRAY(table.c[name].type, dimensions=1)))
        for name in names
    }


def _columnwise(rows: Sequence[Row], names: Iterable[str], prefix: str = "") -> dict[str, list[Any]]:
    return {prefix + name: [row[name] for row in rows] for name in names}


def any_of(
    connection: AsyncConnection, column: ColumnElement[Any], values: Iterable[Any]
) -> ColumnElement[bool]:
    """Whether `column` holds one of `values`, numbers or texts: one statement for any number of them."""
    wanted = list(values)
    if connection.dialect.name == "postgresql":
        return column == func.any(literal(wanted, ARRAY(column.type, dimensions=1)))
    listed = func.json_each(msgspec.json.encode(wanted).decode()).table_valued("value")
    known: Select[Any] = select(listed.c.value)
    return column.in_(known)
