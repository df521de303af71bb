"""Events over HTTP: three modes, once each, no bad one spoils another, every refusal says what is wrong."""

import json
from typing import Any

import pytest

from shared.messages.events import DemandAccepted
from shared.messages.facts import FeePaid
from tests.integration.intake.conftest import BATCHED, DEMAND, STRUCTURED, IntakeDriver, make_event, make_fee

CANARY = "13800138000"


async def test_a_demand_is_accepted_published_and_has_an_address(intake: IntakeDriver) -> None:
    answer = await intake.post_event(make_event())
    assert answer.status_code == 202
    demand = answer.json()["demand"]
    assert answer.json() == {"status": "accepted", "source": "/owner-app", "id": "e-1", "demand": demand}
    assert answer.headers["location"] == f"/v1/demands/{demand}"
    (accepted,) = await intake.outbox_data(DemandAccepted)
    assert (accepted.demand, accepted.summary, accepted.source) == (demand, "厨房水管漏水", "/owner-app")
    assert accepted.raised_at.isoformat() == "2026-11-23T03:30:00+00:00"
    assert await intake.count_accepted() == (1, 1)


async def test_a_fact_is_passed_on_under_its_own_name(intake: IntakeDriver) -> None:
    answer = await intake.post_event(make_fee())
    assert answer.json() == {"status": "accepted", "source": "/owner-app", "id": "f-1"}
    assert "location" not in answer.headers
    (event,) = await intake.outbox_events()
    assert (event.source, event.id, event.data) == (
        "/owner-app", "f-1", FeePaid(property="tower", payment="f-1", bill="b-1", amount="12.50"),
    )  # fmt: skip


async def test_the_same_again_is_a_duplicate_with_the_same_answer_and_no_effect(intake: IntakeDriver) -> None:
    first = (await intake.post_event(make_event())).json()
    again = await intake.post_event(make_event(time="2026-11-23T03:30:00.000Z"))
    assert again.status_code == 202
    assert again.json() == first | {"status": "duplicate"}
    assert again.headers["location"] == f"/v1/demands/{first['demand']}"
    assert len(await intake.outbox_events()) == 1


async def test_the_same_name_with_other_content_is_refused_and_the_first_stands(intake: IntakeDriver) -> None:
    await intake.post_event(make_event())
    answer = await intake.post_event(make_event(data=DEMAND | {"summary": CANARY}))
    assert answer.status_code == 409
    assert CANARY not in answer.text
    (accepted,) = await intake.outbox_data(DemandAccepted)
    assert accepted.summary == "厨房水管漏水"


async def test_binary_mode_is_read_alike(intake: IntakeDriver) -> None:
    attributes = {
        "specversion": "1.0",
        "id": "r-1",
        "source": "/erp/site-%E4%B8%80",
        "subject": "WO-1",
        "tenantid": "t1",
    }
    attributes |= {"type": "guanjia.demand.raised.v1", "time": "2026-11-23T03:30:00Z"}
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    answer = await intake.post("/v1/events", json.dumps(DEMAND).encode(), "application/json", **headers)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["source"], answer.json()["id"]) == ("/erp/site-一", "r-1")
    structured = make_event(
        "r-1", source="/erp/site-一", time="2026-11-23T03:30:00Z", tenantid="t1", subject="WO-1"
    )
    assert (await intake.post_event(structured)).json()["status"] == "duplicate"


@pytest.mark.parametrize(
    ("header", "value", "path"),
    [
        ("ce-id", None, "id"),
        ("ce-id", "%ff", "id"),
        ("ce-id", "%00", "id"),
        ("ce-time", "now", "time"),
        ("ce-type", "guanjia.nothing.v1", "type"),
        ("ce-specversion", "0.3", "specversion"),
    ],
)
async def test_a_wrong_attribute_of_binary_mode_is_named(
    intake: IntakeDriver, header: str, value: str | None, path: str
) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "guanjia.demand.raised.v1"}
    attributes = {name: text for name, text in (headers | {header: value}).items() if text is not None}
    answer = await intake.post("/v1/events", DEMAND, **attributes)
    assert answer.status_code == 422, answer.text
    assert [error["path"] for error in answer.json()["errors"]] == [path]


async def test_structured_mode_as_a_common_library_writes_it(intake: IntakeDriver) -> None:
    """ASCII escapes, spaces after colons, the specversion late, an extension attribute."""
    attributes = {"type": "guanjia.demand.raised.v1", "source": "/erp", "id": "r-2", "subject": "WO-1"}
    attributes |= {"tenantid": "t", "datacontenttype": "application/json", "specversion": "1.0"}
    text = json.dumps(attributes | {"data": DEMAND})
    assert "\\u53a8" in text
    answer = await intake.post("/v1/events", text.encode(), f"{STRUCTURED}; charset=utf-8")
    assert answer.status_code == 202
    assert (await intake.outbox_data(DemandAccepted))[0].summary == "厨房水管漏水"


