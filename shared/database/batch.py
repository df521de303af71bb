"""What a batch needs in one read, what it comes to in one write: statements of fixed text, made of parts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    bindparam,
    case,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from shared.database.bulk import AnyRow, BulkStatement, Values, columnwise

_DIVISION_BY_ZERO = "22012"


class WriteConflict(Exception):
    """What was read has changed since: another writer was first. Read again and decide again."""


class BulkWrite:
    """Several bulk statements, by name, as one: on PostgreSQL really one, on SQLite one after another.

    What the part `returns` says is returned. Of the part `guarded`, an update with a counter, every row must
    be there as it was read, else nothing is written and `WriteConflict` is raised (on SQLite within the
    caller's transaction).
    """

    def __init__(
        self,
        parts: Mapping[str, BulkStatement],
        *,
        returns: str = "",
        guarded: str = "",
    ) -> None:
        self._parts, self._returns, self._guarded = parts, returns, guarded
        self._combined: dict[frozenset[str], Select[*tuple[Any, ...]]] = {}

    async def execute(
        self, connection: AsyncConnection, rows: Mapping[str, Sequence[Values]]
    ) -> Sequence[AnyRow]:
        """Write `rows` of each part; parts without rows are left out."""
        filled = {name: rows[name] for name in self._parts if rows.get(name)}
        if connection.dialect.name != "postgresql":
            return await self._execute_in_turn(connection, filled)
        parameters: dict[str, object] = {"guarded_rows": len(rows.get(self._guarded, ()))}
        for name, members in filled.items():
            parameters |= columnwise(members, self._parts[name].names, f"{name}__")
        try:
            return (await connection.execute(self._combine(frozenset(filled)), parameters)).all()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _DIVISION_BY_ZERO:
                raise WriteConflict from error
            raise

    def fill_in(self, rows: Mapping[str, Sequence[Values]], computed: Values) -> dict[str, Sequence[Values]]:
        """`rows` with those values of `computed` that PostgreSQL works out itself."""
        return {
            name: [{**row, **{key: computed[key] for key in self._parts[name].computed}} for row in members]
            for name, members in rows.items()
        }

    def _combine(self, names: frozenset[str]) -> Select[*tuple[Any, ...]]:
        if names not in self._combined:
            ctes = {
                name: self._parts[name].make_for_postgres(f"{name}__").cte(name) for name in sorted(names)
            }
            self._combined[names] = self._select_of(ctes).add_cte(*ctes.values())
        return self._combined[names]

    def _select_of(self, ctes: Mapping[str, CTE]) -> Select[*tuple[Any, ...]]:
        columns: list[ColumnElement[Any]] = [*ctes[self._returns].c] if self._returns in ctes else []
        if self._guarded in ctes:
            found = select(func.count()).select_from(ctes[self._guarded]).scalar_subquery()
            # No statement can take itself back but by failing.
            columns.append(1 / case((found == bindparam("guarded_rows", type_=Integer()), 1), else_=0))
        return select(*columns) if columns else select(literal(1))

    async def _execute_in_turn(
        self, connection: AsyncConnection, rows: Mapping[str, Sequence[Values]]
    ) -> Sequence[AnyRow]:
        returned: Sequence[AnyRow] = ()
        for name, members in rows.items():
            result = await self._parts[name].run(connection, members)
            if name == self._guarded and result.rowcount != len(members):
                raise WriteConflict
            if name == self._returns:
                returned = result.all()
        return returned


class Rowset:
    """Rows handed to a SELECT as a table: on PostgreSQL arrays, on SQLite one JSON array of arrays."""

    def __init__(self, name: str, **columns: TypeEngine[Any]) -> None:
        self._name, self._columns = name, columns

    def table(self, *, on_postgres: bool) -> Subquery:
        """The rows, to be joined with."""
        if on_postgres:
            arrays = (
                func.unnest(bindparam(f"{self._name}_{name}", type_=ARRAY(column_type, dimensions=1))).label(
                    name
                )
                for name, column_type in self._columns.items()
            )
            return select(*arrays).subquery(self._name)
        members = func.json_each(bindparam(self._name)).table_valued("value", name=f"{self._name}_json")
        columns = (
            type_coerce(func.json_extract(members.c.value, f"$[{number}]"), column_type).label(name)
            for number, (name, column_type) in enumerate(self._columns.items())
        )
        return select(*columns).subquery(self._name)

    def parameters(self, rows: Iterable[Sequence[object]], *, on_postgres: bool) -> dict[str, object]:
        """`rows`, each in the order of the columns, as the parameters of the statement."""
        members = list(rows)
        if not on_postgres:
            return {self._name: msgspec.json.encode(members).decode()}
        return {
            f"{self._name}_{name}": [row[number] for row in members]
            for number, name in enumerate(self._columns)
        }
