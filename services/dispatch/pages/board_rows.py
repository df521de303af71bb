"""What the board shows of a case: one line on a screen, one card on a phone."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from services.dispatch.domain.case import Case, HistoryEntry
from services.dispatch.domain.deadlines import Deadline
from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.pages.case_facts import localized_location, localized_summary
from services.dispatch.pages.localizer import Localizer, Tone
from services.dispatch.queries.cases import StoredCase

_AFTER_ALL_OTHERS = "9999"


class DeadlineCell(Struct, frozen=True, kw_only=True):
    """The deadline that matters next. The page counts it down by `due` and turns its colour at `warn`."""

    name: str
    due: str
    warn: str
    text: str
    tone: Tone
    title: str


class Badge(Struct, frozen=True):
    """Something out of the ordinary."""

    text: str
    tone: Tone = ""


class BoardRow(Struct, frozen=True, kw_only=True):
    """A case in the list. `stamp` tells whether the page has it as it is; a group's rows stand by `order`."""

    id: str
    number: str
    stamp: str
    group: str
    order: str
    kind: str
    state: str
    priority: str
    priority_name: str
    summary: str
    location: str
    property: str
    assignee: str
    raised_at: str
    raised_title: str
    deadline: DeadlineCell | None
    badges: list[Badge]


class RowGroup(Struct, frozen=True, kw_only=True):
    """The rows of cases in one state of one workflow, or of one part of somebody's jobs."""

    id: str
    name: str
    workflow: str
    rows: list[BoardRow]


def board_row(
    localizer: Localizer, stored: StoredCase, reason: str | None, *, mine: bool = False, folded: int = 0
) -> BoardRow:
    """A case as a row; `reason` is why it waits, `folded` how many others are folded into it."""
    case, request = stored
    zone = localizer.catalog.get_property(case.property).timezone
    workflow = localizer.catalog.workflow_of(case)
    return BoardRow(
        id=case.id,
        number=case.number,
        stamp=f"{case.version}-{folded}-{localizer.language}",
        group=_own_group(localizer, case) if mine else f"{workflow.name}-{case.state}",
        order=sort_key(localizer, case),
        kind=localizer.kind(case.kind),
        state=localizer.state(workflow, case.state),
        priority=case.priority,
        priority_name=localizer.t(f"priority_{case.priority}"),
        summary=localized_summary(localizer, stored),
        location=localized_location(localizer, request.location),
        property=localizer.property(case.property),
        assignee=localizer.person(case.property, case.assignee) if case.assignee else "",
        raised_at=localizer.moment(case.raised_at, zone),
        raised_title=localizer.whole_moment(case.raised_at, zone),
        deadline=deadline_cell(localizer, case, reason),
        badges=case_badges(localizer, case, folded),
    )


def sort_key(localizer: Localizer, case: Case) -> str:
    """By what the rows of a group are ordered: what is due next first, what stands still last."""
    workflow = localizer.catalog.workflow_of(case)
    due = [
        deadline.due_at
        for deadline in case.deadlines
        if deadline.met_at is None and deadline.paused_since is None
    ]
    if case.state == workflow.follow_up.state:
        due = [case.follow_up.due_at] if case.follow_up else []
    return f"{min(due).isoformat() if due else _AFTER_ALL_OTHERS} {case.raised_at.isoformat()}"


def _own_group(localizer: Localizer, case: Case) -> str:
    return "mine-now" if localizer.catalog.is_busy(case) else "mine-later"


def deadline_cell(localizer: Localizer, case: Case, reason: str | None) -> DeadlineCell | None:
    """The earliest deadline that is still open; of a case that is followed up, the follow-up's."""
    workflow = localizer.catalog.workflow_of(case)
    if not workflow.is_open(case.state):
        return None
    if case.state == workflow.follow_up.state:
        return _follow_up(localizer, case)
    unmet = [deadline for deadline in case.deadlines if deadline.met_at is None]
    return (
        _deadline_cell(localizer, case, min(unmet, key=lambda deadline: deadline.due_at), reason)
        if unmet
        else None
    )


