"""Facts of one tower in few words, for tests that tell a story."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from shared.messages.cloudevents import Event
from shared.messages.events import Answer, FollowUpDone, FollowUpDue
from shared.messages.facts import FeeBilled, FeePaid, IncidentRecorded, InspectionRecorded, OccupancyReported

ZONE = ZoneInfo("Asia/Shanghai")
_numbers: Iterator[int] = count(1)


def on(day: str, clock: str = "12:00") -> datetime:
    """A local time of November 2026, such as `on("05", "09:30")`."""
    return datetime.fromisoformat(f"2026-11-{day}T{clock}").replace(tzinfo=ZONE)


def fact(data: Any, time: datetime) -> Event:
    """`data`, told at `time` by a source of its own numbering."""
    return Event.of(data, source="/test", id=f"e{next(_numbers)}", time=time)


def inspected(name: str, line: Any, checked: int, passed: int, time: datetime) -> Event:
    """An inspection."""
    data = InspectionRecorded(property="tower", inspection=name, line=line, checked=checked, passed=passed)
    return fact(data, time)


def occupied(units: int, time: datetime) -> Event:
    """A figure of occupied units."""
    return fact(OccupancyReported(property="tower", occupied_units=units), time)


def incident(name: str, severity: Any, time: datetime) -> Event:
    """An incident that management is responsible for."""
    data = IncidentRecorded(
        property="tower", incident=name, severity=severity, responsible=True, occurred_at=time
    )
    return fact(data, time)


def billed(name: str, amount: str, due_at: datetime, time: datetime) -> Event:
    """A bill."""
    return fact(FeeBilled(property="tower", bill=name, amount=amount, due_at=due_at), time)


def paid(name: str, bill: str, amount: str, time: datetime) -> Event:
    """A payment."""
    return fact(FeePaid(property="tower", payment=name, bill=bill, amount=amount), time)


def answered(name: str, rating: int, time: datetime, version: int = 1, reason: str | None = None) -> Event:
    """An answer about customer service."""
    due = FollowUpDue(
        followup=name, case=f"case-{name}", property="tower", kind="help", line="customer_service",
        due_at=on("03"), since=on("02"),
    )  # fmt: skip
    known = {field: getattr(due, field) for field in due.__struct_fields__}
    data = FollowUpDone(
        **known, outcome="answered", done_at=on("03"), answered_at=time, version=version, by="li",
        answer=Answer(rating=rating, reason=reason),
    )  # fmt: skip
    return fact(data, time)
