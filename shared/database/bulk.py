"""Many rows in one statement: on PostgreSQL with an array for each column, on SQLite row after row.

There a statement of fixed text costs a fraction of one with a parameter for every value, for both sides; here
the statement is compiled once, and a row after that costs next to nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import (
    ColumnElement,
    CursorResult,
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


class BulkStatement(ABC):
    """A statement over rows, each of which holds `names`."""

    names: Sequence[str]
    computed: Mapping[str, ColumnElement[Any]] = {}

    def __init__(self) -> None:
        self._on_postgres: Any = self.make_for_postgres("rows__")
        self._on_sqlite = self.make_for_sqlite()

    @abstractmethod
    def make_for_postgres(self, prefix: str) -> Any:
        """The statement over arrays that are named `<prefix><column>`."""

    @abstractmethod
    def make_for_sqlite(self) -> Executable:
        """The statement over the values of one row, named `row_<column>`, of an INSERT as the columns."""

    async def run(self, connection: AsyncConnection, rows: Sequence[Values]) -> CursorResult[Any]:
        """Execute it over `rows`, at least one."""
        if connection.dialect.name == "postgresql":
            statement: Executable = self._on_postgres
            return await connection.execute(statement, columnwise(rows, self.names, "rows__"))
        return await connection.execute(self._on_sqlite, self.values_for_sqlite(rows))

    def values_for_sqlite(self, rows: Sequence[Values]) -> Sequence[Mapping[str, object]]:
        """The parameters of `rows`."""
        return [{f"row_{name}": row[name] for name in self.names} for row in rows]


class BulkInsert(BulkStatement):
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
        self._table, self._clause, self.computed = table, clause, computed or {}
        self.names = [column.key for column in table.c if column.key not in (*omit, *self.computed)]
        super().__init__()

    def make_for_postgres(self, prefix: str) -> Any:
        arrays = _unnested_arrays(self._table, self.names, prefix)
        batch = select(*arrays, *(value.label(name) for name, value in self.computed.items()))
        columns = [*self.names, *self.computed]
        return self._clause(
            postgresql.insert(self._table).from_select(columns, batch, include_defaults=False)
        )

    def make_for_sqlite(self) -> Executable:
        return self._clause(cast(postgresql.Insert, sqlite.insert(self._table)))

    async def execute(self, connection: AsyncConnection, rows: Sequence[Values]) -> Sequence[AnyRow]:
        """Insert `rows`, at least one, in their order; what the statement returns."""
        result = await self.run(connection, rows)
        return result.all() if result.returns_rows else ()

    def values_for_sqlite(self, rows: Sequence[Values]) -> Sequence[Mapping[str, object]]:
        return rows


class BulkUpdate(BulkStatement):
    """Updates `columns` of the rows of `table` that each row's `keys` name.

    With `counter` only rows that hold the row's value of that column, which is counted up.
    """

    def __init__(
        self, table: Table, keys: Sequence[str], columns: Sequence[str], *, counter: str | None = None
    ) -> None:
        self._table, self._columns = table, columns
        self._counter = () if counter is None else (counter,)
        self._keys = (*keys, *self._counter)
        self.names = [*self._keys, *columns]
        super().__init__()

    def make_for_postgres(self, prefix: str) -> Any:
        table = self._table
        batch = select(*_unnested_arrays(table, self.names, prefix)).subquery(f"{prefix}batch")
        values = {name: batch.c[name] for name in self._columns} | self._counted_up()
        changed = update(table).where(*(table.c[name] == batch.c[name] for name in self._keys)).values(values)
        return changed.returning(table.c[self._keys[0]]) if self._counter else changed

    def make_for_sqlite(self) -> Executable:
        table = self._table
        values: dict[str, Any] = {name: bindparam(f"row_{name}") for name in self._columns}
        is_named = (table.c[name] == bindparam(f"row_{name}") for name in self._keys)
        return update(table).where(*is_named).values(values | self._counted_up())

    def _counted_up(self) -> dict[str, ColumnElement[int]]:
        return {name: self._table.c[name] + 1 for name in self._counter}

    async def execute(self, connection: AsyncConnection, rows: Sequence[Values]) -> None:
        """Update by `rows`, at least one."""
        await self.run(connection, rows)


class BulkDelete(BulkStatement):
    """Deletes the rows of `table` that each row's `keys` name."""

    def __init__(self, table: Table, keys: Sequence[str]) -> None:
        self._table, self.names = table, keys
        super().__init__()

    def make_for_postgres(self, prefix: str) -> Any:
        table = self._table
        batch = select(*_unnested_arrays(table, self.names, prefix)).subquery(f"{prefix}batch")
        return delete(table).where(*(table.c[name] == batch.c[name] for name in self.names))

    def make_for_sqlite(self) -> Executable:
        return delete(self._table).where(
            *(self._table.c[name] == bindparam(f"row_{name}") for name in self.names)
        )

    async def execute(self, connection: AsyncConnection, rows: Sequence[Values]) -> None:
        """Delete by `rows`, at least one."""
        await self.run(connection, rows)


def _unnested_arrays(table: Table, names: Iterable[str], prefix: str) -> list[ColumnElement[Any]]:
    return [
        func.unnest(bindparam(prefix + name, type_=ARRAY(table.c[name].type, dimensions=1))).label(name)
        for name in names
    ]


def columnwise(rows: Sequence[Values], names: Iterable[str], prefix: str) -> dict[str, list[object]]:
    """The parameters of a statement over arrays that are named `<prefix><column>`."""
    return {prefix + name: [row[name] for row in rows] for name in names}


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
