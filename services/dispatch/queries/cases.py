"""Reads of cases: for lists and pages, counted, and their rows locked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Table, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.domain.earlier_forms import decode_case_body
from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.models import case_requests, cases
from shared.database.bulk import any_of

_request_decoder = msgspec.json.Decoder(CaseRequest)
_STORED: Select[bytes, bytes] = select(cases.c.body, case_requests.c.body).join(
    case_requests, case_requests.c.id == cases.c.id
)
_LINKED_LIMIT = 200
Link = Literal["rework_of", "parent", "reworks", "children"]


class StoredCase(NamedTuple):
    """A case as it is stored."""

    case: Case
    request: CaseRequest


class CaseFilter(Struct, frozen=True, kw_only=True):
    """Which cases a list holds; `properties` None means all. `before`: the id that the page goes on from.
    `folded`: those too that are folded into others."""

    properties: Sequence[str] | None = None
    kind: str | None = None
    state: str | None = None
    is_open: bool | None = None
    assignee: str | None = None
    words: str | None = None
    folded: bool = True
    ids: Sequence[str] | None = None
    before: str | None = None
    limit: int = 50


class OpenCaseCount(NamedTuple):
    """How many cases of a kind are in a state that is open."""

    property: str
    kind: str
    state: str
    cases: int


def decode_case(body: bytes, request: bytes) -> StoredCase:
    """The case of a row, from its body and that of its request."""
    return StoredCase(decode_case_body(body), _request_decoder.decode(request))


async def lock_cases(
    connection: AsyncConnection, ids: Iterable[str], *, skip_locked: bool = False
) -> list[str]:
    """Those of `ids` that are cases, their rows locked in id order, so that no deadlock can arise.

    With `skip_locked` those that another transaction has locked are left out.
    """
    query: Select[str] = select(cases.c.id).where(any_of(connection, cases.c.id, sorted(set(ids))))
    query = query.order_by(cases.c.id).with_for_update(skip_locked=skip_locked)
    return list((await connection.execute(query)).scalars())


async def get_children(connection: AsyncConnection, parents: Iterable[str]) -> list[tuple[StoredCase, int]]:
    """The cases that are folded into `parents`, each with its revision."""
    query = _STORED.add_columns(cases.c.revision)
    query = query.where(any_of(connection, cases.c.parent, sorted(parents)), cases.c.state == FOLDED)
    rows = await connection.execute(query)
    return [(decode_case(body, request), revision) for body, request, revision in rows]


async def get_cases(connection: AsyncConnection, ids: Iterable[str]) -> list[StoredCase]:
    """The cases of `ids`, not locked."""
    return await _load_cases(connection, _STORED.where(any_of(connection, cases.c.id, sorted(set(ids)))))


async def get_case(connection: AsyncConnection, case_id: str) -> StoredCase | None:
    """The case of this id."""
    return next(iter(await _load_cases(connection, _STORED.where(cases.c.id == case_id))), None)


async def list_cases(connection: AsyncConnection, case_filter: CaseFilter) -> list[StoredCase]:
    """A page of cases, the latest first."""
    order = _listed_table(case_filter).c.id.desc()
    query = _STORED.where(*_conditions(case_filter)).order_by(order).limit(case_filter.limit)
    return await _load_cases(connection, query)


def _listed_table(case_filter: CaseFilter) -> Table:
    """The table with the index for the list: cases for those that are open, else their requests."""
    return cases if case_filter.is_open else case_requests


async def _load_cases(connection: AsyncConnection, query: Select[bytes, bytes]) -> list[StoredCase]:
    return [decode_case(body, request) for body, request in await connection.execute(query)]


def _conditions(case_filter: CaseFilter) -> list[ColumnElement[bool]]:
    listed = _listed_table(case_filter)
    equal = {
        cases.c.kind: case_filter.kind,
        cases.c.state: case_filter.state,
        cases.c.assignee: case_filter.assignee,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in equal.items() if value is not None
    ]
    if case_filter.properties is not None:
        conditions.append(listed.c.property.in_(case_filter.properties))
    if case_filter.is_open is not None:
        conditions.append(cases.c.is_open if case_filter.is_open else ~cases.c.is_open)
    if case_filter.words:
        conditions.append(case_requests.c.words.contains(case_filter.words.lower(), autoescape=True))
    if not case_filter.folded:
        conditions.append(cases.c.state != FOLDED)
    if case_filter.ids is not None:
        conditions.append(listed.c.id.in_(case_filter.ids))
    if case_filter.before is not None:
        conditions.append(listed.c.id < case_filter.before)
    return conditions


async def find_case_by_number(connection: AsyncConnection, property_id: str, number: str) -> str | None:
    """The id of the property's case that people call by this number."""
    table = case_requests.c
    query: Select[str] = select(table.id).where(table.number == number, table.property == property_id)
    return (await connection.execute(query.limit(1))).scalar()


