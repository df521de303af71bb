"""One property as its file tells it, checked; only the name and the time zone are needed, the rest has defaults."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, structs

from shared.calendar import BusinessHours, Calendar, Hours, PublicHolidays, RoundTheClock
from shared.messages.facts import Line, Priority
from shared.properties.roster import Person, Shift, next_change, on_shift
from shared.properties.scope import Scope
from shared.properties.service_levels import CalendarName, LevelChange, ServiceLevel, resolve
from shared.properties.targets import BUILT_IN, NAMES, Milestone, Milestones, Target, parse_target
from shared.properties.values import WEEKDAYS, Duration, Minute, Weekday

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class OpeningHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Business hours of some weekdays."""

    days: list[Weekday]
    from_: Minute
    to: Minute


WORKING_WEEK = [OpeningHours(days=["mon", "tue", "wed", "thu", "fri"], from_=Minute(540), to=Minute(1080))]


class BusinessCalendar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The business calendar: Monday to Friday 9 to 18, public holidays and make-up workdays of China, own days."""

    country: str = "CN"
    business: list[OpeningHours] = WORKING_WEEK
    closed_on: list[date] = []
    open_on: list[date] = []

    def week(self) -> Mapping[int, Hours]:
        """Hours by weekday."""
        return {
            number: sorted((int(row.from_), int(row.to)) for row in self.business if day in row.days)
            for number, day in enumerate(WEEKDAYS)
        }

    def of(self, zone: ZoneInfo) -> Calendar:
        """The calendar in this zone. Raises ValueError where it can't be."""
        week = self.week()
        return BusinessHours(zone, week, PublicHolidays(self.country, week, self.closed_on, self.open_on))


class Equipment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of equipment; a critical one is repaired with urgency."""

    id: Name
    system: Name
    name: str = ""
    name_en: str = ""
    critical: bool = False


class Dispatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`automatic`: the system assigns by itself and takes back what nobody accepts in time."""

    automatic: bool = True


class FollowUpRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A resident counts as unreachable after so many attempts on so many days; a form is open for so long."""

    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    days: Annotated[int, Meta(ge=1, le=20)] = 2
    form_expires_after: Duration = Duration(days=30)


class Property(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A property. `id` is the name of its folder, never in the file."""

    name: Name
    timezone: ZoneInfo
    id: str = ""
    name_en: str = ""
    language: str = "zh-CN"
    scope: Scope = Scope()
    business_calendar: BusinessCalendar = structs.field if False else BusinessCalendar()  # type: ignore
    service_levels: dict[str, dict[str, LevelChange]] = {}
    people: list[Person] = []
    shifts: list[Shift] = []
    equipment: list[Equipment] = []
    milestone_plan: Milestones = Milestones()
    dispatch: Dispatch = Dispatch()
    follow_up: FollowUpRules = FollowUpRules()
