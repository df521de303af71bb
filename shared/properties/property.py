"""One property as its file has it, checked; all but the name and the time zone has defaults."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property, lru_cache, partial
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from shared.messages.facts import Priority
from shared.properties.calendar import BusinessHours, Calendar, Hours, PublicHolidays, RoundTheClock
from shared.properties.milestones import Milestone, Milestones
from shared.properties.roster import Person, Shift, next_shift_change, people_on_shift
from shared.properties.scope import Scope
from shared.properties.service_levels import (
    CalendarName,
    LevelChange,
    PriorityOrAny,
    ServiceLevel,
    resolve_level,
)
from shared.properties.values import WEEKDAYS, Duration, Minute, Weekday, parse_share

Name = Annotated[str, Meta(min_length=1, max_length=200)]
ROUND_THE_CLOCK = RoundTheClock()


class OpeningHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Business hours of some weekdays."""

    days: list[Weekday]
    """星期: the weekdays with these hours; a weekday may stand in several rows. Example: `["mon", "tue",
    "wed", "thu", "fri"]`"""
    from_: Minute
    """开始: local time. Example: `"08:30"`"""
    to: Minute
    """结束: local time, after `from`. Example: `"17:30"`"""


WORKING_WEEK = [OpeningHours(days=["mon", "tue", "wed", "thu", "fri"], from_=Minute(540), to=Minute(1080))]


