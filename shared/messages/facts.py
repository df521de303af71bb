"""Demands and facts that other systems post: the `data` of each inbound event type, checked strictly."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
_AMOUNT = r"^[0-9]{1,10}(\.[0-9]{1,4})?\Z"
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z"
_TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"
FORMS: dict[str, tuple[str, str]] = {
    _PRINTABLE: ("Control characters are not allowed here", "不能包含控制字符"),
    _AMOUNT: (
        "Expected an amount with at most 10 digits before and 4 after the point",
        "金额小数点前最多 10 位，小数点后最多 4 位",
    ),
    _LANGUAGE: ('Expected a language tag such as "zh-CN"', "应为语言标签，如 zh-CN"),
    _TIME_OF_DAY: ('Expected a time of day such as "22:00"', "应为时刻，如 22:00"),
}
"""What a pattern asks for, in English and in Chinese: for whoever gets its refusal."""

ID_LENGTH = 200
Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH, pattern=_PRINTABLE)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=_PRINTABLE)]
Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=_PRINTABLE)]
Text = Annotated[str, Meta(max_length=4000)]
Summary = Annotated[str, Meta(min_length=1, max_length=500)]
Instant = Annotated[datetime, Meta(tz=True)]
Amount = Annotated[str, Meta(pattern=_AMOUNT)]
Language = Annotated[str, Meta(pattern=_LANGUAGE, max_length=35)]
TimeOfDay = Annotated[str, Meta(pattern=_TIME_OF_DAY)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Rating = Annotated[int, Meta(ge=1, le=5)]
Floor = Annotated[int, Meta(ge=-50, le=500)] | Word

Kind = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}(?!\n)$")]
"""The name of a kind of demand; which kinds there are is told by the workflow files (`messages.kinds`)."""
Line = Literal["customer_service", "security", "maintenance", "cleaning", "greening"]
Perspective = Literal["management", "service", "business"]
Priority = Literal["low", "normal", "high", "urgent"]
Reason = Literal["service", "product", "price", "other"]


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every demand and fact carries: the property that it belongs to."""

    property: Word


class Location(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where in the property."""

    floor: Floor | None = None
    unit: Word | None = None
    place: Name | None = None


class Requester(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who asks. Personal data: seen only by those who need it."""

    id: Id | None = None
    name: Name | None = None
    phone: Annotated[str, Meta(min_length=3, max_length=40)] | None = None
    language: Language | None = None
    tier: Word | None = None


class Preferred(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When the resident would like it."""

    from_: Instant | None = field(default=None, name="from")
    to: Instant | None = None


class DemandRaised(Data, frozen=True, kw_only=True):
    """A resident's demand of some kind."""

    kind: Kind
    summary: Summary
    description: Text | None = None
    subject: Word | None = None
    line: Line | None = None
    perspective: Perspective | None = None
    priority: Priority | None = None
    channel: Word | None = None
    location: Location | None = None
    requester: Requester | None = None
    preferred: Preferred | None = None
    reference: Id | None = None
    details: dict[Word, Any] | None = None


class DemandWithdrawn(Data, frozen=True, kw_only=True):
    """The resident takes a demand back; named by our `demand` or the sender's `reference`."""

    demand: Id | None = None
    reference: Id | None = None
    reason: Text | None = None

    def __post_init__(self) -> None:
        if self.demand is None and self.reference is None:
            raise ValueError("Object needs `demand` or `reference`")


class QuietHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Local times between which the resident is not to be disturbed."""

    from_: TimeOfDay = field(name="from")
    to: TimeOfDay


class ResidentRegistered(Data, frozen=True, kw_only=True):
    """An owner, tenant or family member, with preferences."""

    resident: Id
    unit: Word | None = None
    name: Name | None = None
    phone: Annotated[str, Meta(min_length=3, max_length=40)] | None = None
    language: Language | None = None
    tier: Word | None = None
    role: Literal["owner", "tenant", "family"] | None = None
    moved_in_on: date | None = None
    born_on: date | None = None
    quiet_hours: QuietHours | None = None


class OccupancyReported(Data, frozen=True, kw_only=True):
    """How many units are occupied."""

    occupied_units: Count


class FeeBilled(Data, frozen=True, kw_only=True):
    """A bill of the management fee. Again with the same `bill` and a later time: corrects."""

    bill: Id
    unit: Word | None = None
    amount: Amount
    due_at: Instant


class FeePaid(Data, frozen=True, kw_only=True):
    """A payment towards a bill, perhaps before the bill itself is known."""

    payment: Id
    bill: Id
    amount: Amount


class FeeReversed(Data, frozen=True, kw_only=True):
    """A payment that did not hold."""

    payment: Id


class IncidentRecorded(Data, frozen=True, kw_only=True):
    """A responsibility incident; again with the same `incident` and a later time: corrects."""

    incident: Id
    severity: Literal["major", "general"]
    responsible: bool
    occurred_at: Instant


class EquipmentRegistered(Data, frozen=True, kw_only=True):
    """A piece of equipment that is in service from now on."""

    equipment: Id
    system: Word | None = None
    critical: bool = False


class EquipmentState(Data, frozen=True, kw_only=True):
    """What state equipment is in; `alarm` on a faulty one opens a repair."""

    equipment: Id
    state: Literal["intact", "faulty", "under_repair", "retired"]
    alarm: bool = False


class PlantingCounted(Data, frozen=True, kw_only=True):
    """Plants of a planting area: planted and still living."""

    area: Id
    planted: Count
    living: Count

    def __post_init__(self) -> None:
        if self.living > self.planted:
            raise ValueError("`living` can't exceed `planted`")


class InspectionRecorded(Data, frozen=True, kw_only=True):
    """An inspection's points; again with the same `inspection`: corrects."""

    inspection: Id
    line: Literal["cleaning", "greening", "security"]
    checked: Count
    passed: Count

    def __post_init__(self) -> None:
        if self.passed > self.checked:
            raise ValueError("`passed` can't exceed `checked`")


class QuestionnaireAnswered(Data, frozen=True, kw_only=True):
    """A resident's ratings by line; the same respondent again: corrects, as a whole."""

    questionnaire: Id
    respondent: Id
    ratings: Annotated[dict[Line, Rating], Meta(min_length=1)]
    reason: Reason | None = None


class PurchaseRecorded(Data, frozen=True, kw_only=True):
    """What a resident bought, and why it interested them."""

    resident: Id
    item: Name
    amount: Amount
    interest: Text | None = None


INBOUND: dict[str, type[Data]] = {
    "guanjia.demand.raised.v1": DemandRaised,
    "guanjia.demand.withdrawn.v1": DemandWithdrawn,
    "guanjia.resident.registered.v1": ResidentRegistered,
    "guanjia.property.occupancy.v1": OccupancyReported,
    "guanjia.fee.billed.v1": FeeBilled,
    "guanjia.fee.paid.v1": FeePaid,
    "guanjia.fee.reversed.v1": FeeReversed,
    "guanjia.incident.recorded.v1": IncidentRecorded,
    "guanjia.equipment.registered.v1": EquipmentRegistered,
    "guanjia.equipment.state.v1": EquipmentState,
    "guanjia.planting.counted.v1": PlantingCounted,
    "guanjia.inspection.recorded.v1": InspectionRecorded,
    "guanjia.questionnaire.answered.v1": QuestionnaireAnswered,
    "guanjia.purchase.recorded.v1": PurchaseRecorded,
}
"""Event type → the schema of its data."""

DATA_DECODERS: dict[str, "msgspec.json.Decoder[Data]"] = {
    name: msgspec.json.Decoder(schema) for name, schema in INBOUND.items()
}