async def test_a_batch_is_answered_in_its_order_and_no_member_spoils_another(intake: IntakeDriver) -> None:
    await intake.post_event(make_fee("f-0"))
    members: list[Any] = [
        make_event("e-1"),
        make_event("e-2", DEMAND | {"kind": CANARY}),
        make_fee("f-0"),
        make_event("e-1"),
        make_fee("f-0", amount="99"),
        make_event("e-3", DEMAND | {"summary": "nul \x00"}),
        make_event("e-4", DEMAND | {"property": "annex"}),
        make_event("e-5", DEMAND | {"property": "nowhere"}),
        "no event",
        make_fee("f-9"),
    ]
    results = await intake.post_batch(*members)
    assert [result["status"] for result in results] == [
        "accepted", "rejected", "duplicate", "duplicate", "rejected", "rejected", "rejected", "rejected",
        "rejected", "accepted",
    ]  # fmt: skip
    assert [result.get("problem", {}).get("status") for result in results] == [
        None, 422, None, None, 409, 422, 403, 422, 422, None,
    ]  # fmt: skip
    assert results[1]["problem"]["errors"][0]["path"] == "data.kind"
    assert results[5]["problem"]["errors"][0]["path"] == "data.summary"
    assert results[0]["demand"] == results[3]["demand"]
    assert CANARY not in str(results)
    assert await intake.count_accepted() == (3, 1)


async def test_a_member_that_is_hostile_is_rejected_by_itself(intake: IntakeDriver) -> None:
    bad = [b'{"id":"\xff"}', b'{"id":"1","id":"2"}', b'{"data":' + b"[" * 40 + b"]" * 40 + b"}"]
    body = b"[" + b",".join([*bad, json.dumps(make_fee()).encode()]) + b"]"
    answer = await intake.post("/v1/events", body, BATCHED)
    assert [result["status"] for result in answer.json()["results"]] == ["rejected"] * 3 + ["accepted"]
    assert [result["problem"]["status"] for result in answer.json()["results"][:3]] == [400] * 3


async def test_an_empty_batch_is_answered_and_one_beyond_a_thousand_refused(intake: IntakeDriver) -> None:
    assert await intake.post_batch() == []
    answer = await intake.post("/v1/events", [make_fee()] * 1001, BATCHED)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (STRUCTURED, b"", 400),
        (STRUCTURED, b"{", 400),
        (STRUCTURED, b'{"id": "\xff"}', 400),
        (STRUCTURED, b'{"id": "1", "id": "2"}', 400),
        (STRUCTURED, b"[]", 422),
        (STRUCTURED, b"{}", 422),
        (BATCHED, b"{}", 422),
        (BATCHED, b"[", 400),
        (STRUCTURED, b" " * 70_000, 413),
        (BATCHED, b" " * 1_100_000, 413),
        ("application/json", json.dumps(make_fee()).encode(), 415),
        ("text/plain", json.dumps(make_fee()).encode(), 415),
        ("multipart/form-data", b"", 415),
    ],
)
async def test_what_is_not_valid_is_refused_with_the_right_status(
    intake: IntakeDriver, kind: str, body: bytes, status: int
) -> None:
    answer = await intake.post("/v1/events", body, kind)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert await intake.count_accepted() == (0, 0)


async def test_a_refusal_names_the_field_in_the_readers_language_and_never_the_value(
    intake: IntakeDriver,
) -> None:
    bad = make_event(data=DEMAND | {"location": {"floor": [CANARY]}})
    english = await intake.post_event(bad)
    chinese = await intake.post("/v1/events", bad, STRUCTURED, accept_language="zh-CN,zh;q=0.9,en;q=0.8")
    assert english.status_code == chinese.status_code == 422
    assert english.json()["errors"][0]["path"] == chinese.json()["errors"][0]["path"] == "data.location.floor"
    assert english.json()["title"] == "Some fields are not valid"
    assert chinese.json()["title"] == "部分字段无效"
    assert CANARY not in english.text + chinese.text


async def test_a_time_in_the_future_and_an_unknown_property_are_not_valid(intake: IntakeDriver) -> None:
    for bad, path in (
        (make_event(time="2026-11-23T04:05:01Z"), "time"),
        (make_event(time="2026-11-23T03:00:00"), "time"),
        (make_event(data=DEMAND | {"property": "nowhere"}), "data.property"),
    ):
        answer = await intake.post_event(bad)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)
    assert (await intake.post_event(make_event(time="2026-11-23T04:05:00Z"))).status_code == 202


async def test_an_event_for_a_property_that_is_not_the_keys_is_forbidden(intake: IntakeDriver) -> None:
    assert (await intake.post_event(make_event(data=DEMAND | {"property": "annex"}))).status_code == 403
    assert await intake.count_accepted() == (0, 0)


async def test_text_is_kept_in_its_composed_form(intake: IntakeDriver) -> None:
    await intake.post_event(make_event(data=DEMAND | {"summary": "cafe\u0301"}))
    assert (await intake.outbox_data(DemandAccepted))[0].summary == "caf\u00e9"


async def test_the_trace_of_a_request_goes_into_what_is_published(intake: IntakeDriver) -> None:
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    answer = await intake.post("/v1/events", make_event(), STRUCTURED, traceparent=trace)
    assert answer.headers["traceparent"] == trace
    assert (await intake.outbox_events())[0].trace == trace
