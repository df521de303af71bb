"""The two milestones of taking over a property, with their deadlines."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from shared.properties.values import months_later


class Milestone(Struct, frozen=True):
    """Something to be reached by the end of `deadline_on`, local time."""

    milestone: str
    name: str
    name_en: str
    deadline_on: date
    deadline_at: datetime
    reached_on: date | None

    def reached(self, today: date) -> bool:
        """Whether it has been reached by this local day."""
        return self.reached_on is not None and self.reached_on <= today


class MilestoneEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says about one milestone."""

    reached_on: date | None = None
    """达成日: the local day on which it was reached. Example: `2026-08-21`"""


class Milestones(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counted from the day of taking over; without that day there are no deadlines and so no milestones."""

    taken_over_on: date | None = None
    """接管日: the day from which both deadlines count; without it there are none.
    Example: `2026-06-01`"""
    iso_9000: MilestoneEntry = MilestoneEntry()
    """ISO 9000 质量管理体系: within three months of taking over."""
    model_building: MilestoneEntry = MilestoneEntry()
    """全国物业管理示范大厦: within a year of taking over."""

    def of(self, zone: ZoneInfo) -> list[Milestone]:
        """ISO 9000 within three months, the national model-building standard within a year."""
        if self.taken_over_on is None:
            return []
        rows = (
            ("iso_9000", "ISO 9000 质量管理体系", "Quality management system to ISO 9000", 3, self.iso_9000),
            (
                "model_building",
                "全国物业管理示范大厦",
                "National model building of property management",
                12,
                self.model_building,
            ),
        )
        taken_over = self.taken_over_on
        return [
            make_milestone(name, zh, en, months_later(taken_over, months), entry.reached_on, zone)
            for name, zh, en, months, entry in rows
        ]


def make_milestone(
    name: str, zh: str, en: str, on: date, reached_on: date | None, zone: ZoneInfo
) -> Milestone:
    """With the deadline as an instant: the end of that local day."""
    midnight = datetime.combine(on + timedelta(days=1), time(), zone)
    return Milestone(name, zh, en, on, midnight.astimezone(ZoneInfo("UTC")), reached_on)
