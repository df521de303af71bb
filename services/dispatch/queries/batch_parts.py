"""The parts of a batch's one read: each a SELECT of the same columns, over the rows that it is asked for."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
)

from services.dispatch.domain.workflow.definition import FOLDED
from services.dispatch.models import case_requests, cases, residents, steps, withdrawals
from shared.database.batch import Rowset
from shared.database.types import Key

WANTED_CASES = Rowset("wanted_cases", id=Key, revision=Integer())
"""`revision`: the one that is remembered, of which no body is needed."""
WANTED_PROPERTIES = Rowset("wanted_properties", property=Key)
WANTED_KEYS = Rowset("wanted_keys", caller=Key, key=Key)
WANTED_RESIDENTS = Rowset("wanted_residents", property=Key, resident=Key)
Part = Select[*tuple[Any, ...]]


def _select(
    part: str, *names: ColumnElement[Any], number: Any = 0, body: Any = None, more: Any = None
) -> Part:
    """A row: its part, four texts, a number, two bodies."""
    texts = [*names, *[null()] * (4 - len(names))]
    return select(
        cast(literal(part), Text()),
        *(cast(name, Text()) for name in texts),
        cast(number, Integer()),
        *(cast(null(), LargeBinary()) if blob is None else blob for blob in (body, more)),
    )


def _cases(on_postgres: bool) -> Part:
    """The cases that are wanted; bodies of those that were written since they were remembered."""
    wanted = WANTED_CASES.table(on_postgres=on_postgres)
    is_new = cases.c.revision != wanted.c.revision
    body = case((is_new, cases.c.body))
    rows = wanted.join(cases, cases.c.id == wanted.c.id).outerjoin(
        case_requests, and_(case_requests.c.id == cases.c.id, is_new)
    )
    columns = _select("case", cases.c.id, number=cases.c.revision, body=body, more=case_requests.c.body)
    return columns.select_from(rows)


def _children(on_postgres: bool) -> Part:
    """The cases that are folded into those that are wanted."""
    wanted = WANTED_CASES.table(on_postgres=on_postgres)
    is_child = and_(cases.c.parent == wanted.c.id, cases.c.state == FOLDED)
    rows = wanted.join(cases, is_child).join(case_requests, case_requests.c.id == cases.c.id)
    columns = _select(
        "case", cases.c.id, number=cases.c.revision, body=cases.c.body, more=case_requests.c.body
    )
    return columns.select_from(rows)


def _steps(on_postgres: bool) -> Part:
    """The histories of those that were written since they were remembered."""
    wanted = WANTED_CASES.table(on_postgres=on_postgres)
    is_new = and_(cases.c.id == wanted.c.id, cases.c.revision != wanted.c.revision)
    rows = wanted.join(cases, is_new).join(steps, steps.c.case_id == cases.c.id)
    return _select("step", steps.c.case_id, body=steps.c.entry).select_from(rows)


def _reworks(on_postgres: bool) -> Part:
    """The reworks of the cases that are wanted."""
    wanted = WANTED_CASES.table(on_postgres=on_postgres)
    rows = wanted.join(case_requests, case_requests.c.rework_of == wanted.c.id)
    return _select("rework", case_requests.c.rework_of, case_requests.c.id).select_from(rows)


def _loads(on_postgres: bool) -> Part:
    """How many jobs occupy each person of the properties."""
    wanted = WANTED_PROPERTIES.table(on_postgres=on_postgres)
    is_job = and_(
        cases.c.property == wanted.c.property, cases.c.is_open, cases.c.assignee.is_not(None), cases.c.is_busy
    )
    columns = _select("load", cases.c.property, cases.c.assignee, number=func.count())
    return columns.select_from(wanted.join(cases, is_job)).group_by(cases.c.property, cases.c.assignee)


def _keys(on_postgres: bool) -> Part:
    """Those of the keys that were used."""
    wanted = WANTED_KEYS.table(on_postgres=on_postgres)
    rows = wanted.join(steps, and_(steps.c.caller == wanted.c.caller, steps.c.key == wanted.c.key))
    return _select("key", steps.c.caller, steps.c.key).select_from(rows)


def _profiles(on_postgres: bool) -> Part:
    """What the residents are registered with."""
    wanted, table = WANTED_RESIDENTS.table(on_postgres=on_postgres), residents.c
    rows = wanted.join(
        residents, and_(table.property == wanted.c.property, table.resident == wanted.c.resident)
    )
    columns = _select("profile", table.property, table.resident, table.tier, table.language)
    return columns.select_from(rows)


def _withdrawals(_: bool) -> Part:
    """A row where any demand was taken back before it came."""
    return _select("withdrawal", literal("")).where(select(withdrawals.c.source).exists())


PARTS: dict[str, tuple[Callable[[bool], Part], ...]] = {
    "case": (_cases, _children),
    "step": (_steps,),
    "rework": (_reworks,),
    "load": (_loads,),
    "key": (_keys,),
    "profile": (_profiles,),
    "withdrawal": (_withdrawals,),
}
