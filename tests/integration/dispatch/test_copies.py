"""Writers that race for the same cases: each step is taken once, over what the step before it left."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from services.dispatch.app import Dispatch
from services.dispatch.domain.case import SYSTEM, ReportedAction
from services.dispatch.domain.commands import PerformAction
from services.dispatch.models import cases, steps
from services.dispatch.operations.case_actions import SubmittedAction
from services.dispatch.operations.case_commands import execute_commands
from services.dispatch.operations.demands import open_cases
from shared.auth import Identity
from shared.errors import Problem
from tests.integration.dispatch.conftest import DispatchDriver

pytestmark = pytest.mark.parametrize("store", ["postgresql"], indirect=True)
ADMIN = Identity(key="office", name="office", roles=frozenset({"admin"}), properties=None, person=None)


def note(case_id: str, text: str) -> SubmittedAction:
    act = ReportedAction(action="note", actor=SYSTEM, data={"text": text})
    return SubmittedAction(identity=ADMIN, perform=PerformAction(case=case_id, act=act))


async def read_notes(dispatch: DispatchDriver, case_id: str) -> list[str]:
    history = (await dispatch.get_case(case_id))["history"]
    assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1))
    return sorted(entry["data"]["text"] for entry in history if entry["action"] == "note")


async def test_copies_that_write_the_same_case_at_once_all_have_their_say(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    copies = [dispatch.service, *[await dispatch.make_copy() for _ in range(2)]]
    texts = [f"{number:02}" for number in range(30)]
    await asyncio.gather(
        *(copies[number % 3].case_actions.submit(note(case_id, text)) for number, text in enumerate(texts))
    )
    assert await read_notes(dispatch, case_id) == texts


async def test_what_a_copy_remembers_is_left_when_another_has_written(dispatch: DispatchDriver) -> None:
    case_id, copy = await dispatch.deliver_demand(), await dispatch.make_copy()
    for number in range(6):
        writer: Dispatch = (dispatch.service, copy)[number % 2]
        result = await writer.case_actions.submit(note(case_id, f"{number}"))
        assert result.version == 3 + number
    assert await read_notes(dispatch, case_id) == [f"{number}" for number in range(6)]


async def test_a_demand_that_two_copies_get_at_once_opens_one_case(dispatch: DispatchDriver) -> None:
    copy = await dispatch.make_copy()
    events = [dispatch.accepted_event() for _ in range(20)]
    await asyncio.gather(*(open_cases(one, events) for one in (dispatch.service, copy) for _ in range(2)))
    async with dispatch.service.database.snapshot() as connection:
        ids = (await connection.execute(select(cases.c.id))).scalars().all()
        told = (await connection.execute(select(steps.c.case_id, steps.c.seq))).all()
    assert sorted(ids) == sorted(event.data.demand for event in events)
    assert len(told) == len(set(told)) == 40


async def test_a_parent_that_ends_while_a_case_is_folded_into_it_takes_it_along(
    dispatch: DispatchDriver,
) -> None:
    """Neither may be decided over what the other has changed since."""
    copy = await dispatch.make_copy()
    for _ in range(5):
        parent, child = await dispatch.deliver_demand(), await dispatch.deliver_demand()
        fold = ReportedAction(action="attach", actor=SYSTEM, data={"parent": parent})
        end = ReportedAction(action="cancel", actor=SYSTEM, data={"reason": "duplicate"})
        folding = SubmittedAction(identity=ADMIN, perform=PerformAction(case=child, act=fold))
        ending = SubmittedAction(identity=ADMIN, perform=PerformAction(case=parent, act=end))
        outcomes = await asyncio.gather(
            dispatch.service.case_actions.submit(folding),
            copy.case_actions.submit(ending),
            return_exceptions=True,
        )
        assert all(isinstance(outcome, Problem) for outcome in outcomes if isinstance(outcome, Exception))
        states = [(await dispatch.get_case(case_id))["state"] for case_id in (parent, child)]
        assert "folded" not in states or states[0] not in ("cancelled", "closed"), states


async def test_who_locks_waits_for_who_wrote_and_decides_over_that(dispatch: DispatchDriver) -> None:
    """A timer or a follow-up works in a transaction of its own; a person's step meanwhile is tried again."""
    case_id, copy = await dispatch.deliver_demand(), await dispatch.make_copy()
    async with copy.database.transaction() as slow:
        act = ReportedAction(action="note", actor=SYSTEM, data={"text": "1"})
        await execute_commands(slow, copy, [PerformAction(case=case_id, act=act)], copy.clock.now())
        waiting = asyncio.create_task(dispatch.service.case_actions.submit(note(case_id, "2")))
        done, _ = await asyncio.wait([waiting], timeout=timedelta(milliseconds=200).total_seconds())
        assert not done
    assert (await waiting).version == 4
    assert await read_notes(dispatch, case_id) == ["1", "2"]
