"""The people of a property, what they can do, and who is on shift when."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from shared.properties.values import WEEKDAYS, Minute, Weekday

PersonRole = Literal["engineer", "dispatcher", "quality", "operations", "manager", "admin"]
PersonId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class Person(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who works for the property. `rung` 1 is asked first, the next one when nobody answers."""

    id: PersonId
    name: str
    name_en: str = ""
    roles: list[PersonRole]
    skills: list[str] = []
    rung: Annotated[int, Meta(ge=1, le=9)] = 1
    languages: list[str] = field(default_factory=lambda: ["zh-CN"])

    def can(self, subject: str | None) -> bool:
        """Whether they know this subject; without one, anybody does."""
        return subject is None or "*" in self.skills or subject in self.skills


class Shift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Local hours of duty on these weekdays; a shift that ends before it begins ends next day."""

    name: str
    name_en: str = ""
    people: list[PersonId]
    days: list[Weekday] = field(default_factory=lambda: list(WEEKDAYS))
    from_: Minute = Minute(0)
    to: Minute = Minute(1440)

    def edges(self) -> tuple[int, int]:
        """Minutes of the local day at which it begins and ends."""
        return self.from_, self.to

    def holds(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether this instant is in the shift: its first minute is, its last is the next shift's."""
        local = at.astimezone(zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = WEEKDAYS[local.weekday()], WEEKDAYS[local.weekday() - 1]
        if self.from_ < self.to:
            return today in self.days and self.from_ <= minute < self.to
        return (today in self.days and minute >= self.from_) or (yesterday in self.days and minute < self.to)


def people_on_shift(
    people: Sequence[Person], shifts: Sequence[Shift], at: datetime, zone: ZoneInfo
) -> list[Person]:
    """Who is on duty at this instant, in the file's order; without shifts everybody is, round the clock."""
    if not shifts:
        return list(people)
    present = {person for shift in shifts if shift.holds(at, zone) for person in shift.people}
    return [person for person in people if person.id in present]


def next_shift_change(shifts: Sequence[Shift], at: datetime, zone: ZoneInfo) -> datetime | None:
    """The next instant (UTC) at which a shift begins or ends, None without shifts."""
    midnight = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    edges = {
        timedelta(days=day, minutes=edge) for shift in shifts for edge in shift.edges() for day in range(2)
    }
    instants = ((midnight + edge).astimezone(UTC) for edge in edges)
    return min((instant for instant in instants if instant > at), default=None)