async def get_reworks(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, list[str]]:
    """The reworks of each of `ids` that has any."""
    query: Select[str, str] = select(case_requests.c.rework_of, case_requests.c.id).where(
        any_of(connection, case_requests.c.rework_of, sorted(set(ids)))
    )
    reworks: dict[str, list[str]] = {}
    for original, rework in await connection.execute(query):
        reworks.setdefault(original, []).append(rework)
    return reworks


async def linked_cases(connection: AsyncConnection, case: Case) -> Mapping[Link, list[StoredCase]]:
    """The cases that `case` is linked with: `rework_of` and `parent`, its `reworks` and `children`."""
    ids = [case_id for case_id in (case.rework_of, case.parent) if case_id]
    is_linked = or_(cases.c.id.in_(ids), cases.c.parent == case.id, case_requests.c.rework_of == case.id)
    query = _STORED.where(is_linked).order_by(cases.c.id).limit(_LINKED_LIMIT)
    linked: dict[Link, list[StoredCase]] = {"rework_of": [], "parent": [], "reworks": [], "children": []}
    for stored in await _load_cases(connection, query):
        for link in _links(case, stored.case):
            linked[link].append(stored)
    return linked


def _links(case: Case, other: Case) -> list[Link]:
    """What `other` is to `case`."""
    links: dict[Link, bool] = {
        "rework_of": other.id == case.rework_of,
        "parent": other.id == case.parent,
        "reworks": other.rework_of == case.id,
        "children": other.parent == case.id,
    }
    return [link for link, holds in links.items() if holds]


async def count_folded(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, int]:
    """How many cases are folded into each of `ids` that has any."""
    conditions = (any_of(connection, cases.c.parent, sorted(set(ids))), cases.c.state == FOLDED)
    query: Select[str, int] = select(cases.c.parent, func.count()).where(*conditions).group_by(cases.c.parent)
    return dict((await connection.execute(query)).all())


async def open_jobs_by_person(
    connection: AsyncConnection, properties: Iterable[str]
) -> dict[str, Counter[str]]:
    """How many jobs occupy each person, by property."""
    query: Select[str, str, int] = (
        select(cases.c.property, cases.c.assignee, func.count())
        .where(
            cases.c.is_open,
            cases.c.assignee.is_not(None),
            cases.c.is_busy,
            any_of(connection, cases.c.property, sorted(set(properties))),
        )
        .group_by(cases.c.property, cases.c.assignee)
    )
    jobs: dict[str, Counter[str]] = {}
    for property_id, person, count in await connection.execute(query):
        jobs.setdefault(property_id, Counter())[person] = count
    return jobs


async def count_open_cases(connection: AsyncConnection) -> list[OpenCaseCount]:
    """The open cases by property, kind and state."""
    columns = (cases.c.property, cases.c.kind, cases.c.state)
    query: Select[str, str, str, int] = (
        select(*columns, func.count()).where(cases.c.is_open).group_by(*columns)
    )
    return [OpenCaseCount(*row) for row in await connection.execute(query)]