class BusinessDays(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Business time: by default Monday to Friday 9 to 18, China's holidays and make-up workdays."""

    country: str = "CN"
    """国家: whose public holidays are closed days, make-up workdays open ones; ISO 3166. Example: `"CN"`"""
    business: list[OpeningHours] = field(default_factory=WORKING_WEEK.copy)
    """营业时间: the hours of the week that count as business time."""
    closed_on: list[date] = []
    """休息日: closed days beside the public ones. Example: `[2026-12-31]`"""
    open_on: list[date] = []
    """工作日: open days, whatever else they are; with the weekday's hours, or the first that the week has.
    Example: `[2026-12-26]`"""

    def week(self) -> Mapping[int, Hours]:
        """Hours by weekday."""
        return {
            number: sorted((int(row.from_), int(row.to)) for row in self.business if day in row.days)
            for number, day in enumerate(WEEKDAYS)
        }

    def make_calendar(self, zone: ZoneInfo) -> Calendar:
        """The calendar in this zone. Raises ValueError where it can't be."""
        week = self.week()
        return BusinessHours(zone, week, PublicHolidays(self.country, week, self.closed_on, self.open_on))


class Equipment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of equipment; a critical one is repaired with urgency."""

    id: Name
    """编号: names the equipment in facts and cases; once in the file. Example: `"EL-01"`"""
    system: Name
    """系统: what it belongs to: `elevator`, `fire`, `water`, `power`, `security` or another word. Example:
    `"elevator"`"""
    name: str = ""
    """名称: as people read it; left out, `id`. Example: `"1 号客梯"`"""
    name_en: str = ""
    """名称（英文）: the same on English pages; left out, `name`. Example: `"Elevator 1"`"""
    critical: bool = False
    """关键: an alarm of it opens an urgent repair. Example: `true`"""


class Dispatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`automatic`: the system assigns by itself and revokes an assignment that nobody accepts in time."""

    automatic: bool = True
    """自动派工: the system assigns by itself, and takes back what nobody accepts in time. Example: `true`"""


class FollowUpRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A resident counts as unreachable after so many attempts on so many days; a form is open for so long."""

    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    """次数: tries before a resident counts as unreachable. Example: `3`"""
    days: Annotated[int, Meta(ge=1, le=20)] = 2
    """天数: different local days that these tries are spread over at least. Example: `2`"""
    form_expires_after: Duration = Duration(days=30)
    """表单有效期: how long the resident's form can be answered and corrected. Example: `"30d"`"""


RENAMED = {"business_days": "calendar", "milestone_plan": "milestones", "target_changes": "targets"}


class Property(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True, rename=RENAMED):
    """A property. `id` is the name of its folder."""

    id: str
    name: Name
    """名称: as people read it. Example: `"光隆大厦"`"""
    name_en: str = ""
    """名称（英文）: the same on English pages; left out, `name`. Example: `"Guanglong Tower"`"""
    timezone: ZoneInfo
    """时区: days, months and shifts begin by it. Example: `"Asia/Shanghai"`"""
    language: Literal["zh-CN", "en"] = "zh-CN"
    """语言: of texts that the system writes itself, such as the summary of an alarm's repair. Example:
    `"zh-CN"`"""
    scope: Scope = Scope()
    """服务范围: which floors and units are served."""
    business_days: BusinessDays = BusinessDays()
    """日历: business time."""
    service_levels: dict[str, dict[PriorityOrAny, LevelChange]] = {}
    """服务时限: what is promised, by kind of demand and priority; `"*"` is any. Example: `repair.high`"""
    people: list[Person] = []
    """人员: who works there."""
    shifts: list[Shift] = []
    """排班: who is on duty when; without any, everybody is, round the clock."""
    equipment: list[Equipment] = []
    """设备: what is to be kept intact."""
    milestone_plan: Milestones = Milestones()
    """里程碑: both milestones of taking over a property."""
    target_changes: dict[str, str | int | float] = {}
    """指标: the targets of rates where they are not the built-in ones, from 0 to 1.
    Example: `{ fee_collection = 0.98, general_incident = 0.001 }`"""
    dispatch: Dispatch = Dispatch()
    """派工: how work is given."""
    follow_up: FollowUpRules = FollowUpRules()
    """回访: how residents are asked."""

    @cached_property
    def _business(self) -> Calendar:
        return self.business_days.make_calendar(self.timezone)

    def calendar(self, name: CalendarName) -> Calendar:
        """`round_the_clock`, or the `business` hours of this property."""
        return self._business if name == "business" else ROUND_THE_CLOCK

    def service_level(self, kind: str, priority: Priority) -> ServiceLevel:
        """What is promised for this kind and priority."""
        return self._levels(kind, priority)

    @cached_property
    def _levels(self) -> Callable[[str, Priority], ServiceLevel]:
        return lru_cache(maxsize=256)(partial(resolve_level, self.service_levels))

    @cached_property
    def people_by_id(self) -> Mapping[str, Person]:
        """Everybody in the file."""
        return {person.id: person for person in self.people}

    def on_shift(self, at: datetime) -> list[Person]:
        """Who is on duty at this instant; everybody where the file has no shifts."""
        return people_on_shift(self.people, self.shifts, at, self.timezone)

    def next_shift_change(self, at: datetime) -> datetime | None:
        """When somebody's duty begins or ends next, None without shifts."""
        return next_shift_change(self.shifts, at, self.timezone)

    @cached_property
    def milestones(self) -> list[Milestone]:
        """Both milestones, or none where the day of taking over is not set."""
        return self.milestone_plan.of(self.timezone)

    def local_day(self, at: datetime) -> date:
        """The day that this instant belongs to at the property."""
        return at.astimezone(self.timezone).date()


def find_mistakes(prop: Property) -> Iterator[tuple[str, str]]:
    """What types alone don't rule out: path and message of each mistake."""
    yield from find_duplicates("people", [person.id for person in prop.people])
    yield from find_duplicates("equipment", [equipment.id for equipment in prop.equipment])
    for number, shift in enumerate(prop.shifts):
        if not prop.people_by_id.keys() >= set(shift.people):
            yield f"shifts[{number}].people", "names somebody who is not among the people"
    for kpi, value in prop.target_changes.items():
        yield from find_error(f"targets.{kpi}", partial(parse_share, value))
    yield from find_error("calendar", lambda: prop.calendar("business"))
    yield from find_error("milestones", lambda: prop.milestones)


def find_duplicates(table: str, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Ids that are used twice."""
    for number, name in enumerate(ids):
        if name in ids[:number]:
            yield f"{table}[{number}].id", "is used before in this file"


def find_error(path: str, attempt: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """The mistake that `attempt` raises."""
    try:
        attempt()
    except ValueError as error:
        yield path, str(error)
