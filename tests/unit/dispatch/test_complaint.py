"""A complaint: judged, countersigned, appealed, agreed to."""

import pytest

from services.dispatch.domain.case import SYSTEM, ReportedAction
from services.dispatch.domain.errors import ActionNotAllowed, NotYours
from services.dispatch.domain.transition import allowed_actions
from shared.errors import InvalidInput
from tests.unit.dispatch.support import QIAN, WANG, ZHAO, Story, actor


def registered_complaint(**data: object) -> Story:
    story = Story("complaint", **data)
    story.step(ZHAO, "register")
    return story


def not_valid_complaint() -> Story:
    story = registered_complaint()
    story.step(ZHAO, "judge", valid=False, verdict="not_valid", reason="no such noise was measured")
    return story


def test_found_valid_it_is_handled_until_the_resident_agrees() -> None:
    story = registered_complaint(line="cleaning")
    story.step(ZHAO, "judge", valid=True)
    story.step(ZHAO, "assign", engineer="wang")
    story.step(WANG, "handle")
    story.step(WANG, "propose", resolution="we clean daily now")
    assert story.step(ZHAO, "refuse").after.level == 1
    assert story.case.state == "handling"
    story.step(WANG, "propose", resolution="twice daily")
    case = story.step(ZHAO, "agree").after
    assert case.follow_up is not None
    assert (case.state, case.follow_up.line, case.follow_up.workers) == (
        "following_up",
        "cleaning",
        ("wang",),
    )
    assert story.step(SYSTEM, "close").after.state == "closed"


@pytest.mark.parametrize("missing", ["verdict", "reason"])
def test_not_valid_needs_verdict_and_reason(missing: str) -> None:
    data = {"verdict": "duplicate", "reason": "a duplicate"}
    del data[missing]
    with pytest.raises(InvalidInput) as refused:
        registered_complaint().step(ZHAO, "judge", valid=False, **data)
    assert [error.path for error in refused.value.errors] == [f"data.{missing}"]


def test_not_valid_is_agreed_to_only_once_another_has_signed() -> None:
    story = not_valid_complaint()
    with pytest.raises(ActionNotAllowed):
        story.step(ZHAO, "agree")
    with pytest.raises(NotYours):
        story.step(ZHAO, "countersign")
    story.step(QIAN, "countersign")
    assert story.case.findings[-1].effective_at == story.now
    assert story.step(ZHAO, "agree").after.state == "following_up"


def test_the_judge_is_not_offered_the_countersignature() -> None:
    story = not_valid_complaint()
    actions = {action.name for action in allowed_actions(story.workflow, story.case, ZHAO)}
    assert "countersign" not in actions
    assert "agree" not in actions
    assert "countersign" in {action.name for action in allowed_actions(story.workflow, story.case, QIAN)}


def test_one_key_acting_for_two_people_is_two_people() -> None:
    story = not_valid_complaint()
    admin = actor("qian", "admin")
    assert story.step(admin, "countersign").entry.actor == "qian"


def test_after_an_appeal_somebody_else_judges() -> None:
    story = not_valid_complaint()
    story.step(ZHAO, "appeal")
    with pytest.raises(NotYours):
        story.step(ZHAO, "judge", valid=True)
    assert story.step(QIAN, "judge", valid=True).after.state == "valid"
    assert [finding.valid for finding in story.case.findings] == [False, True]


def test_withdrawn_before_a_proposal_only() -> None:
    story = registered_complaint()
    assert story.step(ZHAO, "withdraw").after.state == "withdrawn"
    later = registered_complaint()
    later.step(ZHAO, "judge", valid=True)
    later.step(ZHAO, "assign", engineer="wang")
    later.step(WANG, "handle")
    later.step(WANG, "propose", resolution="done")
    with pytest.raises(ActionNotAllowed):
        later.take(ReportedAction(action="withdraw", actor=ZHAO))
