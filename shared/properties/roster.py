"""The people of a property, what they can do, and who is on shift when."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from shared.properties.values import WEEKDAYS, Minute, Weekday

PersonRole = Literal["engineer", "dispatcher", "quality", "operations", "manager", "admin"]
PersonId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class Person(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who works for the property. `rung` 1 comes first, the next one when nobody accepts."""

    id: PersonId
    """标识: names the person in cases, keys and shifts; once in the file. Example: `"zhou.jianfeng"`"""
    name: str
    """姓名: as colleagues and residents read it. Example: `"周剑锋"`"""
    name_en: str = ""
    """姓名（英文）: the same on English pages; left out, `name`. Example: `"Zhou Jianfeng"`"""
    roles: list[PersonRole]
    """角色: what they may do. Example: `["engineer"]`"""
    skills: list[str] = []
    """技能: the subjects of demands that they can work on; `"*"` is every subject. Example: `["elevators",
    "power_supply"]`"""
    rung: Annotated[int, Meta(ge=1, le=9)] = 1
    """层级: who is given work first: 1, then 2 when nobody takes it, and so on. Example: `2`"""
    languages: list[str] = field(default_factory=lambda: ["zh-CN"])
    """语言: the languages that they speak; noted, not acted on yet. Example: `["zh-CN", "en"]`"""

    def has_skill(self, subject: str | None) -> bool:
        """Whether they are skilled in this subject; everybody is where it is None."""
        return subject is None or "*" in self.skills or subject in self.skills


class Shift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Local hours of duty on these weekdays; a shift that ends before it begins ends next day."""

    name: str
    """名称: how the shift is called; for who reads the file. Example: `"夜班"`"""
    name_en: str = ""
    """名称（英文）: the same in English; left out, `name`. Example: `"Night"`"""
    people: list[PersonId]
    """人员: who is on duty in it, by `id`. Example: `["zhou.jianfeng"]`"""
    days: list[Weekday] = field(default_factory=lambda: list(WEEKDAYS))
    """星期: the weekdays on which it begins. Example: `["mon", "tue", "wed", "thu", "fri"]`"""
    from_: Minute = Minute(0)
    """开始: local time. Example: `"23:00"`"""
    to: Minute = Minute(1440)
    """结束: local time; before `from`, it is of the next day. Example: `"07:00"`"""

    def boundaries(self) -> tuple[int, int]:
        """Minutes of the local day at which it begins and ends."""
        return self.from_, self.to

    def covers(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether this instant is in the shift: its first minute is, its last is the next shift's."""
        local = at.astimezone(zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = WEEKDAYS[local.weekday()], WEEKDAYS[local.weekday() - 1]
        if self.from_ < self.to:
            return today in self.days and self.from_ <= minute < self.to
        return (today in self.days and minute >= self.from_) or (yesterday in self.days and minute < self.to)


def able_people(people: Iterable[Person], roles: Collection[str], subject: str | None) -> list[Person]:
    """Those of `people` who have one of `roles` and know the subject, in their order."""
    return [
        person
        for person in people
        if person.has_skill(subject) and any(role in roles for role in person.roles)
    ]


def people_on_shift(
    people: Sequence[Person], shifts: Sequence[Shift], at: datetime, zone: ZoneInfo
) -> list[Person]:
    """Who is on duty at this instant, in the file's order; without shifts everybody is, round the clock."""
    if not shifts:
        return list(people)
    present = {person for shift in shifts if shift.covers(at, zone) for person in shift.people}
    return [person for person in people if person.id in present]


def next_shift_change(shifts: Sequence[Shift], at: datetime, zone: ZoneInfo) -> datetime | None:
    """The next instant (UTC) at which a shift begins or ends, None without shifts."""
    midnight = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    boundaries = {
        timedelta(days=day, minutes=minute)
        for shift in shifts
        for minute in shift.boundaries()
        for day in range(2)
    }
    instants = ((midnight + boundary).astimezone(UTC) for boundary in boundaries)
    return min((instant for instant in instants if instant > at), default=None)
