"""A follow-up is due until it is answered, declined or given up by the rules; its answer can be corrected."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.survey.domain.followup import (
    MAX_ATTEMPTS,
    Actor,
    AlreadyDone,
    AttemptOutcome,
    AttemptReport,
    DoneByWorker,
    FollowUp,
    ResidentAnswer,
    TooManyAttempts,
    record_attempt,
)
from shared.errors import InvalidInput
from shared.properties.property import FollowUpRules

RULES = FollowUpRules()
WUXI = ZoneInfo("Asia/Shanghai")
SINCE = datetime(2026, 11, 23, 2, tzinfo=UTC)
ZHAO = Actor(person="zhao", recorded_by="zhao")


def hours(count: float) -> datetime:
    return SINCE + timedelta(hours=count)


def followup() -> FollowUp:
    return FollowUp(
        id="0" * 36,
        case="1" * 36,
        number="R-1",
        property="tower",
        kind="repair",
        line="maintenance",
        due_at=hours(24),
        since=SINCE,
        workers=["wang"],
        language=None,
        form_expires_at=hours(720),
    )


def make_report(
    outcome: AttemptOutcome, at: datetime | None = None, rating: int | None = None, reason: str | None = None
) -> AttemptReport:
    answer = None if rating is None else ResidentAnswer(rating=rating, reason=reason)  # type: ignore[arg-type]
    return AttemptReport(outcome=outcome, channel="phone", at=at, answer=answer)


def record_all(
    *attempts: AttemptReport, by: Actor = ZHAO, now: datetime | None = None, zone: ZoneInfo = WUXI
) -> FollowUp:
    state = followup()
    for report in attempts:
        state = record_attempt(state, report, by, RULES, zone, now or hours(500))
    return state


def test_a_new_follow_up_is_due() -> None:
    new = followup()
    assert (new.state, new.outcome, new.done_at, new.version) == ("due", None, None, 0)


def test_an_answer_ends_it() -> None:
    done = record_all(make_report("answered", hours(3), rating=5))
    assert (done.state, done.outcome, done.done_at, done.version) == ("done", "answered", hours(3), 1)


def test_whoever_declines_is_not_called_again() -> None:
    done = record_all(make_report("declined", hours(3)))
    assert (done.state, done.outcome) == ("done", "declined")
    with pytest.raises(AlreadyDone):
        record_attempt(done, make_report("no_answer"), ZHAO, RULES, WUXI, hours(500))


def test_three_calls_on_one_day_are_not_enough() -> None:
    assert record_all(*(make_report("no_answer", hours(count)) for count in (1, 2, 3))).state == "due"


def test_three_calls_on_two_days_are() -> None:
    done = record_all(*(make_report("no_answer", hours(count)) for count in (1, 2, 24)))
    assert (done.state, done.outcome, done.done_at) == ("done", "unreachable", hours(24))


def test_two_calls_on_two_days_are_not() -> None:
    assert record_all(make_report("no_answer", hours(1)), make_report("no_answer", hours(24))).state == "due"


def test_days_are_those_of_the_property() -> None:
    calls = [
        make_report("no_answer", hours(count)) for count in (12, 13, 15)
    ]  # 22:00, 23:00 and 01:00 in Wuxi
    assert record_all(*calls).outcome == "unreachable"
    assert record_all(*calls, zone=ZoneInfo("UTC")).outcome is None


def test_an_answer_that_comes_later_still_counts_and_does_not_move_when_it_was_done() -> None:
    gone = [make_report("no_answer", hours(count)) for count in (1, 2, 24)]
    done = record_all(*gone, make_report("answered", hours(30), rating=4))
    assert (done.outcome, done.done_at, done.version) == ("answered", hours(24), 2)


def test_a_correction_replaces_the_answer() -> None:
    done = record_all(
        make_report("answered", hours(3), rating=2, reason="service"),
        make_report("answered", hours(4), rating=5),
    )
    assert done.latest_answer is not None
    assert done.latest_answer.answer is not None
    assert (done.latest_answer.answer.rating, done.done_at, done.version) == (5, hours(3), 2)


@pytest.mark.parametrize(
    "actor",
    [Actor(person="wang", recorded_by="wang"), Actor(person="wang", recorded_by="zhao"),
     Actor(person="zhao", recorded_by="wang")],
)  # fmt: skip
def test_nobody_follows_up_their_own_work(actor: Actor) -> None:
    with pytest.raises(DoneByWorker):
        record_all(make_report("no_answer"), by=actor)


@pytest.mark.parametrize(
    "attempted",
    [make_report("answered"), make_report("declined", rating=5), make_report("no_answer", rating=1)],
)
def test_an_answer_goes_with_having_answered_and_only_with_it(attempted: AttemptReport) -> None:
    with pytest.raises(InvalidInput):
        record_all(attempted)


def test_a_reason_goes_with_answers_of_the_dissatisfied_only() -> None:
    assert record_all(make_report("answered", rating=2, reason="price")).outcome == "answered"
    with pytest.raises(InvalidInput) as caught:
        record_all(make_report("answered", rating=3, reason="price"))
    assert caught.value.errors[0].path == "answer.reason"


def test_nothing_happens_before_the_follow_up_exists_or_before_the_last_attempt_or_in_the_future() -> None:
    for attempts in (
        [make_report("no_answer", hours(-1))],
        [make_report("no_answer", hours(2)), make_report("no_answer", hours(1))],
        [make_report("no_answer", hours(501))],
    ):
        with pytest.raises(InvalidInput) as caught:
            record_all(*attempts)
        assert caught.value.errors[0].path == "at"


def test_now_is_never_refused_where_clocks_run_apart() -> None:
    assert record_all(make_report("no_answer"), now=hours(-0.001)).attempts[0].at == SINCE


def test_a_link_gone_wild_does_not_fill_the_books() -> None:
    full = record_all(*(make_report("answered", rating=5) for _ in range(MAX_ATTEMPTS)))
    with pytest.raises(TooManyAttempts):
        record_attempt(full, make_report("answered", rating=5), ZHAO, RULES, WUXI, hours(500))


def test_the_gap_is_what_was_perceived_less_what_was_expected() -> None:
    assert ResidentAnswer(rating=4, expected=5, perceived=3).gap == -2
    assert ResidentAnswer(rating=4, expected=5).gap is None


outcomes = st.lists(
    st.tuples(st.sampled_from(["no_answer", "declined", "answered"]), st.integers(0, 20)), max_size=12
)


@given(outcomes)
def test_however_it_goes_it_is_done_once_and_its_version_only_grows(
    steps: list[tuple[AttemptOutcome, int]],
) -> None:
    state, at = followup(), SINCE
    for outcome, later in steps:
        before, at = state, at + timedelta(hours=later)
        try:
            state = record_attempt(
                state, make_report(outcome, at, 3 if outcome == "answered" else None), ZHAO, RULES, WUXI, at
            )
        except AlreadyDone:
            assert before.state == "done"
            continue
        assert state.version - before.version == (1 if state.state == "done" else 0)
        assert before.done_at in (None, state.done_at)
        assert state.at_attempt(len(before.attempts)) == before
