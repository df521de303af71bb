"""What a batch of commands needs to be decided, in one statement.

Cases that the reader remembers come without their bodies as long as they were not written since.
"""

from collections import Counter
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import CompoundSelect, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import HistoryEntry
from services.dispatch.queries.batch_parts import (
    PARTS,
    WANTED_CASES,
    WANTED_KEYS,
    WANTED_PROPERTIES,
    WANTED_RESIDENTS,
)
from services.dispatch.queries.cases import StoredCase, decode_case
from services.dispatch.queries.demands import ResidentName, ResidentProfile
from services.dispatch.queries.histories import entry_decoder

KeyName = tuple[str, str]
"""A caller, and an `Idempotency-Key` of theirs."""
UNKNOWN = -1
"""The revision of a case that is not remembered."""
_statements: dict[tuple[frozenset[str], bool], CompoundSelect[*tuple[Any, ...]]] = {}


class BatchNeeds(Struct, kw_only=True):
    """What to read: cases, with the revision that is remembered of each, and with them `histories` and
    `reworks`; by name what else bears on the commands. `withdrawals`: whether there are any."""

    cases: dict[str, int] = {}
    histories: bool = False
    reworks: bool = False
    withdrawals: bool = False
    properties: set[str] = set()
    keys: set[KeyName] = set()
    residents: set[ResidentName] = set()


class ReadCase(NamedTuple):
    """A case that is there: its revision, and it itself unless it is as remembered."""

    revision: int
    stored: StoredCase | None


class BatchRead(Struct):
    """What was found; `loads` has every property that was asked for."""

    loads: dict[str, Counter[str]]
    cases: dict[str, ReadCase] = {}
    histories: dict[str, list[HistoryEntry]] = {}
    reworks: dict[str, list[str]] = {}
    used_keys: set[KeyName] = set()
    profiles: dict[ResidentName, ResidentProfile] = {}
    has_withdrawals: bool = False


class _Row(NamedTuple):
    part: str
    name: str
    other: str
    third: str | None
    fourth: str | None
    number: int
    body: bytes | None
    more: bytes | None


async def read_batch(connection: AsyncConnection, needs: BatchNeeds) -> BatchRead:
    """Everything that `needs` names, as of one instant."""
    read = BatchRead({name: Counter() for name in needs.properties})
    if parts := _parts_of(needs):
        on_postgres = connection.dialect.name == "postgresql"
        rows = await connection.execute(_statement_of(parts, on_postgres), _parameters(needs, on_postgres))
        for row in rows:
            _add_row(read, _Row(*row))
    for history in read.histories.values():
        history.sort(key=lambda entry: entry.seq)
    return read


def _parts_of(needs: BatchNeeds) -> frozenset[str]:
    wanted = {
        "case": bool(needs.cases),
        "step": needs.histories and bool(needs.cases),
        "rework": needs.reworks and bool(needs.cases),
        "load": bool(needs.properties),
        "key": bool(needs.keys),
        "profile": bool(needs.residents),
        "withdrawal": needs.withdrawals,
    }
    return frozenset(part for part, is_wanted in wanted.items() if is_wanted)


def _parameters(needs: BatchNeeds, on_postgres: bool) -> dict[str, object]:
    rows: dict[Any, list[tuple[object, ...]]] = {
        WANTED_CASES: [*needs.cases.items()],
        WANTED_PROPERTIES: [(name,) for name in needs.properties],
        WANTED_KEYS: [*needs.keys],
        WANTED_RESIDENTS: [*needs.residents],
    }
    parameters: dict[str, object] = {}
    for rowset, members in rows.items():
        parameters |= rowset.parameters(members, on_postgres=on_postgres) if members else {}
    return parameters


def _statement_of(parts: frozenset[str], on_postgres: bool) -> CompoundSelect[*tuple[Any, ...]]:
    key = (parts, on_postgres)
    if key not in _statements:
        _statements[key] = union_all(*(make(on_postgres) for part in sorted(parts) for make in PARTS[part]))
    return _statements[key]


def _add_row(read: BatchRead, row: _Row) -> None:
    match row.part:
        case "case":
            stored = None if row.body is None else decode_case(row.body, row.more or b"{}")
            read.cases[row.name] = ReadCase(row.number, stored)
        case "step":
            read.histories.setdefault(row.name, []).append(entry_decoder.decode(row.body or b""))
        case "rework":
            read.reworks.setdefault(row.name, []).append(row.other)
        case "load":
            read.loads[row.name][row.other] = row.number
        case "key":
            read.used_keys.add((row.name, row.other))
        case "profile":
            profile = ResidentProfile(
                property=row.name, resident=row.other, tier=row.third, language=row.fourth
            )
            read.profiles[row.name, row.other] = profile
        case _:
            read.has_withdrawals = True
