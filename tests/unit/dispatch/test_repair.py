"""A repair, step by step: states, clocks, lease, follow-up and who may."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from services.dispatch.domain.case import SYSTEM, ReportedAction
from services.dispatch.domain.errors import ActionNotAllowed, NotYours
from services.dispatch.domain.timers import timers_for
from services.dispatch.domain.transition import allowed_actions
from shared.errors import InvalidInput, NotAllowed
from shared.properties.property import Dispatch
from tests.unit.dispatch.support import HOUR, LI, MINUTE, QIAN, START, TOWER, WANG, ZHAO, Story, opened_case


def repair_on_site() -> Story:
    story = Story("repair")
    story.step(SYSTEM, "assign", timedelta(), engineer="wang")
    story.step(WANG, "accept")
    story.step(WANG, "depart")
    story.step(WANG, "arrive")
    return story


def test_a_whole_repair_ends_closed_with_its_follow_up_due_a_day_after_completion() -> None:
    story = repair_on_site()
    story.step(WANG, "wait", reason="parts")
    story.step(WANG, "resume", HOUR)
    completed = story.step(WANG, "complete").after.at
    done = story.step(QIAN, "inspect", HOUR, passed=True).after
    assert done.state == "following_up"
    assert done.follow_up is not None
    assert done.follow_up.due_at == completed + timedelta(hours=24)
    assert (done.follow_up.since, done.follow_up.line, done.follow_up.workers) == (
        done.at,
        "maintenance",
        ("wang",),
    )
    closed = story.step(SYSTEM, "close").after
    assert (closed.state, closed.version, closed.ended_at) == ("closed", 10, None)
    assert [deadline.missed_at for deadline in closed.deadlines] == [None, None, None]


def test_waiting_is_taken_out_of_complete_only() -> None:
    story = repair_on_site()
    due = {deadline.name: deadline.due_at for deadline in story.case.deadlines}
    story.step(WANG, "wait", reason="resident absent")
    assert story.deadline("complete").paused_since == story.now
    story.step(WANG, "resume", 3 * HOUR)
    assert story.deadline("complete").due_at == due["complete"] + 3 * HOUR
    assert story.deadline("complete").paused_seconds == 3 * 3600
    assert story.deadline("arrive").due_at == due["arrive"]


def test_arrive_is_taken_straight_from_accepted() -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", engineer="wang")
    story.step(WANG, "accept")
    assert story.step(WANG, "arrive").after.state == "on_site"


def test_a_failed_inspection_sends_it_back_and_only_the_first_counts() -> None:
    story = repair_on_site()
    first = story.step(WANG, "complete").after.completed_at
    story.step(QIAN, "inspect", passed=False)
    assert story.case.state == "on_site"
    second = story.step(WANG, "complete", HOUR).after.at
    done = story.step(QIAN, "inspect", passed=True).after
    assert (done.completed_at, done.inspection_passed) == (first, False)
    assert done.follow_up is not None
    assert done.follow_up.due_at == second + timedelta(hours=24)


def test_what_the_state_does_not_take_is_refused_with_what_it_takes() -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", engineer="wang")
    with pytest.raises(ActionNotAllowed) as refused:
        story.step(WANG, "complete")
    assert [action["action"] for action in refused.value.members()["actions"]] == [
        "accept",
        "decline",
        "note",
    ]


def test_an_engineer_acts_only_on_what_is_assigned_to_them() -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", engineer="wang")
    with pytest.raises(NotYours):
        story.step(LI, "accept")
    with pytest.raises(NotAllowed):
        story.step(QIAN, "accept")
    assert allowed_actions(story.workflow, story.case, LI) == []


def test_an_engineer_who_declines_is_not_asked_again() -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", engineer="wang")
    case = story.step(WANG, "decline", reason="no lift pass").after
    assert (case.state, case.assignee, case.excluded) == ("reported", None, ("wang",))
    assert case.retry_at == case.at


def test_nobody_but_the_system_takes_a_job_back() -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", engineer="wang")
    assert story.case.lease_until == story.now + timedelta(minutes=15)
    with pytest.raises(ActionNotAllowed):
        story.step(ZHAO, "lapse")
    case = story.step(SYSTEM, "lapse").after
    assert (case.state, case.level, case.lapsed, case.lease_until) == ("reported", 1, ("wang",), None)


def test_reassigning_begins_a_new_lease() -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", engineer="wang")
    case = story.step(ZHAO, "assign", 5 * MINUTE, engineer="li").after
    assert (case.assignee, case.lease_until) == ("li", story.now + timedelta(minutes=15))


def test_assigning_to_somebody_unknown_is_refused_by_field() -> None:
    with pytest.raises(InvalidInput) as refused:
        Story("repair").step(ZHAO, "assign", engineer="nobody")
    assert [error.path for error in refused.value.errors] == ["data.engineer"]


@pytest.mark.parametrize(
    ("data", "paths"),
    [({}, ["data.reason"]), ({"reason": 1}, ["data.reason"]), ({"reason": " "}, ["data.reason"]),
     ({"reason": "x\x00"}, ["data.reason"]), ({"reason": "parts", "more": 1}, ["data.more"])],
)  # fmt: skip
def test_fields_are_checked_by_name(data: dict[str, object], paths: list[str]) -> None:
    story = repair_on_site()
    with pytest.raises(InvalidInput) as refused:
        story.take(ReportedAction(action="wait", actor=WANG, data=data))
    assert [error.path for error in refused.value.errors] == paths


def test_an_offline_phone_is_judged_by_when_it_happened() -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", timedelta(), engineer="wang")
    story.now = START + 5 * HOUR
    case = story.take(ReportedAction(action="accept", actor=WANG, at=START + 10 * MINUTE)).after
    assert story.deadline("respond").missed_at is None
    assert case.at == START + 10 * MINUTE


@pytest.mark.parametrize("at", [START - MINUTE, START + 9 * HOUR])
def test_at_is_neither_before_the_last_entry_nor_in_the_future(at: object) -> None:
    story = Story("repair")
    story.now = START + HOUR
    with pytest.raises(InvalidInput) as refused:
        story.take(ReportedAction(action="note", actor=ZHAO, at=at, data={"text": "x"}))  # type: ignore[arg-type]
    assert [error.path for error in refused.value.errors] == ["at"]


@pytest.mark.parametrize("steps", range(6))
def test_cancelled_from_any_state_before_completed(steps: int) -> None:
    story = Story("repair")
    story.step(SYSTEM, "assign", engineer="wang")
    for action, data in [
        ("accept", {}),
        ("depart", {}),
        ("arrive", {}),
        ("wait", {"reason": "parts"}),
        ("resume", {}),
    ][:steps]:
        story.step(WANG, action, **data)
    case = story.step(ZHAO, "cancel").after
    assert (case.state, case.ended_at, case.follow_up) == ("cancelled", case.at, None)
    assert timers_for(story.workflow, case) == frozenset()


def test_completed_can_not_be_cancelled() -> None:
    story = repair_on_site()
    story.step(WANG, "complete")
    with pytest.raises(ActionNotAllowed):
        story.step(ZHAO, "cancel")


def test_folded_it_waits_for_the_other_and_keeps_its_own_follow_up() -> None:
    story = repair_on_site()
    case = story.step(ZHAO, "attach", parent="0" * 36).after
    assert (case.state, case.parent, case.assignee, case.ended_at) == ("folded", "0" * 36, None, case.at)
    assert timers_for(story.workflow, case) == frozenset()
    done = story.step(SYSTEM, "parent_done", 30 * HOUR).after
    assert done.state == "following_up"
    assert done.follow_up is not None
    assert done.follow_up.due_at == done.at + timedelta(hours=24)
    assert done.ended_at is not None
    assert done.completed_at is None


def test_folded_it_is_cancelled_with_the_other() -> None:
    story = Story("repair")
    story.step(ZHAO, "attach", parent="0" * 36)
    assert story.step(SYSTEM, "parent_cancelled").after.state == "cancelled"


def test_timers_are_a_function_of_the_case() -> None:
    story = Story("repair")
    assert {timer.name for timer in timers_for(story.workflow, story.case)} == {
        "assign", "clock:respond", "clock:arrive", "clock:complete",
    }  # fmt: skip
    story.step(SYSTEM, "assign", engineer="wang")
    assert "lease" in {timer.name for timer in timers_for(story.workflow, story.case)}


def test_imported_histories_get_no_lease_and_no_engineer_of_the_systems_own() -> None:
    by_hand = replace(TOWER, dispatch=Dispatch(automatic=False))
    story = Story("repair", by_hand)
    assert story.case.retry_at is None
    story.step(ZHAO, "assign", engineer="wang")
    assert story.case.lease_until is None


def test_outside_the_served_scope_it_waits_for_a_person_and_can_be_passed_on() -> None:
    story = Story("repair", outside="below the sixth floor")
    assert story.case.retry_at is None
    case = story.step(ZHAO, "pass_on", to="the mall", reason="not ours").after
    assert (case.state, case.ended_at) == ("passed_on", case.at)
    with pytest.raises(ActionNotAllowed):
        Story("repair").step(ZHAO, "pass_on", to="the mall", reason="not ours")


def test_a_higher_tier_moves_the_priority_up() -> None:
    assert opened_case("repair", tier="VIP").priority == "high"
    assert opened_case("repair").priority == "normal"
