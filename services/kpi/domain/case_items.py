"""A case or its follow-up → its items: the decided and inspected repair, the rework, the valid complaint, the
answer. Of a case only its highest version is needed: its deadlines and facts tell all of its past."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise

from services.kpi.domain.items import FOREVER, Item, to_micros
from services.kpi.domain.timelines import Fact, Span, in_order, rating_items
from shared.messages.cloudevents import Event, select_events
from shared.messages.events import CaseState, DeadlineStatus, FollowUpDone, FollowUpDue, Verdict

DECIDING = frozenset({"respond", "arrive", "complete"})
"""The deadlines by which a repair is judged."""


def case_items(case: CaseState) -> list[Item]:
    """What a case contributes to the rates."""
    if case.kind == "repair":
        return [*_decision(case), *_first_inspection(case), *_rework(case)]
    if case.kind == "complaint":
        return _validity(case)
    return []


def decision_of(case: CaseState) -> tuple[datetime, bool] | None:
    """When a repair is decided (perhaps still to come, if nothing happens before), and whether in time.

    At its first completion or when the first deadline passes unmet, whichever is earlier; one that was
    cancelled or folded into another by then is never decided."""
    completed, ended = case.facts.completed_at, case.facts.ended_at
    due = (d.due_at for d in case.deadlines if d.clock in DECIDING and _passes_unmet(d))
    missed = min((moment for moment in due if ended is None or moment < ended), default=None)
    if completed is not None and (missed is None or completed <= missed):
        return completed, True
    return (missed, False) if missed is not None else None


def follow_up_items(facts: Sequence[Event[Fact]]) -> list[Item]:
    """One follow-up: owed from `since`, counted when due, reached once done; and its answers."""
    if not facts:
        return []
    latest = in_order(select_events(facts, FollowUpDue))[-1].data
    done = [fact.data for fact in select_events(facts, FollowUpDone)]
    return [*_follow_up(latest, min((to_micros(d.done_at) for d in done), default=FOREVER)), *_answers(done)]


def _passes_unmet(deadline: DeadlineStatus) -> bool:
    """Met exactly when due is met; while a case waits its deadline can't pass, unless it had before."""
    if deadline.met_at is not None:
        return deadline.met_at > deadline.due_at
    return deadline.paused_since is None or deadline.due_at < deadline.paused_since


def _decision(case: CaseState) -> list[Item]:
    decision = decision_of(case)
    if decision is None:
        return []
    moment, timely = to_micros(decision[0]), decision[1]
    return [Item("repair_decided", moment, moment, FOREVER, 1, int(timely), case.case)]


def _first_inspection(case: CaseState) -> list[Item]:
    if case.facts.inspected_at is None:
        return []
    moment, passed = to_micros(case.facts.inspected_at), int(bool(case.facts.inspection_passed))
    return [Item("repair_inspected", moment, moment, FOREVER, 1, passed, case.case)]


def _rework(case: CaseState) -> list[Item]:
    """A repair that a dissatisfied answer opened anew counts from the moment when it was raised."""
    if case.rework_of is None:
        return []
    raised = to_micros(case.raised_at)
    return [Item("repair_rework", raised, raised, FOREVER, 1, 1, case.case)]


def _validity(case: CaseState) -> list[Item]:
    """The times during which a complaint stands as valid; when it was raised decides the window."""
    raised = to_micros(case.raised_at)
    return [
        Item("valid_complaint", raised, since, until, 1, 1, case.case)
        for since, until in _merged(_valid_spans(case.facts.verdicts))
    ]


def _valid_spans(verdicts: Sequence[Verdict]) -> Iterable[tuple[int, int]]:
    """From each finding of valid until a later finding of not valid takes effect."""
    for number, verdict in enumerate(verdicts, 1):
        if verdict.valid:
            later = [v.effective_at for v in verdicts[number:] if not v.valid]
            yield (
                to_micros(verdict.at),
                min((to_micros(at) for at in later if at is not None), default=FOREVER),
            )


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping spans as one, so that nothing counts twice."""
    merged: list[tuple[int, int]] = []
    for since, until in sorted(span for span in spans if span[0] < span[1]):
        if merged and since <= merged[-1][1]:
            since, until = merged[-1][0], max(merged.pop()[1], until)
        merged.append((since, until))
    return merged


def _follow_up(followup: FollowUpDue, done: int) -> list[Item]:
    family = "follow_up_repair" if followup.kind == "repair" else "follow_up_other"
    due, since = to_micros(followup.due_at), to_micros(followup.since)
    done = max(done, since)
    spans = [(since, done, 0), (done, FOREVER, 1)]
    return [
        Item(family, due, begin, end, 1, numerator, followup.case)
        for begin, end, numerator in spans
        if begin < end
    ]


def _answers(done: Sequence[FollowUpDone]) -> list[Item]:
    """A corrected answer replaces the earlier one, at its own time."""
    ordered = sorted(done, key=lambda d: (d.answered_at or d.done_at, d.version))
    spans = pairwise([*(to_micros(d.answered_at or d.done_at) for d in ordered), FOREVER])
    items = []
    for version, (since, until) in zip(ordered, spans, strict=True):
        answer = version.answer
        if answer is not None and since < until:
            span = Span(since, until)
            items += rating_items(version.line, answer.rating, answer.reason, span, version.case)
    return items
