"""The decider: whatever is asked of it in whatever order, what must always hold does."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.domain.case import SYSTEM, Actor, ReportedAction
from services.dispatch.domain.commands import (
    CaseRequest,
    CheckDeadlines,
    Command,
    ConcludeFollowUp,
    OpenCase,
    PerformAction,
    WithdrawCase,
)
from services.dispatch.domain.decider import CaseDecider
from services.dispatch.domain.events import case_event
from services.dispatch.domain.folding import end_children
from services.dispatch.domain.opening import NewCase
from services.dispatch.domain.timers import timers_for
from services.dispatch.domain.transition import allowed_actions
from services.dispatch.domain.workflow.definition import Action
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from shared.errors import Problem
from shared.messages.cloudevents import decode, encode
from shared.messages.events import Answer, CaseState, FollowUpDone
from tests.unit.dispatch.support import START, TOWER, WORKFLOWS, actor

CATALOG = WorkflowCatalog(WORKFLOWS.values(), {"tower": TOWER})
REQUEST = CaseRequest(summary="x", source="app")
KINDS = ("repair", "complaint", "help", "visitor")
PEOPLE = ("zhao", "qian")
IDS = [f"{number:036d}" for number in range(6)]


def opening(name: str, kind: str, at: datetime) -> OpenCase:
    new = NewCase(id=name, property="tower", kind=kind, raised_at=at, actor=actor("app"))
    return OpenCase(new=new, request=REQUEST)


def field_values(action: Action, choice: int) -> dict[str, Any]:
    """Something for every field that the action asks for."""
    values = {
        "text": "x",
        "bool": bool(choice % 2),
        "int": choice,
        "person": ("wang", "li")[choice % 2],
        "timestamp": START.isoformat(),
        "case": IDS[choice % len(IDS)],
    }
    return {f.name: next(iter(f.choices)) if f.choices else values[f.type] for f in action.fields}


def conclusion(case: str, rating: int, at: datetime) -> ConcludeFollowUp:
    done = FollowUpDone(
        followup="f", case=case, property="tower", kind="repair", line="maintenance", due_at=at, since=at,
        outcome="answered", done_at=at, answer=Answer(rating=rating), version=1, by="qian",
    )  # fmt: skip
    return ConcludeFollowUp(done=done, rework=case.replace("0", "9", 1))


moves = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 200), st.sampled_from(PEOPLE)),
    max_size=40,
)


def play(chosen: list[tuple[int, int, int, str]]) -> tuple[CaseDecider, datetime]:
    """Open a case of each kind and two more repairs, then do what was chosen."""
    now = START
    decider = CaseDecider(CATALOG, now, {"tower": Counter()})
    for name, kind in zip(IDS, (*KINDS, "repair", "repair"), strict=True):
        decider.execute(opening(name, kind, now))
    for number, move, minutes, person in chosen:
        now += timedelta(minutes=minutes)
        tracked, earlier = decider.tracked, decider
        decider = CaseDecider(CATALOG, now, {"tower": earlier.loads_in("tower")})
        decider.tracked, decider.steps, decider.notices = tracked, earlier.steps, earlier.notices
        attempt(decider, command(decider, IDS[number], move, person, now))
        while decider.ended:
            end_children(decider)
    return decider, now


def command(decider: CaseDecider, name: str, move: int, person: str, now: datetime) -> Command:
    """One of the moves: look, take back, conclude, else one of the allowed actions."""
    if move < 4:
        return CheckDeadlines(case=name)
    if move == 4:
        return WithdrawCase(case=name, by="resident", at=now)
    if move in (5, 6):
        return conclusion(name, move - 4, now)
    case = decider.tracked[name].case
    by = Actor(person=person, recorded_by="office", roles=frozenset({"admin"}))
    actions = allowed_actions(CATALOG.workflow_of(case), case, by)
    if not actions:
        return CheckDeadlines(case=name)
    action = actions[move % len(actions)]
    return PerformAction(
        case=name, act=ReportedAction(action=action.name, actor=by, data=field_values(action, move))
    )


def attempt(decider: CaseDecider, command: Command) -> None:
    before = dict(decider.tracked), len(decider.steps), len(decider.notices), weight(decider)
    try:
        decider.execute(command)
    except Problem:
        assert (decider.tracked, len(decider.steps), len(decider.notices), weight(decider)) == before


def weight(decider: CaseDecider) -> Counter[str]:
    return +decider.loads_in("tower")


@settings(max_examples=150, deadline=None)
@given(moves)
def test_what_must_always_hold_does(chosen: list[tuple[int, int, int, str]]) -> None:
    decider, _ = play(chosen)
    for tracked in decider.tracked.values():
        case, workflow = tracked.case, CATALOG.workflow_of(tracked.case)
        entries = [s.transition.entry for s in decider.steps if s.transition.after.id == case.id]
        assert [entry.seq for entry in entries] == list(range(1, case.version + 1))
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert entries[-1].to_state == case.state
        is_open = workflow.is_open(case.state)
        if not is_open:
            assert timers_for(workflow, case) == frozenset()
        if case.state == workflow.follow_up.state or workflow.states[case.state].final == "done":
            assert case.follow_up is not None
        for deadline in case.deadlines:
            assert deadline.met_at is None or (deadline.missed_at == deadline.due_at) == (
                deadline.met_at > deadline.due_at
            )
            assert deadline.missed_at is None or deadline.missed_at == deadline.due_at


@settings(max_examples=80, deadline=None)
@given(moves)
def test_loads_are_those_of_the_cases_themselves(chosen: list[tuple[int, int, int, str]]) -> None:
    decider, _ = play(chosen)
    busy = Counter(
        h.case.assignee for h in decider.tracked.values() if CATALOG.is_busy(h.case) and h.case.assignee
    )
    assert weight(decider) == busy


@settings(max_examples=80, deadline=None)
@given(moves)
def test_every_step_can_be_told_and_read_again(chosen: list[tuple[int, int, int, str]]) -> None:
    decider, _ = play(chosen)
    for step in decider.steps:
        case = step.transition.after
        event = case_event(case, step.transition.entry, is_open=case.state in step.workflow.open_states)
        read = decode(encode(event)).data
        assert isinstance(read, CaseState)
        assert read == event.data


@settings(max_examples=80, deadline=None)
@given(moves)
def test_nothing_is_closed_twice_reworked_twice_or_declined_without_an_answer(
    chosen: list[tuple[int, int, int, str]],
) -> None:
    decider, _ = play(chosen)
    reworks = Counter(
        tracked.case.rework_of for tracked in decider.tracked.values() if tracked.case.rework_of
    )
    assert all(number == 1 for number in reworks.values())
    for tracked in decider.tracked.values():
        taken = [s.transition.entry for s in decider.steps if s.transition.after.id == tracked.case.id]
        ends = [
            e
            for e in taken
            if not CATALOG.workflow_of(tracked.case).is_open(e.to_state) and e.from_state != e.to_state
        ]
        assert len(ends) <= 1
        if tracked.case.state == "declined":
            assert [entry.action for entry in taken][-2:].count("agree") == 1
            assert "explained" in tracked.case.stamps


def test_a_bad_command_leaves_no_trace_on_the_good_ones() -> None:
    decider = CaseDecider(CATALOG, START, {"tower": Counter()})
    decider.execute(opening(IDS[0], "repair", START))
    attempt(decider, PerformAction(case=IDS[0], act=ReportedAction(action="complete", actor=SYSTEM)))
    attempt(
        decider,
        PerformAction(case=IDS[1], act=ReportedAction(action="note", actor=SYSTEM, data={"text": "x"})),
    )
    assert [step.transition.entry.action for step in decider.steps] == ["raise", "assign"]
