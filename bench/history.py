"""A history of any length in the product's own tables: a simulated month, copied with new names and dates.

The month is lived by the real services, so every row has the shape that they write. It is moved to ten
properties and back through the years, month by month; only the latest copy of each keeps its open cases.
"""

import io
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

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
_COPY, _PROPERTY = b"\x01C", b"\x01P"


@dataclass(frozen=True)
class Part:
    """A table that is copied: `once` only with the latest copy; `over`: which rows belong to what is over."""

    table: str
    over: str = "true"
    once: bool = False


_OVER = "NOT EXISTS (SELECT FROM template.dispatch_cases c WHERE c.is_open AND c.id = {})"
DISPATCH = (
    Part("dispatch.cases", "NOT is_open"), Part("dispatch.case_history", _OVER.format("t.case_id")),
    Part("dispatch.timers", once=True), Part("dispatch.equipment", once=True),
    Part("dispatch.equipment_states", once=True), Part("dispatch.inspections", once=True),
    Part("dispatch.residents", once=True),
)  # fmt: skip
INTAKE = (Part("intake.events"), Part("intake.demands"),
          Part("intake.case_states", _OVER.format("t.case::text")))  # fmt: skip
_OF_EVERY_MONTH = "t.kind NOT IN ('equipment', 'occupancy', 'planting')"
"""Things of a month; those that stay for ever are told of by the latest copy only."""
KPI = (Part("kpi.facts", _OF_EVERY_MONTH), Part("kpi.cases"), Part("kpi.items", _OF_EVERY_MONTH),
       Part("kpi.revisions", once=True))  # fmt: skip
_MICROS = {"counted_at", "since", "until"}
_FOR_EVER = 4 * 10**18


def last_month(now: datetime) -> datetime:
    """The latest end of a month that can be moved: a 23rd, noon in Shanghai."""
    years = (now.year - 1, now.year)
    ends = (datetime(year, month, 23, 4, tzinfo=UTC) for year in years for month in MONTHS)
    return max(end for end in ends if end <= now)


async def live_month(folder: Path) -> Settings:
    """Live the month that is copied; where it lies."""
    until = last_month(datetime.now(UTC))
    async with simulate_span(folder, 1, until - timedelta(days=30), until, lambda _: None) as span:
        return span.settings


def settings_for(folder: Path, url: str) -> Settings:
    """The settings of an installation on the database at `url` with the properties of `folder`."""
    told = {
        "database_url": url,
        "amqp_url": "",
        "data_dir": folder / "data",
        "properties_dir": folder / "properties",
    }
    return Settings.model_validate(told)


def write_properties(month: Settings, folder: Path) -> None:
    """The properties `tower-0` to `tower-9`, as the simulated one is."""
    for number in range(PROPERTIES):
        shutil.copytree(
            month.properties_dir / PROPERTY, folder / "properties" / f"tower-{number}", dirs_exist_ok=True
        )


async def fill(month: Settings, folder: Path, url: str, parts: Sequence[Part], copies: int) -> int:
    """Fill the empty database at `url` with `copies` of the month at each property; how many cases."""
    settings = settings_for(folder, url)
    await store_simulation(month, settings)
    connection = await asyncpg.connect(servers.plain(url), server_settings={"timezone": "UTC"})
    try:
        await connection.execute("CREATE SCHEMA template")
        for part in {*DISPATCH, *INTAKE, *KPI}:
            name = part.table.replace(".", "_")
            await connection.execute(f"CREATE TABLE template.{name} AS SELECT * FROM {part.table}")
        await delete_simulation(settings)
        await _load(connection, parts, copies, last_month(datetime.now(UTC)))
        for schema, table in {tuple(part.table.split(".")) for part in parts}:
            await connection.execute(f"VACUUM ANALYZE {schema}.{table}")
        await connection.execute("CHECKPOINT")
        return (
            copies
            * PROPERTIES
            * int(await connection.fetchval("SELECT count(*) FROM template.dispatch_cases"))
        )
    finally:
        await connection.close()


