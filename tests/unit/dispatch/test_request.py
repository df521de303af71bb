"""The plain workflow of the other kinds, and visitors."""

import pytest

from services.dispatch.domain.case import SYSTEM
from services.dispatch.domain.errors import ActionNotAllowed
from shared.errors import InvalidInput
from tests.unit.dispatch.support import WANG, ZHAO, Story, opened_case


def test_a_request_is_assigned_done_followed_up_and_closed() -> None:
    story = Story("help")
    story.step(SYSTEM, "assign", engineer="wang")
    story.step(WANG, "start")
    case = story.step(WANG, "finish", result="carried the bags").after
    assert case.follow_up is not None
    assert (case.state, case.follow_up.line) == ("following_up", "customer_service")
    assert story.step(SYSTEM, "close").after.state == "closed"


def test_declined_only_with_an_explanation_and_the_residents_answer() -> None:
    story = Story("errand")
    with pytest.raises(InvalidInput):
        story.step(ZHAO, "explain")
    story.step(ZHAO, "explain", explanation="the theatre is sold out")
    with pytest.raises(InvalidInput):
        story.step(ZHAO, "agree")
    case = story.step(ZHAO, "agree", answer="next time, then").after
    assert (case.state, case.follow_up, case.ended_at) == ("declined", None, case.at)


def test_an_explanation_that_is_not_accepted_starts_it_again_one_level_up() -> None:
    story = Story("fee")
    story.step(ZHAO, "explain", explanation="the tariff is fixed")
    case = story.step(ZHAO, "refuse").after
    assert (case.state, case.level, case.assignee) == ("received", 1, None)


def test_kinds_are_looked_at_from_their_perspective() -> None:
    assert [opened_case(kind).perspective for kind in ("help", "business", "move_in", "repair")] == [
        "service", "business", "management", "management",
    ]  # fmt: skip


def test_nobody_is_admitted_without_the_owners_consent() -> None:
    story = Story("visitor")
    with pytest.raises(ActionNotAllowed):
        story.step(ZHAO, "admit")
    story.step(ZHAO, "consent", owner="Ms Chen, 12A")
    story.step(ZHAO, "revoke")
    with pytest.raises(ActionNotAllowed):
        story.step(ZHAO, "admit")
    story.step(ZHAO, "consent", owner="Ms Chen, 12A")
    story.step(ZHAO, "admit")
    assert story.step(ZHAO, "leave").after.state == "following_up"


def test_a_refused_visitor_is_not_admitted() -> None:
    story = Story("visitor")
    story.step(ZHAO, "refuse", owner="Ms Chen, 12A")
    with pytest.raises(ActionNotAllowed):
        story.step(ZHAO, "admit")
