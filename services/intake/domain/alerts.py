"""An alert of Alertmanager as the state of a piece of equipment; pure."""

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from shared.messages.facts import ID_LENGTH, EquipmentState, Id, Instant


class Alert(Struct):
    """One alert; unneeded members are not read. `endsAt` is the year 1 while the alert fires."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    startsAt: Instant
    fingerprint: Id
    endsAt: str = ""


def make_event_id(alert: Alert) -> str:
    """The id of the event: Alertmanager repeats the same alert while it lasts."""
    return f"{alert.fingerprint}:{alert.startsAt.astimezone(UTC).isoformat()}:{alert.status}"


def to_equipment_state(alert: Alert, property_id: str) -> EquipmentState:
    """Firing is a faulty state with alarm, resolved an intact one."""
    firing = alert.status == "firing"
    equipment = alert.labels.get("equipment") or alert.labels.get("alertname") or alert.fingerprint
    return EquipmentState(
        property=property_id,
        equipment=equipment[:ID_LENGTH],
        state="faulty" if firing else "intact",
        alarm=firing,
    )


def read_state_time(alert: Alert, end: datetime | None) -> datetime:
    """When the state began: the alert's start, or the `end` of one that is resolved."""
    return alert.startsAt if alert.status == "firing" or end is None else end
