"""Alarms are found in a history of states, whatever order they came in."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.dispatch.domain.alarms import (
    EquipmentStateEntry,
    find_alarms,
    find_all_clears,
    find_faults_to_open,
)
from tests.unit.dispatch.support import MINUTE, START

KINDS = (("faulty", True), ("faulty", False), ("intact", False), ("under_repair", False))


def reported(minute: int, what: str, alarm: bool = True, case: str | None = None) -> EquipmentStateEntry:
    return EquipmentStateEntry(
        at=START + minute * MINUTE, source="bms", event=str(minute), state=what, alarm=alarm, case=case
    )


def test_faults_until_the_next_intact_are_one_alarm() -> None:
    states = [reported(1, "faulty"), reported(2, "faulty"), reported(3, "intact"), reported(4, "faulty")]
    assert [len(alarm.faults) for alarm in find_alarms(states)] == [2, 1]


def test_an_alarm_has_its_repair_until_that_is_finished() -> None:
    states = [reported(1, "faulty", case="a"), reported(5, "faulty")]
    assert find_faults_to_open(states, {}) == []
    assert find_faults_to_open(states, {"a": START + 3 * MINUTE}) == [states[1]]
    assert find_faults_to_open(states, {"a": START + 9 * MINUTE}) == []


def test_the_all_clear_is_told_once() -> None:
    states = [reported(1, "faulty", case="a"), reported(3, "intact")]
    assert find_all_clears(states) == [(states[1], "a")]
    assert find_all_clears([states[0], replace(states[1], case="a"), reported(2, "intact")]) == []


@given(st.lists(st.integers(0, 3), max_size=12), st.randoms(use_true_random=False))
def test_as_many_repairs_as_alarms_in_any_order(kinds: list[int], random: object) -> None:
    states = [reported(minute, *KINDS[kind]) for minute, kind in enumerate(kinds)]
    shuffled = list(states)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    arrived: list[EquipmentStateEntry] = []
    for state in shuffled:
        arrived.append(state)
        for fault in find_faults_to_open(arrived, {}):
            arrived[arrived.index(fault)] = replace(fault, case=fault.event)
    opened = sum(state.case is not None for state in arrived)
    assert opened == len(list(find_alarms(states)))
