"""When a repair is decided, and from when to when a complaint counts as valid."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from services.kpi.domain.case_items import case_items, decision_of
from services.kpi.domain.items import FOREVER, to_micros
from shared.messages.events import CaseFacts, CaseState, DeadlineStatus, Verdict
from tests.unit.kpi.oracle import History
from tests.unit.kpi.worlds import snapshot

NINE = datetime(2026, 11, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def repair(*deadlines: DeadlineStatus, **facts: datetime) -> CaseState:
    case = snapshot(History("c1", "repair", NINE))
    known = CaseFacts(completed_at=facts.get("completed_at"), ended_at=facts.get("ended_at"))
    return replace(case, deadlines=list(deadlines), facts=known)


def due(clock: str, hours: int, met: int | None = None, paused: int | None = None) -> DeadlineStatus:
    return DeadlineStatus(
        clock=clock,
        due_at=NINE + hours * HOUR,
        met_at=None if met is None else NINE + met * HOUR,
        paused_since=None if paused is None else NINE + paused * HOUR,
    )


def test_a_deadline_met_exactly_when_due_is_met() -> None:
    assert decision_of(repair(due("complete", 4, met=4), completed_at=NINE + 4 * HOUR)) == (
        NINE + 4 * HOUR,
        True,
    )


def test_the_first_deadline_to_pass_unmet_decides() -> None:
    case = repair(due("respond", 1, met=2), due("complete", 4, met=3), completed_at=NINE + 3 * HOUR)
    assert decision_of(case) == (NINE + HOUR, False)


def test_an_open_repair_will_be_decided_when_its_next_deadline_passes() -> None:
    case = repair(due("respond", 1, met=0), due("arrive", 2), due("complete", 4))
    assert decision_of(case) == (NINE + 2 * HOUR, False)


def test_while_a_repair_waits_its_clock_can_not_pass() -> None:
    assert decision_of(repair(due("complete", 4, paused=3))) is None
    assert decision_of(repair(due("complete", 4, paused=5))) == (NINE + 4 * HOUR, False)


def test_what_ended_before_it_was_decided_is_never_counted() -> None:
    assert decision_of(repair(due("respond", 1), ended_at=NINE + HOUR / 2)) is None
    assert decision_of(repair(due("respond", 1), ended_at=NINE + 2 * HOUR)) == (NINE + HOUR, False)


def test_clocks_beyond_completion_do_not_judge() -> None:
    assert decision_of(
        repair(due("inspect", 1), due("complete", 4, met=3), completed_at=NINE + 3 * HOUR)
    ) == (
        NINE + 3 * HOUR,
        True,
    )


def families(case: CaseState) -> list[str]:
    return [item.family for item in case_items(case)]


def test_a_rework_counts_when_it_is_raised_and_is_decided_like_any_repair() -> None:
    rework = replace(repair(due("complete", 4, met=3), completed_at=NINE + 3 * HOUR), rework_of="c0")
    reworked = next(item for item in case_items(rework) if item.family == "repair_rework")
    assert (reworked.counted_at, reworked.since, reworked.until) == (
        to_micros(NINE),
        to_micros(NINE),
        FOREVER,
    )
    assert families(rework) == ["repair_decided", "repair_rework"]
    assert families(replace(rework, rework_of=None)) == ["repair_decided"]


def test_only_repairs_are_reworks() -> None:
    assert families(replace(snapshot(History("c1", "complaint", NINE)), rework_of="c0")) == []


def spans(*verdicts: Verdict) -> list[tuple[int, int]]:
    case = snapshot(History("c1", "complaint", NINE))
    case = replace(case, facts=CaseFacts(verdicts=list(verdicts)))
    return [(item.since, item.until) for item in case_items(case)]


def test_a_complaint_is_valid_until_a_countersigned_verdict_overturns_it() -> None:
    valid, overturned = Verdict(valid=True, at=NINE), Verdict(valid=False, at=NINE + HOUR)
    signed = Verdict(valid=False, at=NINE + HOUR, effective_at=NINE + 2 * HOUR)
    assert spans(valid) == [(to_micros(NINE), FOREVER)]
    assert spans(valid, overturned) == [(to_micros(NINE), FOREVER)]
    assert spans(valid, signed) == [(to_micros(NINE), to_micros(NINE + 2 * HOUR))]
    assert spans(signed) == []


def test_a_complaint_found_valid_twice_counts_once() -> None:
    again = Verdict(valid=True, at=NINE + HOUR)
    assert spans(Verdict(valid=True, at=NINE), again) == [(to_micros(NINE), FOREVER)]
