"""A history of any length in the product's own tables: a simulated month, copied with new names and dates.

The month is simulated by the real services, so every row has the shape that they write. It is moved to ten
properties and back through the years, month by month; only the latest copy of each keeps its open cases.
"""

import io
import re
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench.product_tables import (
    BINARY_COLUMNS,
    COUNT_TEMPLATE_CASES,
    DISPATCH_TABLES,
    INTAKE_TABLES,
    KPI_TABLES,
    MICROSECOND_COLUMNS,
    CopiedTable,
)
from bench.sizes import month_days
from guanjia.simulation.removal import delete_simulation
from guanjia.simulation.simulated_property import PROPERTY
from guanjia.simulation.span import simulate_span
from guanjia.simulation.storage import store_simulation
from shared.settings import Settings
from tests.support import servers

PROPERTIES = 10
YEARS = 5
MONTHS = (4, 6, 9, 11)
"""Months of 30 days after months of 31: what lies in two of them moves to two others by whole days."""
_UUID = re.compile(rb"([0-9a-f]{8}-[0-9a-f]{4}-7)[0-9a-f]{3}(-[89ab][0-9a-f]{3}-[0-9a-f]{12})")
_NUMBER = re.compile(rb"\b([A-Z]{2}-\d{6}-[0-9A-Z]{6})\b")
_NAME = re.compile(
    rb"\b(20\d{4}-\d{4}|\d{8}-\d+|(?:cleaning|security|greening)-(?:am|pm|night)-\d{8}|r-\d{4})\b"
)
"""Bills, incidents and references, inspections, residents."""
_COPY_MARK, _PROPERTY_MARK, _NUMBER_MARK = b"\x01C", b"\x01P", b"\x01N"
_POSITIONS = 10**12
"""More than the steps of a month, whose positions follow each other."""


_FOR_EVER = 4 * 10**18
_simulated: list[tuple[Settings, "tempfile.TemporaryDirectory[str]"]] = []
"""The month, with its folder, which is removed when the run ends."""


def end_of_last_month(now: datetime) -> datetime:
    """The latest end of a month that can be moved: a 23rd, noon in Shanghai."""
    years = (now.year - 1, now.year)
    ends = (datetime(year, month, 23, 4, tzinfo=UTC) for year in years for month in MONTHS)
    return max(end for end in ends if end <= now)


def count_copies(*cases: float) -> list[int]:
    """How many copies of the month, of some 451 cases at each property, make about so many cases each."""
    return list(dict.fromkeys(max(1, round(count / (451 * PROPERTIES))) for count in cases))


async def simulate_month() -> Settings:
    """Simulate the month that is copied, once for all programs of a run; the settings of where it lies."""
    if not _simulated:
        _simulated.append(
            (await _simulate(kept := tempfile.TemporaryDirectory(prefix="guanjia-bench-")), kept)
        )
    return _simulated[0][0]


async def _simulate(kept: "tempfile.TemporaryDirectory[str]") -> Settings:
    until = end_of_last_month(datetime.now(UTC))
    start = until - timedelta(days=month_days())
    async with simulate_span(Path(kept.name), 1, start, until, lambda _: None) as span:
        return span.settings


def make_settings(folder: Path, url: str) -> Settings:
    """The settings of an installation on the database at `url` with the properties of `folder`."""
    fields = {
        "database_url": url,
        "amqp_url": "",
        "data_dir": folder / "data",
        "properties_dir": folder / "properties",
    }
    return Settings.model_validate(fields)


def write_properties(month: Settings, folder: Path) -> None:
    """The properties `tower-0` to `tower-9`, as the simulated one is."""
    for number in range(PROPERTIES):
        shutil.copytree(
            month.properties_dir / PROPERTY, folder / "properties" / f"tower-{number}", dirs_exist_ok=True
        )


async def fill_database(
    month: Settings, folder: Path, url: str, tables: Sequence[CopiedTable], copies: int
) -> int:
    """Fill the empty database at `url` with `copies` of the month at each property; how many cases."""
    settings = make_settings(folder, url)
    await store_simulation(month, settings)
    connection = await asyncpg.connect(servers.strip_driver(url), server_settings={"timezone": "UTC"})
    try:
        await connection.execute("CREATE SCHEMA template")
        for copied in {*DISPATCH_TABLES, *INTAKE_TABLES, *KPI_TABLES}:
            name = copied.table.replace(".", "_")
            await connection.execute(f"CREATE TABLE template.{name} AS SELECT * FROM {copied.table}")
        await delete_simulation(settings)
        await _load_history(connection, tables, copies, end_of_last_month(datetime.now(UTC)))
        for schema, table in {tuple(copied.table.split(".")) for copied in tables}:
            await connection.execute(f"VACUUM ANALYZE {schema}.{table}")
        await connection.execute("CHECKPOINT")
        return copies * PROPERTIES * int(await connection.fetchval(COUNT_TEMPLATE_CASES))
    finally:
        await connection.close()


