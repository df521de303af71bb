"""Reads the rows of a log into cases: what opened each, and which state it must reach when."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from guanjia.importer.mapping import Goal, MappingFile, Row, RowUnusable, check_columns


@dataclass(frozen=True)
class RequiredState:
    """At `at`, the case must be in the goal's state. `row` is the line's number; the header is row 1."""

    row: int
    at: datetime
    goal: Goal
    cells: Row


@dataclass
class LoggedCase:
    """One case of the log: the demand that opens it, and its later moments in the order of their times."""

    name: str
    raised_at: datetime
    demand: Mapping[str, object]
    kind: str
    row: int
    required_states: list[RequiredState] = field(default_factory=list)


@dataclass
class Log:
    """A whole log: its cases in the order in which they were raised, and the rows that can't be taken."""

    columns: list[str]
    cases: list[LoggedCase]
    bad: dict[int, str]
    rows: dict[int, list[str]]


def read_log(mapping: MappingFile, data: Path) -> Log:
    """Read the whole file. Raises MappingUnusable where it lacks a column; bad rows do not stop it."""
    log = Log([], [], {}, {})
    cases: dict[str, LoggedCase] = {}
    with data.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        reader = csv.reader(file)
        log.columns = next(reader, [])
        check_columns(mapping, log.columns)
        for number, cells in enumerate(reader, start=2):
            log.rows[number] = cells
            try:
                _add_row(mapping, cases, number, _name_cells(log.columns, cells))
            except RowUnusable as reason:
                log.bad[number] = str(reason)
    for case in cases.values():
        case.required_states.sort(key=lambda required: (required.at, required.row))
    log.cases = sorted(cases.values(), key=lambda case: (case.raised_at, case.row))
    return log


def _name_cells(columns: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        raise RowUnusable(f"{len(cells)} cells where {len(columns)} are expected")
    return dict(zip(columns, cells, strict=True))


def _add_row(mapping: MappingFile, cases: dict[str, LoggedCase], number: int, row: Row) -> None:
    """Add the row to its case, or nothing of it: all of its times are looked at first."""
    name, raised_at = mapping.read_text(row, mapping.case), mapping.read_instant(row, mapping.raised_at)
    if name is None:
        raise RowUnusable(f"{mapping.case} is unknown")
    if raised_at is None:
        raise RowUnusable(f"{mapping.raised_at} is unknown")
    case = cases.get(name)
    first = case.raised_at if case else raised_at
    required_states = list(_read_required_states(mapping, number, row, first))
    if case is None:
        case = cases[name] = _open_case(mapping, name, raised_at, number, row)
    case.required_states += required_states


def _read_required_states(
    mapping: MappingFile, number: int, row: Row, raised_at: datetime
) -> Iterator[RequiredState]:
    for moment in mapping.moments:
        at = mapping.read_instant(row, moment.at)
        if at is None:
            continue
        if at < raised_at:
            raise RowUnusable(f"{moment.at} is before {mapping.raised_at}")
        state = moment.state if moment.column is None else mapping.read_text(row, moment.column)
        if state is None:
            raise RowUnusable(f"{moment.column} is unknown")
        goal = mapping.states.get(state)
        if goal is None:
            raise RowUnusable(f"{moment.column} is a state that the mapping does not know")
        yield RequiredState(number, at, goal, row)


def _open_case(mapping: MappingFile, name: str, raised_at: datetime, number: int, row: Row) -> LoggedCase:
    demand = mapping.fill_values(mapping.demand, row)
    kind = str(demand.get("kind"))
    if kind not in mapping.start:
        raise RowUnusable("the mapping does not say in which state a case of this kind starts")
    return LoggedCase(name, raised_at, {"property": mapping.property, **demand}, kind, number)
