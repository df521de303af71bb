"""Which alarms a history of equipment states holds: pure, whatever order the states came in.

An alarm lasts from the first alarmed fault to the next intact state and has one repair; a fault that is
alarmed again after that repair was finished is another.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

SUBJECTS = {"elevator": "elevators", "water": "water_supply", "power": "power_supply"}
"""The subject of a system's repairs, where it is not named like the system."""
ENDS = ("intact", "retired")


class EquipmentStateEntry(Struct, frozen=True, kw_only=True):
    """A state as it was reported; `case`: the repair that a fault opened or an intact state cleared."""

    at: datetime
    source: str
    event: str
    state: str
    alarm: bool
    case: str | None = None

    @property
    def sort_key(self) -> tuple[datetime, str, str]:
        """The order of states: by time, then by name."""
        return self.at, self.source, self.event


class Alarm(Struct, frozen=True):
    """The alarmed faults between two intact states, and the state that ended them."""

    faults: list[EquipmentStateEntry]
    end: EquipmentStateEntry | None


def find_alarms(states: Sequence[EquipmentStateEntry]) -> Iterator[Alarm]:
    """The alarms in order."""
    faults: list[EquipmentStateEntry] = []
    for state in sorted(states, key=lambda state: state.sort_key):
        if state.state in ENDS:
            if faults:
                yield Alarm(faults, state)
            faults = []
        elif state.state == "faulty" and state.alarm:
            faults.append(state)
    if faults:
        yield Alarm(faults, None)


def find_faults_to_open(
    states: Sequence[EquipmentStateEntry], finished: Mapping[str, datetime]
) -> list[EquipmentStateEntry]:
    """The faults that have to open a repair; `finished` says since when a repair is no longer worked on."""
    return [fault for alarm in find_alarms(states) if (fault := _fault_to_open(alarm, finished)) is not None]


def _fault_to_open(alarm: Alarm, finished: Mapping[str, datetime]) -> EquipmentStateEntry | None:
    repairs = [fault.case for fault in alarm.faults if fault.case is not None]
    if not repairs:
        return alarm.faults[0]
    if any(repair not in finished for repair in repairs):
        return None
    last = max(finished[repair] for repair in repairs)
    return next((fault for fault in alarm.faults if fault.at > last), None)


def find_all_clears(states: Sequence[EquipmentStateEntry]) -> list[tuple[EquipmentStateEntry, str]]:
    """Each intact state that ends an alarm, with the repair that does not have its all-clear yet."""
    cleared = {state.case for state in states if state.state in ENDS}
    return [
        (alarm.end, fault.case)
        for alarm in find_alarms(states)
        for fault in alarm.faults
        if alarm.end is not None and alarm.end.state == "intact" and fault.case and fault.case not in cleared
    ]