def _deadline_cell(localizer: Localizer, case: Case, deadline: Deadline, reason: str | None) -> DeadlineCell:
    zone = localizer.catalog.get_property(case.property).timezone
    paused = deadline.paused_since is not None
    text = localizer.until(deadline.due_at)
    if paused:
        text = localizer.t("paused_for", reason=localizer.choice(reason)) if reason else localizer.t("paused")
    return DeadlineCell(
        name=localizer.deadline(case, deadline.name),
        due="" if paused else deadline.due_at.isoformat(),
        warn="" if paused else deadline.warn_at.isoformat(),
        text=text,
        tone=deadline_tone(deadline, localizer.now),
        title=localizer.whole_moment(deadline.due_at, zone),
    )


def _follow_up(localizer: Localizer, case: Case) -> DeadlineCell | None:
    if case.follow_up is None:
        return None
    due = case.follow_up.due_at
    zone = localizer.catalog.get_property(case.property).timezone
    return DeadlineCell(
        name=localizer.t("follow_up"),
        due=due.isoformat(),
        warn=due.isoformat(),
        text=localizer.until(due),
        tone="bad" if due < localizer.now else "",
        title=localizer.whole_moment(due, zone),
    )


def deadline_tone(deadline: Deadline, now: datetime) -> Tone:
    """The tone in which a deadline is shown: how pressing it is."""
    if deadline.met_at is not None:
        return "bad" if deadline.missed_at else "good"
    if deadline.paused_since is not None:
        return "paused"
    if deadline.due_at < now:
        return "bad"
    return "warn" if deadline.warn_at <= now else ""


def case_badges(localizer: Localizer, case: Case, folded: int = 0) -> list[Badge]:
    """What is out of the ordinary with a case."""
    badges = []
    if folded:
        badges.append(Badge(localizer.t("mark_folded", count=folded)))
    if case.rework_of:
        badges.append(Badge(localizer.t("mark_rework"), "bad"))
    if case.level:
        badges.append(Badge(localizer.t("mark_level", level=case.level), "bad"))
    if case.urged:
        badges.append(Badge(localizer.t("mark_urged", times=case.urged), "warn"))
    if case.outside:
        badges.append(Badge(localizer.t("mark_outside"), "warn"))
    return badges


def waiting_reason(entries: Sequence[HistoryEntry], state: str) -> str | None:
    """The reason that was given when the case came to `state`."""
    for entry in reversed(entries):
        if entry.to_state == state and entry.from_state != state:
            reason = entry.data.get("reason")
            return reason if isinstance(reason, str) else None
    return None


def pauses_deadline(workflow: Workflow, state: str) -> bool:
    """Whether a deadline stands still in `state`."""
    return any(state in rule.pauses for rule in workflow.deadline_rules)


def group_rows(localizer: Localizer, rows: Sequence[BoardRow], *, mine: bool) -> list[RowGroup]:
    """Rows by group, in the order of the workflows and their states; within one, what is due first."""
    names = _own_group_names(localizer) if mine else _state_group_names(localizer)
    rows_by_group: dict[str, list[BoardRow]] = {group: [] for group in names}
    for row in sorted(rows, key=lambda row: row.order):
        rows_by_group.setdefault(row.group, []).append(row)
        names.setdefault(row.group, (row.state, row.kind))
    return [
        RowGroup(id=group, name=names[group][0], workflow=names[group][1], rows=group_of_rows)
        for group, group_of_rows in rows_by_group.items()
    ]


def _own_group_names(localizer: Localizer) -> dict[str, tuple[str, str]]:
    """The name of each group, and beside it the workflow that it belongs to."""
    return {"mine-now": (localizer.t("mine_now"), ""), "mine-later": (localizer.t("mine_later"), "")}


def _state_group_names(localizer: Localizer) -> dict[str, tuple[str, str]]:
    return {
        f"{flow.name}-{state}": (localizer.state(flow, state), localizer.of(flow))
        for flow in localizer.catalog.current_workflows
        for state in flow.states
        if flow.is_open(state)
    }
