"""Plans a follow-up for every case that is owed one, in batches; order and repetition do not matter."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import queries
from services.survey.models import followups
from services.survey.operations.form_links import save_links
from services.survey.operations.property_rules import SOURCE, get_property_rules
from shared.database.bulk import BulkInsert
from shared.host import Host
from shared.ids import new_id
from shared.messages.cloudevents import Event
from shared.messages.events import CaseState, FollowUpDue, FollowUpPlan

_PLANNED = (
    "case_version",
    "number",
    "line",
    "due_at",
    "since",
    "workers",
    "language",
    "form_expires_at",
)
_SAVE_PLANS = BulkInsert(
    followups,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[followups.c.case_id],
        set_={name: insert.excluded[name] for name in _PLANNED},
        where=followups.c.case_version < insert.excluded.case_version,
    ).returning(followups.c.case_id, followups.c.id),
)


async def plan_followups(host: Host, connection: AsyncConnection, cases: Iterable[CaseState]) -> None:
    """Save a follow-up for every case owed one, by its highest version; publish those new or changed."""
    owed = {case.case: case for case in sorted(cases, key=lambda case: case.version) if case.follow_up}
    earlier = await queries.get_plans_by_case(connection, owed)
    rows = [make_row(host, owed[case]) for case in sorted(owed)]  # one order for all copies: no deadlocks
    if not rows:
        return
    saved = await save_plans(connection, rows)
    expiries = {row["case_id"]: row["form_expires_at"] for row in rows}
    await save_links(host, connection, {id_: expiries[case] for case, id_ in saved.items()})
    changed = (
        describe_due(id_, owed[case])
        for case, id_ in saved.items()
        if not is_published(earlier.get(case), owed[case])
    )
    await host.record(connection, *(Event.of(due, source=SOURCE, time=due.since) for due in changed))


async def save_plans(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The ids of the follow-ups that are new or planned anew, by case."""
    return {row.case_id: row.id for row in await _SAVE_PLANS.execute(connection, rows)}


def make_row(host: Host, case: CaseState) -> dict[str, Any]:
    """A follow-up's row, new unless the case has one."""
    plan = require_plan(case)
    rules, _ = get_property_rules(host, case.property)
    return {
        "id": new_id(),
        "case_id": case.case,
        "case_version": case.version,
        "number": case.number,
        "property": case.property,
        "kind": case.kind,
        "line": plan.line,
        "due_at": plan.due_at,
        "since": plan.since,
        "workers": plan.workers,
        "language": case.language,
        "form_expires_at": plan.since + rules.form_expires_after,
        "state": "due",
    }


def require_plan(case: CaseState) -> FollowUpPlan:
    """The plan of a case. Raises ValueError where it is owed no follow-up."""
    if case.follow_up is None:
        raise ValueError("the case is owed no follow-up")
    return case.follow_up


def is_published(earlier: queries.PlannedFollowUp | None, case: CaseState) -> bool:
    """Whether the plan was published as it is."""
    plan = require_plan(case)
    return earlier is not None and earlier[1:] == (plan.line, plan.due_at, plan.since)


def describe_due(followup_id: str, case: CaseState) -> FollowUpDue:
    """The data of the event about a new follow-up."""
    plan = require_plan(case)
    return FollowUpDue(
        followup=followup_id,
        case=case.case,
        property=case.property,
        kind=case.kind,
        line=plan.line,
        due_at=plan.due_at,
        since=plan.since,
    )
