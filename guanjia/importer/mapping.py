"""How another system's event log is read: a TOML file that says which column means what.

A mapping tells where a row's case and times are, what demand opens the case, what the log's states mean here,
and by which moves a case comes from one state into another.
"""

import re
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

Row = Mapping[str, str]
COLUMN = re.compile(r"\{(\w+)\}")


class MappingUnusable(Exception):
    """The mapping file can't be used; the message says where and why."""


class RowUnusable(Exception):
    """A row can't be taken; the message is the reason that is written beside it."""


class FromColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that depends on a column: by a table (capitals do not matter), or one of a list by its text."""

    column: str
    table: dict[str, str] = {}
    pick: list[str] = []
    otherwise: str | None = None

    def get_value(self, row: Row) -> str | None:
        """The value for this row, None where nothing is said about it."""
        text = row[self.column].strip()
        if self.pick:
            return self.pick[zlib.crc32(text.encode()) % len(self.pick)]
        by_text = {key.casefold(): value for key, value in self.table.items()}
        return by_text.get(text.casefold(), self.otherwise)


Value = str | bool | int | FromColumn


class Goal(Struct, frozen=True, forbid_unknown_fields=True):
    """The state that a case must come into, and what the last move into it says beside its own data."""

    state: str
    data: dict[str, Value] = {}


class Moment(Struct, frozen=True, forbid_unknown_fields=True):
    """One instant in a row: the column of its time, and the column of the log's state or that state."""

    at: str
    column: str | None = None
    state: str | None = None


class Move(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """An action that takes a case from one of these states into another."""

    action: str
    from_: list[str]
    to: str
    data: dict[str, Value] = {}


class MappingFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping as its file says it."""

    property: str
    source: str
    zone: str
    time_format: str
    unknown: list[str] = field(default_factory=lambda: [""])
    case: str
    raised_at: str
    demand: dict[str, Value]
    start: dict[str, str]
    moments: list[Moment]
    states: dict[str, Goal]
    moves: list[Move]

    def list_columns(self) -> set[str]:
        """Every column that the mapping reads."""
        values = [*self.demand.values(), *(v for m in self.moves for v in m.data.values())]
        values += [v for goal in self.states.values() for v in goal.data.values()]
        columns = {v.column for v in values if isinstance(v, FromColumn)}
        columns |= {name for v in values if isinstance(v, str) for name in COLUMN.findall(v)}
        columns |= {m.column for m in self.moments if m.column} | {m.at for m in self.moments}
        return columns | {self.case, self.raised_at}

    def read_text(self, row: Row, column: str) -> str | None:
        """What the row says in this column, None where it says "unknown"."""
        text = row[column].strip()
        return None if text in self.unknown else text

    def read_instant(self, row: Row, column: str) -> datetime | None:
        """The time in this column, None where it is unknown. Raises RowUnusable for anything else."""
        text = self.read_text(row, column)
        if text is None:
            return None
        try:
            local = datetime.strptime(text, self.time_format)  # noqa: DTZ007 -- the mapping names the zone
        except ValueError:
            raise RowUnusable(f"{column} is not a time") from None
        return local if local.tzinfo else local.replace(tzinfo=ZoneInfo(self.zone))

    def fill_value(self, value: Value, row: Row) -> str | bool | int | None:
        """A value of the mapping for this row; None where its columns are unknown."""
        if isinstance(value, FromColumn):
            return value.get_value(row)
        if not isinstance(value, str):
            return value
        texts = {name: self.read_text(row, name) for name in COLUMN.findall(value)}
        if any(text is None for text in texts.values()):
            return None
        return COLUMN.sub(lambda match: texts[match[1]] or "", value)

    def fill_values(self, values: Mapping[str, Value], row: Row) -> dict[str, object]:
        """The values for this row without the unknown ones; `a.b` is the field `b` of the object `a`."""
        data: dict[str, object] = {}
        for name, value in values.items():
            if (filled := self.fill_value(value, row)) is not None:
                *outer, last = name.split(".")
                target = data
                for step in outer:
                    target = target.setdefault(step, {})  # type: ignore[assignment]
                target[last] = filled
        return data

    def find_moves(self, state: str, goal: str) -> Sequence[Move]:
        """The shortest sequence of moves, one at least. Raises RowUnusable where there is none."""
        reached, queue = set[str](), deque[tuple[str, tuple[Move, ...]]]([(state, ())])
        while queue:
            current, moves = queue.popleft()
            if current == goal and moves:
                return moves
            for move in self.moves:
                if current in move.from_ and move.to not in reached:
                    reached.add(move.to)
                    queue.append((move.to, (*moves, move)))
        raise RowUnusable(f"there is no way from {state} to {goal}")


def read_mapping(file: Path) -> MappingFile:
    """Read and check a mapping. Raises MappingUnusable."""
    try:
        mapping = msgspec.toml.decode(file.read_bytes(), type=MappingFile)
        ZoneInfo(mapping.zone)
    except (OSError, msgspec.MsgspecError, ValueError, KeyError) as error:
        raise MappingUnusable(f"{file}: {error}") from error
    _check_moments(file, mapping)
    return mapping


def check_columns(mapping: MappingFile, present: Iterable[str]) -> None:
    """Raises MappingUnusable where the data lack a column that the mapping reads."""
    missing = sorted(mapping.list_columns() - set(present))
    if missing:
        raise MappingUnusable(f"the data have no column {', '.join(missing)}")


def _check_moments(file: Path, mapping: MappingFile) -> None:
    for number, moment in enumerate(mapping.moments):
        if (moment.column is None) == (moment.state is None):
            raise MappingUnusable(f"{file}: moments[{number}] needs either column or state")
        if moment.state is not None and moment.state not in mapping.states:
            raise MappingUnusable(f"{file}: moments[{number}].state is not among the states")