async def _load_history(connection: Any, tables: Sequence[CopiedTable], copies: int, end: datetime) -> None:
    ends = _list_month_ends(end)
    for number, start in enumerate(ends):
        copy_numbers = range(number, copies, len(ends))
        for copied in tables if copy_numbers else ():
            if number == 0 or not copied.latest_only:
                await _load_table(connection, copied, copy_numbers, end, start)


def _list_month_ends(end: datetime) -> list[datetime]:
    """The ends of the months that the history lies in, the latest first."""
    ends = [end.replace(year=end.year - back, month=month) for back in range(YEARS) for month in MONTHS]
    return sorted((month_end for month_end in ends if month_end <= end), reverse=True)


async def _load_table(
    connection: Any, copied: CopiedTable, copy_numbers: range, end: datetime, start: datetime
) -> None:
    columns = await _list_columns(connection, copied.table)
    texts = {
        closed: await _export_rows(connection, copied, closed, end, start)
        for closed in (copied.closed, "true")
    }
    schema, table = copied.table.split(".")
    for copy in copy_numbers[:1] if copied.latest_only else copy_numbers:
        text = texts["true" if copy == 0 else copied.closed]
        for number in range(PROPERTIES):
            rows = text.replace(_COPY_MARK, b"%03x" % (copy * PROPERTIES + number))
            rows = rows.replace(_NUMBER_MARK, b"%04d" % (copy * PROPERTIES + number))
            source = io.BytesIO(rows.replace(_PROPERTY_MARK, b"tower-%d" % number))
            await connection.copy_to_table(table, schema_name=schema, source=source, columns=list(columns))


async def _list_columns(connection: Any, table: str) -> dict[str, str]:
    """Column → its type; without those that number themselves."""
    query = """SELECT attname, atttypid::regtype::text AS type FROM pg_attribute
               WHERE attrelid = $1::text::regclass AND attnum > 0 AND attidentity = '' AND NOT attisdropped
               ORDER BY attnum"""
    return {row["attname"]: row["type"] for row in await connection.fetch(query, table)}


async def _export_rows(
    connection: Any, copied: CopiedTable, where: str, end: datetime, start: datetime
) -> bytes:
    """The month's rows as COPY writes them, moved from the month of `end` to that of `start`."""
    days, output = (end - start) // timedelta(days=1), io.BytesIO()
    expressions = ", ".join(
        [
            _column_expression(name, column_type, days)
            for name, column_type in (await _list_columns(connection, copied.table)).items()
        ]
    )
    name = copied.table.replace(".", "_")
    await connection.copy_from_query(
        f"SELECT {expressions} FROM template.{name} t WHERE {where}", output=output
    )
    return _mark_names(_move_dates(output.getvalue(), end, start))


def _column_expression(column: str, column_type: str, days: int) -> str:
    """A column as text that COPY reads back; instants in microseconds moved back by `days`."""
    if column_type == "bytea" and column not in BINARY_COLUMNS:
        return f"replace(convert_from(t.{column}, 'UTF8'), '\\', '\\\\')"
    if column in MICROSECOND_COLUMNS:
        return (
            f"CASE WHEN t.{column} > {_FOR_EVER} THEN t.{column} ELSE t.{column} - {days} * 86400000000 END"
        )
    if column == "position":
        return f"(t.position % {_POSITIONS})::text || E'\\x01N'"
    return f't."{column}"'


def _move_dates(text: bytes, end: datetime, start: datetime) -> bytes:
    """Dates as text, moved by whole months."""
    for offset in (-1, 0, 1):
        old, new = _add_months(end, offset), _add_months(start, offset)
        text = text.replace(b"%04d-%02d-" % old, b"\x02%04d-%02d-" % new)
    return text.replace(b"\x02", b"")


def _add_months(at: datetime, offset: int) -> tuple[int, int]:
    number = at.year * 12 + at.month - 1 + offset
    return number // 12, number % 12 + 1


def _mark_names(text: bytes) -> bytes:
    """Names that every copy has for itself, marked."""
    text = _UUID.sub(rb"\1" + _COPY_MARK + rb"\2", text)
    text = _NAME.sub(rb"\1" + _COPY_MARK, _NUMBER.sub(rb"\1" + _COPY_MARK, text))
    text = text.replace(b"simulated/", b"simulated/" + _COPY_MARK + b"/")
    return text.replace(PROPERTY.encode(), _PROPERTY_MARK)
