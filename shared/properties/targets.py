"""The seventeen target rates with their built-in targets, and the two milestones."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from shared.properties.values import months_later

Bound = Literal["min", "max"]
TargetName = Literal[
    "customer_satisfaction",
    "valid_complaint",
    "fee_collection",
    "follow_up",
    "major_incident",
    "general_incident",
    "security_satisfaction",
    "repair_timeliness",
    "repair_pass",
    "equipment_intact",
    "repair_follow_up",
    "repair_satisfaction",
    "cleaning_pass",
    "cleaning_satisfaction",
    "greening_survival",
    "greening_pass",
    "greening_satisfaction",
]


class Target(Struct, frozen=True):
    """What a rate is to reach: at least (`min`) or at most (`max`) `target`, 1 being all."""

    kpi: TargetName
    name: str
    name_en: str
    area: str
    bound: Bound
    target: Decimal


def make_target(kpi: TargetName, name: str, name_en: str, area: str, bound: Bound, value: str) -> Target:
    """One row of the table below."""
    return Target(kpi, name, name_en, area, bound, Decimal(value))


BUILT_IN: tuple[Target, ...] = (
    make_target(
        "customer_satisfaction", "客户服务满意率", "Customer satisfaction", "customer_service", "min", "0.99"
    ),
    make_target("valid_complaint", "有效投诉率", "Valid complaints", "customer_service", "max", "0.01"),
    make_target("fee_collection", "物业管理费收缴率", "Fees collected", "customer_service", "min", "0.98"),
    make_target("follow_up", "回访率", "Follow-ups done", "customer_service", "min", "1"),
    make_target("major_incident", "重大管理责任事故发生率", "Major incidents", "security", "max", "0"),
    make_target(
        "general_incident", "一般管理责任事故发生率", "General incidents", "security", "max", "0.001"
    ),
    make_target(
        "security_satisfaction", "安保服务满意率", "Satisfaction with security", "security", "min", "0.99"
    ),
    make_target("repair_timeliness", "维修及时率", "Repairs in time", "maintenance", "min", "1"),
    make_target("repair_pass", "维修合格率", "Repairs passed", "maintenance", "min", "1"),
    make_target("equipment_intact", "设备完好率", "Equipment intact", "maintenance", "min", "1"),
    make_target("repair_follow_up", "维修回访率", "Repairs followed up", "maintenance", "min", "1"),
    make_target(
        "repair_satisfaction", "维修服务满意率", "Satisfaction with repairs", "maintenance", "min", "0.99"
    ),
    make_target("cleaning_pass", "保洁合格率", "Cleaning passed", "cleaning", "min", "1"),
    make_target(
        "cleaning_satisfaction", "保洁服务满意率", "Satisfaction with cleaning", "cleaning", "min", "0.99"
    ),
    make_target("greening_survival", "绿化成活率", "Plants alive", "greening", "min", "1"),
    make_target("greening_pass", "绿化养护合格率", "Greening passed", "greening", "min", "1"),
    make_target(
        "greening_satisfaction", "绿化养护满意率", "Satisfaction with greening", "greening", "min", "0.99"
    ),
)


def parse_target(value: str | int | float) -> Decimal:
    """A target between 0 and 1, written as a number or as text. Raises ValueError for anything else."""
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        parsed = Decimal(-1)
    if not 0 <= parsed <= 1:
        raise ValueError("a target is a number from 0 to 1")
    return parsed


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


class Milestones(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counted from the day of taking over; without that day there are no deadlines and so no milestones."""

    taken_over_on: date | None = None
    iso_9000: MilestoneEntry = MilestoneEntry()
    model_building: MilestoneEntry = MilestoneEntry()

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
