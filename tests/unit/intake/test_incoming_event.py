"""Every event type that may be posted: what it needs, what it may hold, and what each mistake is called."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.intake.domain.incoming_event import Envelope, EventContext, IncomingEvent, read_event
from shared.errors import InvalidInput
from shared.http.json_input import convert, read_json
from shared.messages.facts import INBOUND
from shared.properties.kind_files import load_kinds
from shared.settings import PACKAGED_WORKFLOWS

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
DEMAND = {
    "kind": "repair",
    "summary": "水管漏水",
    "description": "厨房",
    "subject": "water",
    "line": "maintenance",
    "perspective": "management",
    "priority": "high",
    "channel": "app",
    "location": {"floor": 12, "unit": "1203", "place": "kitchen"},
    "requester": {"id": "u-1", "name": "李", "phone": "13800138000", "language": "zh-CN", "tier": "vip"},
    "preferred": {"from": "2026-11-23T18:00:00+08:00", "to": "2026-11-23T20:00:00+08:00"},
    "reference": "A-17",
    "details": {"papers": ["id"], "count": 2},
}
RESIDENT = {
    "resident": "u-1",
    "unit": "1203",
    "name": "李",
    "phone": "13800138000",
    "language": "zh-CN",
    "tier": "vip",
    "role": "owner",
    "moved_in_on": "2026-11-01",
    "born_on": "1966-11-23",
    "quiet_hours": {"from": "22:00", "to": "07:30"},
}
FULL: dict[str, dict[str, Any]] = {
    "guanjia.demand.raised.v1": DEMAND,
    "guanjia.demand.withdrawn.v1": {"demand": "d-1", "reference": "A-17", "reason": "mended"},
    "guanjia.resident.registered.v1": RESIDENT,
    "guanjia.property.occupancy.v1": {"occupied_units": 180},
    "guanjia.fee.billed.v1": {
        "bill": "b-1", "unit": "1203", "amount": "350.50", "due_at": "2026-11-30T00:00:00+08:00",
    },
    "guanjia.fee.paid.v1": {"payment": "p-1", "bill": "b-1", "amount": "350.5"},
    "guanjia.fee.reversed.v1": {"payment": "p-1"},
    "guanjia.incident.recorded.v1": {
        "incident": "i-1", "severity": "general", "responsible": True, "occurred_at": "2026-11-22T10:00:00Z",
    },
    "guanjia.equipment.registered.v1": {"equipment": "lift-1", "system": "elevator", "critical": True},
    "guanjia.equipment.state.v1": {"equipment": "lift-1", "state": "faulty", "alarm": True},
    "guanjia.planting.counted.v1": {"area": "roof", "planted": 40, "living": 39},
    "guanjia.inspection.recorded.v1": {"inspection": "n-1", "line": "cleaning", "checked": 20, "passed": 19},
    "guanjia.questionnaire.answered.v1": {
        "questionnaire": "q-1", "respondent": "u-1", "ratings": {"security": 5, "cleaning": 2},
        "reason": "service",
    },
    "guanjia.purchase.recorded.v1": {
        "resident": "u-1", "item": "shuttle", "amount": "30", "interest": "airport",
    },
}  # fmt: skip
"""Type → its data with everything in it, but `property`."""

NEEDED: dict[str, set[str]] = {
    "guanjia.demand.raised.v1": {"kind", "summary"},
    "guanjia.demand.withdrawn.v1": set(),
    "guanjia.resident.registered.v1": {"resident"},
    "guanjia.property.occupancy.v1": {"occupied_units"},
    "guanjia.fee.billed.v1": {"bill", "amount", "due_at"},
    "guanjia.fee.paid.v1": {"payment", "bill", "amount"},
    "guanjia.fee.reversed.v1": {"payment"},
    "guanjia.incident.recorded.v1": {"incident", "severity", "responsible", "occurred_at"},
    "guanjia.equipment.registered.v1": {"equipment"},
    "guanjia.equipment.state.v1": {"equipment", "state"},
    "guanjia.planting.counted.v1": {"area", "planted", "living"},
    "guanjia.inspection.recorded.v1": {"inspection", "line", "checked", "passed"},
    "guanjia.questionnaire.answered.v1": {"questionnaire", "respondent", "ratings"},
    "guanjia.purchase.recorded.v1": {"resident", "item", "amount"},
}
"""Type → the fields without which it is nothing, beside `property`."""

WRONG: list[tuple[str, str, Any]] = [
    ("guanjia.demand.raised.v1", "kind", "theft"),
    ("guanjia.demand.raised.v1", "summary", ""),
    ("guanjia.demand.raised.v1", "line", "catering"),
    ("guanjia.demand.raised.v1", "perspective", "private"),
    ("guanjia.demand.raised.v1", "priority", "now"),
    ("guanjia.demand.raised.v1", "location.floor", [12]),
    ("guanjia.demand.raised.v1", "location.floor", 12.5),
    ("guanjia.demand.raised.v1", "requester.language", "中文"),
    ("guanjia.demand.raised.v1", "preferred.from", "tomorrow"),
    ("guanjia.demand.raised.v1", "preferred.from", "2026-11-23T18:00:00"),
    ("guanjia.demand.raised.v1", "details", "none"),
    ("guanjia.resident.registered.v1", "role", "guest"),
    ("guanjia.resident.registered.v1", "born_on", "1966-02-30"),
    ("guanjia.resident.registered.v1", "quiet_hours.from", "24:00"),
    ("guanjia.property.occupancy.v1", "occupied_units", -1),
    ("guanjia.property.occupancy.v1", "occupied_units", 10**12),
    ("guanjia.fee.billed.v1", "amount", 350.5),
    ("guanjia.fee.billed.v1", "amount", "-1"),
    ("guanjia.fee.billed.v1", "amount", "1e3"),
    ("guanjia.fee.billed.v1", "due_at", "2026-11-30"),
    ("guanjia.fee.paid.v1", "payment", ""),
    ("guanjia.incident.recorded.v1", "severity", "minor"),
    ("guanjia.incident.recorded.v1", "responsible", "yes"),
    ("guanjia.equipment.state.v1", "state", "broken"),
    ("guanjia.planting.counted.v1", "planted", "40"),
    ("guanjia.inspection.recorded.v1", "line", "maintenance"),
    ("guanjia.questionnaire.answered.v1", "ratings", {"security": 6}),
    ("guanjia.questionnaire.answered.v1", "ratings", {"parking": 5}),
    ("guanjia.purchase.recorded.v1", "item", "x" * 201),
]

CONTEXT = EventContext(by="tester", now=NOW, properties={"tower"}, kinds=load_kinds([PACKAGED_WORKFLOWS]))


def read_as_event(type_: str, data: Any, **attributes: Any) -> IncomingEvent:
    """An event of that type, read at `NOW`."""
    event = {"specversion": "1.0", "id": "1", "source": "test", "type": type_, "data": data} | attributes
    envelope = convert(read_json(msgspec.json.encode(event)), Envelope)
    return read_event(envelope, CONTEXT)


def wrong_paths(type_: str, data: Any, **attributes: Any) -> list[str]:
    """The paths of the fields that are refused, each with a message in both languages."""
    with pytest.raises(InvalidInput) as caught:
        read_as_event(type_, data, **attributes)
    for error in caught.value.errors:
        assert error.message
        assert error.message_zh
    return [error.path for error in caught.value.errors]


def full_data(type_: str) -> dict[str, Any]:
    return {"property": "tower"} | FULL[type_]


def test_every_type_has_an_example() -> None:
    assert set(FULL) == set(NEEDED) == set(INBOUND)


@pytest.mark.parametrize("type_", list(FULL))
def test_a_full_event_is_read_and_keeps_all_that_it_holds(type_: str) -> None:
    event = read_as_event(type_, full_data(type_), time="2026-11-23T11:00:00+08:00")
    assert event.time == datetime(2026, 11, 23, 3, tzinfo=UTC)
    fields = msgspec.to_builtins(event.data)
    assert set(fields) == set(full_data(type_))


@pytest.mark.parametrize("type_", list(FULL))
def test_the_needed_fields_are_enough_and_each_is_needed(type_: str) -> None:
    needed = {name: value for name, value in full_data(type_).items() if name in NEEDED[type_] | {"property"}}
    if type_ == "guanjia.demand.withdrawn.v1":
        assert wrong_paths(type_, needed) == ["data"]
        needed["reference"] = "A-17"
        assert wrong_paths(type_, {"reference": "A-17"}) == ["data.property"]
    else:
        for name in needed:
            assert wrong_paths(type_, {k: v for k, v in needed.items() if k != name}) == [f"data.{name}"]
    assert read_as_event(type_, needed).type == type_


@pytest.mark.parametrize("type_", list(FULL))
def test_a_field_that_is_not_in_the_table_is_refused_by_its_name(type_: str) -> None:
    assert wrong_paths(type_, full_data(type_) | {"state": "closed"}) in (["data.state"], ["data"])
    assert wrong_paths(type_, full_data(type_) | {"assignee": "wang"}) == ["data.assignee"]
    assert wrong_paths(type_, full_data(type_) | {"13800138000": 1}) == ["data"]


def test_a_field_within_another_that_is_not_in_the_table_is_refused_too() -> None:
    for name in ("location", "requester", "preferred"):
        data = full_data("guanjia.demand.raised.v1")
        data[name] = data[name] | {"consent": True}
        assert wrong_paths("guanjia.demand.raised.v1", data) == [f"data.{name}.consent"]


@pytest.mark.parametrize(("type_", "path", "value"), WRONG)
def test_a_wrong_value_is_refused_by_its_path(type_: str, path: str, value: Any) -> None:
    data = full_data(type_)
    outer, _, inner = path.partition(".")
    data[outer] = data[outer] | {inner: value} if inner else value
    (wrong,) = wrong_paths(type_, data)
    assert wrong.startswith(f"data.{path}")


def test_more_living_than_planted_and_more_passed_than_checked_is_refused() -> None:
    assert wrong_paths(
        "guanjia.planting.counted.v1", full_data("guanjia.planting.counted.v1") | {"living": 41}
    ) == ["data"]
    inspection = full_data("guanjia.inspection.recorded.v1") | {"passed": 21}
    assert wrong_paths("guanjia.inspection.recorded.v1", inspection) == ["data"]


def test_an_unknown_property_is_refused() -> None:
    assert wrong_paths("guanjia.fee.reversed.v1", {"property": "nowhere", "payment": "p"}) == [
        "data.property"
    ]


def test_an_event_may_lie_five_minutes_in_the_future_and_no_more() -> None:
    data = full_data("guanjia.fee.reversed.v1")
    soon = NOW + timedelta(minutes=5)
    assert read_as_event("guanjia.fee.reversed.v1", data, time=soon).time == soon
    for time in (soon + timedelta(seconds=1), "1969-12-31T23:59:59Z"):
        assert wrong_paths("guanjia.fee.reversed.v1", data, time=time) == ["time"]


def test_an_event_without_a_time_happened_now() -> None:
    assert read_as_event("guanjia.fee.reversed.v1", full_data("guanjia.fee.reversed.v1")).time == NOW


def test_the_attributes_of_the_envelope_are_checked() -> None:
    data = full_data("guanjia.fee.reversed.v1")
    assert wrong_paths("guanjia.fee.reversed.v1", data, specversion="0.3") == ["specversion"]
    assert wrong_paths("guanjia.nothing.v1", data) == ["type"]
    assert wrong_paths("guanjia.fee.reversed.v1", data, datacontenttype="text/xml") == ["datacontenttype"]
    assert read_as_event("guanjia.fee.reversed.v1", data, comexampleextension="x", subject="p-1").id == "1"


def test_data_may_come_as_base64_and_must_come() -> None:
    body = msgspec.json.encode(full_data("guanjia.fee.reversed.v1"))
    attributes = {"specversion": "1.0", "id": "1", "source": "t", "type": "guanjia.fee.reversed.v1"}
    for value, wrong in ((body, None), (None, "data_base64"), (b"{", "data")):
        packed = {"data_base64": "?" if value is None else msgspec.to_builtins(value)}
        envelope = msgspec.convert(attributes | packed, Envelope)
        if wrong is None:
            assert read_event(envelope, CONTEXT).type == attributes["type"]
            continue
        with pytest.raises(InvalidInput) as caught:
            read_event(envelope, CONTEXT)
        assert [error.path for error in caught.value.errors] == [wrong]
    with pytest.raises(InvalidInput):
        read_event(msgspec.convert(attributes, Envelope), CONTEXT)


def test_the_same_content_however_it_is_written_has_the_same_digest() -> None:
    type_ = "guanjia.demand.raised.v1"
    one = read_as_event(type_, full_data(type_), time="2026-11-23T03:00:00Z")
    again = read_as_event(
        type_, dict(reversed(full_data(type_).items())), time="2026-11-23T11:00:00.000+08:00"
    )
    assert one.digest == again.digest
    for other in (
        read_as_event(type_, full_data(type_)),
        read_as_event(type_, full_data(type_) | {"summary": "?"}, time="2026-11-23T03:00:00Z"),
    ):
        assert other.digest != one.digest