async def _load(connection: Any, parts: Sequence[Part], copies: int, end: datetime) -> None:
    ends = _ends(end)
    for place, start in enumerate(ends):
        own = range(place, copies, len(ends))
        for part in parts if own else ():
            if place == 0 or not part.once:
                await _load_part(connection, part, own, end, start)


def _ends(end: datetime) -> list[datetime]:
    """The ends of the months that the history lies in, the latest first."""
    ends = [end.replace(year=end.year - back, month=month) for back in range(YEARS) for month in MONTHS]
    return sorted((one for one in ends if one <= end), reverse=True)


async def _load_part(connection: Any, part: Part, own: range, end: datetime, start: datetime) -> None:
    columns = await _columns(connection, part.table)
    texts = {over: await _exported(connection, part, over, end, start) for over in (part.over, "true")}
    schema, table = part.table.split(".")
    for copy in own[:1] if part.once else own:
        text = texts["true" if copy == 0 else part.over]
        for number in range(PROPERTIES):
            told = text.replace(_COPY, b"%03x" % (copy * PROPERTIES + number))
            source = io.BytesIO(told.replace(_PROPERTY, b"tower-%d" % number))
            await connection.copy_to_table(table, schema_name=schema, source=source, columns=list(columns))


async def _columns(connection: Any, table: str) -> dict[str, str]:
    """Column → its type; without those that number themselves."""
    query = """SELECT attname, atttypid::regtype::text AS type FROM pg_attribute
               WHERE attrelid = $1::text::regclass AND attnum > 0 AND attidentity = '' AND NOT attisdropped
               ORDER BY attnum"""
    return {row["attname"]: row["type"] for row in await connection.fetch(query, table)}


async def _exported(connection: Any, part: Part, where: str, end: datetime, start: datetime) -> bytes:
    """The month's rows as COPY tells them, moved from the month of `end` to that of `start`."""
    days, out = (end - start) // timedelta(days=1), io.BytesIO()
    told = ", ".join(
        [_told(name, type_, days) for name, type_ in (await _columns(connection, part.table)).items()]
    )
    name = part.table.replace(".", "_")
    await connection.copy_from_query(f"SELECT {told} FROM template.{name} t WHERE {where}", output=out)
    return _marked(_moved(out.getvalue(), end, start))


def _told(column: str, type_: str, days: int) -> str:
    """A column as text that COPY reads back; instants in microseconds moved back by `days`."""
    if type_ == "bytea" and column != "digest":
        return f"replace(convert_from(t.{column}, 'UTF8'), '\\', '\\\\')"
    if column in _MICROS:
        return (
            f"CASE WHEN t.{column} > {_FOR_EVER} THEN t.{column} ELSE t.{column} - {days} * 86400000000 END"
        )
    return f't."{column}"'


def _moved(text: bytes, end: datetime, start: datetime) -> bytes:
    """Dates as text, moved by whole months."""
    for ahead in (-1, 0, 1):
        old, new = _month(end, ahead), _month(start, ahead)
        text = text.replace(b"%04d-%02d-" % old, b"\x02%04d-%02d-" % new)
    return text.replace(b"\x02", b"")


def _month(at: datetime, ahead: int) -> tuple[int, int]:
    number = at.year * 12 + at.month - 1 + ahead
    return number // 12, number % 12 + 1


def _marked(text: bytes) -> bytes:
    """Names that every copy has for itself, marked."""
    text = _UUID.sub(rb"\1" + _COPY + rb"\2", text)
    text = _NAME.sub(rb"\1" + _COPY, _NUMBER.sub(rb"\1" + _COPY, text))
    text = text.replace(b"simulated/", b"simulated/" + _COPY + b"/")
    return text.replace(PROPERTY.encode(), _PROPERTY)
