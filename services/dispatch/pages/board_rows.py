"""What the board shows of a case: one line on a screen, one card on a phone."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from services.dispatch.domain.case import Case, HistoryEntry
from services.dispatch.domain.deadlines import Deadline
from services.dispatch.domain.decider import is_busy
from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.pages.case_facts import localized_place, localized_summary
from services.dispatch.pages.localizer import Localizer, Tone
from services.dispatch.queries import StoredCase

_LATEST = "9999"
PRIORITIES = ("urgent", "high", "normal", "low")


class DeadlineCell(Struct, frozen=True, kw_only=True):
    """The deadline that matters next. The page counts it down by `due` and turns its colour at `warn`."""

    clock: str
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
    place: str
    property: str
    assignee: str
    raised: str
    raised_title: str
    deadline: DeadlineCell | None
    marks: list[Badge]


class RowGroup(Struct, frozen=True, kw_only=True):
    """Cases in one state of one workflow, or one part of somebody's jobs."""

    id: str
    name: str
    of: str
    rows: list[BoardRow]


def board_row(
    reader: Localizer, stored: StoredCase, reason: str | None, *, mine: bool = False, folded: int = 0
) -> BoardRow:
    """A case as a row; `reason` is why it waits, `folded` how many others are folded into it."""
    case, papers = stored
    zone = reader.rules.property(case.property).timezone
    workflow = reader.rules.of(case)
    shown = deadline_cell(reader, case, reason)
    return BoardRow(
        id=case.id,
        number=case.number,
        stamp=f"{case.version}-{folded}-{reader.language}",
        group=_own_group(reader, case) if mine else f"{workflow.name}-{case.state}",
        order=sort_key(reader, case),
        kind=reader.kind(case.kind),
        state=reader.state(workflow, case.state),
        priority=case.priority,
        priority_name=reader.t(f"priority_{case.priority}"),
        summary=localized_summary(reader, stored),
        place=localized_place(reader, papers.location),
        property=reader.property(case.property),
        assignee=reader.person(case.property, case.assignee) if case.assignee else "",
        raised=reader.moment(case.raised_at, zone),
        raised_title=reader.whole_moment(case.raised_at, zone),
        deadline=shown,
        marks=case_badges(reader, case, folded),
    )


def sort_key(reader: Localizer, case: Case) -> str:
    """Where the case stands among others: by what is due next, what stands still at the end."""
    workflow = reader.rules.of(case)
    due = [clock.due_at for clock in case.clocks if clock.met_at is None and clock.paused_since is None]
    if case.state == workflow.follow_up.state:
        due = [case.follow_up.due_at] if case.follow_up else []
    return f"{min(due).isoformat() if due else _LATEST} {case.raised_at.isoformat()}"


def _own_group(reader: Localizer, case: Case) -> str:
    return "mine-now" if is_busy(reader.rules, case) else "mine-later"


def deadline_cell(reader: Localizer, case: Case, reason: str | None) -> DeadlineCell | None:
    """The earliest deadline that is still open; of a case that is followed up, the follow-up's."""
    workflow = reader.rules.of(case)
    if not workflow.is_open(case.state):
        return None
    if case.state == workflow.follow_up.state:
        return _follow_up(reader, case)
    unmet = [clock for clock in case.clocks if clock.met_at is None]
    return _deadline_cell(reader, case, min(unmet, key=lambda clock: clock.due_at), reason) if unmet else None


def _deadline_cell(reader: Localizer, case: Case, clock: Deadline, reason: str | None) -> DeadlineCell:
    zone = reader.rules.property(case.property).timezone
    paused = clock.paused_since is not None
    text = reader.until(clock.due_at)
    if paused:
        text = reader.t("paused_for", reason=reader.choice(reason)) if reason else reader.t("paused")
    return DeadlineCell(
        clock=reader.clock(case, clock.clock),
        due="" if paused else clock.due_at.isoformat(),
        warn="" if paused else clock.warn_at.isoformat(),
        text=text,
        tone=deadline_tone(clock, reader.now),
        title=reader.whole_moment(clock.due_at, zone),
    )


def _follow_up(reader: Localizer, case: Case) -> DeadlineCell | None:
    if case.follow_up is None:
        return None
    due = case.follow_up.due_at
    zone = reader.rules.property(case.property).timezone
    return DeadlineCell(
        clock=reader.t("follow_up"),
        due=due.isoformat(),
        warn=due.isoformat(),
        text=reader.until(due),
        tone="bad" if due < reader.now else "",
        title=reader.whole_moment(due, zone),
    )


def deadline_tone(clock: Deadline, now: datetime) -> Tone:
    """How pressing a clock is."""
    if clock.met_at is not None:
        return "bad" if clock.missed_at else "good"
    if clock.paused_since is not None:
        return "paused"
    if clock.due_at < now:
        return "bad"
    return "warn" if clock.warn_at <= now else ""


def case_badges(reader: Localizer, case: Case, folded: int = 0) -> list[Badge]:
    """What is out of the ordinary with a case."""
    found = []
    if folded:
        found.append(Badge(reader.t("mark_folded", count=folded)))
    if case.rework_of:
        found.append(Badge(reader.t("mark_rework"), "bad"))
    if case.level:
        found.append(Badge(reader.t("mark_level", level=case.level), "bad"))
    if case.urged:
        found.append(Badge(reader.t("mark_urged", times=case.urged), "warn"))
    if case.outside:
        found.append(Badge(reader.t("mark_outside"), "warn"))
    return found


def waiting_reason(entries: Sequence[HistoryEntry], state: str) -> str | None:
    """The reason that was told when the case came to `state`."""
    for entry in reversed(entries):
        if entry.to_state == state and entry.from_state != state:
            reason = entry.data.get("reason")
            return reason if isinstance(reason, str) else None
    return None


def pauses_deadline(workflow: Workflow, state: str) -> bool:
    """Whether a clock stands still in `state`."""
    return any(state in rule.pauses for rule in workflow.clocks)


def group_rows(reader: Localizer, rows: Sequence[BoardRow], *, mine: bool) -> list[RowGroup]:
    """Rows by group, in the order of the workflows and their states; within one, what is due first."""
    named = _my_groups(reader) if mine else _state_groups(reader)
    by_group: dict[str, list[BoardRow]] = {group: [] for group in named}
    for row in sorted(rows, key=lambda row: row.order):
        by_group.setdefault(row.group, []).append(row)
    return [
        RowGroup(id=group, name=named.get(group, (found[0].state if found else group, ""))[0],
              of=named.get(group, ("", found[0].kind if found else ""))[1], rows=found)
        for group, found in by_group.items()
    ]  # fmt: skip


def _my_groups(reader: Localizer) -> dict[str, tuple[str, str]]:
    return {"mine-now": (reader.t("mine_now"), ""), "mine-later": (reader.t("mine_later"), "")}


def _state_groups(reader: Localizer) -> dict[str, tuple[str, str]]:
    return {
        f"{flow.name}-{state}": (reader.state(flow, state), reader.of(flow))
        for flow in reader.workflows()
        for state in flow.states
        if flow.is_open(state)
    }
