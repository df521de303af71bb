"""Many rows in one statement: on PostgreSQL with an array for each column, on SQLite row after row.

There a statement of fixed text costs a fraction of one with a parameter for every value, for both sides; here
the statement is compiled once, and a row after that costs next to nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import (
    ColumnElement,
    Dialect,
    Executable,
    Row,
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
from sqlalchemy.types import TypeEngine

Values = Mapping[str, object]
"""Column → value of one row."""
AnyRow = Row[*tuple[Any, ...]]
"""What a statement of any columns returns."""
Clause = Callable[[postgresql.Insert], Executable]
"""Adds to an INSERT what to do on conflict and what to return, by methods that both databases have."""


class BulkInsert:
    """Inserts rows of `table` that hold every column but those of `omit`.

    `clause` adds to the statement. What is `computed` PostgreSQL works out itself, whatever the rows hold.
    """

    def __init__(
        self,
        table: Table,
        clause: Clause = lambda statement: statement,
        *,
        omit: Sequence[str] = (),
        computed: Mapping[str, ColumnElement[Any]] | None = None,
    ) -> None:
        computed = computed or {}
        self._columns = [column.key for column in table.c if column.key not in (*omit, *computed)]
        arrays = [array.label(name) for name, array in _unnested_arrays(table, self._columns, "").items()]
        batch = select(*arrays, *(value.label(name) for name, value in computed.items()))
        statement = postgresql.insert(table)
        self._postgres = clause(
            statement.from_select([*self._columns, *computed], batch, include_defaults=False)
        )
        self._sqlite = clause(cast(postgresql.Insert, sqlite.insert(table)))

    async def execute(self, connection: AsyncConnection, rows: Sequence[Values]) -> Sequence[AnyRow]:
        """Insert `rows`, at least one, in their order; what the statement returns."""
        if connection.dialect.name == "postgresql":
            result = await connection.execute(self._postgres, _columnwise(rows, self._columns))
        else:
            result = await connection.execute(self._sqlite, rows)
        return result.all() if result.returns_rows else ()


class BulkUpdate:
    """Updates `columns` of the rows of `table` that each row's `keys` name."""

    def __init__(self, table: Table, keys: Sequence[str], columns: Sequence[str]) -> None:
        self._names = [*keys, *columns]
        arrays = [array.label(name) for name, array in _unnested_arrays(table, self._names, "new_").items()]
        batch = select(*arrays).subquery("batch")
        self._postgres = (
            update(table)
            .where(*(table.c[name] == batch.c[name] for name in keys))
            .values({name: batch.c[name] for name in columns})
        )
        self._sqlite = (
            update(table)
            .where(*(table.c[name] == bindparam(f"new_{name}") for name in keys))
            .values({name: bindparam(f"new_{name}") for name in columns})
        )

    async def execute(self, connection: AsyncConnection, rows: Sequence[Values]) -> None:
        """Update by `rows`, at least one."""
        if connection.dialect.name == "postgresql":
            await connection.execute(self._postgres, _columnwise(rows, self._names, "new_"))
        else:
            await connection.execute(self._sqlite, _rowwise(rows, self._names, "new_"))


class BulkDelete:
    """Deletes the rows of `table` that each row's `keys` name."""

    def __init__(self, table: Table, keys: Sequence[str]) -> None:
        self._keys = keys
        arrays = [array.label(name) for name, array in _unnested_arrays(table, keys, "old_").items()]
        batch = select(*arrays).subquery("batch")
        self._postgres = delete(table).where(*(table.c[name] == batch.c[name] for name in keys))
        self._sqlite = delete(table).where(*(table.c[name] == bindparam(f"old_{name}") for name in keys))

    async def execute(self, connection: AsyncConnection, rows: Sequence[Values]) -> None:
        """Delete by `rows`, at least one."""
        if connection.dialect.name == "postgresql":
            await connection.execute(self._postgres, _columnwise(rows, self._keys, "old_"))
        else:
            await connection.execute(self._sqlite, _rowwise(rows, self._keys, "old_"))


def _unnested_arrays(table: Table, names: Iterable[str], prefix: str) -> dict[str, ColumnElement[Any]]:
    return {
        name: func.unnest(bindparam(prefix + name, type_=ARRAY(table.c[name].type, dimensions=1)))
        for name in names
    }


def _columnwise(rows: Sequence[Values], names: Iterable[str], prefix: str = "") -> dict[str, list[object]]:
    return {prefix + name: [row[name] for row in rows] for name in names}


def _rowwise(rows: Sequence[Values], names: Sequence[str], prefix: str) -> list[dict[str, object]]:
    return [{prefix + name: row[name] for name in names} for row in rows]


def any_of(
    connection: AsyncConnection, column: ColumnElement[Any], values: Iterable[object]
) -> ColumnElement[bool]:
    """Whether `column` holds one of `values`: one statement for any number of them.

    Raises TypeError on SQLite where the column stores what is neither text nor a number.
    """
    searched = list(values)
    if connection.dialect.name == "postgresql":
        return column == func.any(literal(searched, ARRAY(column.type, dimensions=1)))
    array = _json_array(connection.dialect, column.type, searched)
    members = func.json_each(array).table_valued("value")
    return column.in_(select(members.c.value))


def _json_array(dialect: Dialect, column_type: TypeEngine[Any], values: Sequence[object]) -> str:
    """`values` as the column stores them, in a JSON array."""
    store = column_type.dialect_impl(dialect).bind_processor(dialect)
    stored = [store(value) if store else value for value in values]
    if not all(value is None or isinstance(value, str | int | float) for value in stored):
        raise TypeError(f"values of {column_type!r} can't be searched for as a batch")
    return msgspec.json.encode(stored).decode()
