"""The HTTP face: who may see and do what, what is refused and how, and that asking again is harmless."""

import asyncio
from collections import Counter

import httpx
import pytest

from services.dispatch.app import Dispatch
from shared.http.authentication import Authenticator
from shared.http.router import Router
from tests.integration.dispatch.conftest import DispatchDriver, service_context


async def dispatched_repair(dispatch: DispatchDriver, **fields: object) -> tuple[str, dict[str, str]]:
    """A dispatched repair and the headers of its engineer."""
    case_id = await dispatch.deliver_demand(**fields)  # type: ignore[arg-type]
    engineer = (await dispatch.get_case(case_id))["assignee"]
    return case_id, dispatch.headers_for("engineer", person=engineer)


async def test_a_case_tells_what_this_key_may_do_with_the_fields_that_it_takes(
    dispatch: DispatchDriver,
) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    actions = {offer["action"]: offer for offer in (await dispatch.get_case(case_id, engineer))["actions"]}
    assert set(actions) == {"accept", "decline", "note"}
    assert (actions["note"]["fields"], actions["note"]["required"]) == ({"text": "text"}, ["text"])
    assert "assign" in {offer["action"] for offer in (await dispatch.get_case(case_id))["actions"]}
    assert (await dispatch.get_case(case_id, dispatch.headers_for("manager")))["actions"] == []


async def test_a_step_that_the_state_does_not_take_is_answered_with_those_that_it_takes(
    dispatch: DispatchDriver,
) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    answer = await dispatch.post_action(case_id, "complete", engineer)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert [offer["action"] for offer in answer.json()["actions"]] == ["accept", "decline", "note"]
    assert answer.json()["title"] == "工单当前状态不允许此操作"


async def test_somebody_elses_job_is_forbidden(dispatch: DispatchDriver) -> None:
    case_id, _ = await dispatched_repair(dispatch)
    other = {"wang": "li", "li": "wang"}[(await dispatch.get_case(case_id))["assignee"]]
    assert (
        await dispatch.post_action(case_id, "accept", dispatch.headers_for("engineer", person=other))
    ).status_code == 403
    assert (await dispatch.post_action(case_id, "accept", dispatch.headers_for("manager"))).status_code == 403
    assert (
        await dispatch.post_action(case_id, "accept", {"Authorization": "Bearer nobody"})
    ).status_code == 401


async def test_a_case_of_another_property_does_not_exist(dispatch: DispatchDriver) -> None:
    case_id, _ = await dispatched_repair(dispatch)
    stranger = dispatch.headers_for("dispatcher", "engineer", properties=("annex",))
    unknown = "01900000-0000-7000-8000-000000000000"
    for place in (case_id, unknown, "no-id", f"{case_id}x"):
        assert (await dispatch.http.get(f"/v1/cases/{place}", headers=stranger)).status_code == 404
        assert (await dispatch.post_action(place, "note", stranger, data={"text": "x"})).status_code == 404
    assert (await dispatch.http.get("/v1/cases", headers=stranger)).json()["items"] == []
    assert (await dispatch.http.get("/v1/cases?property=tower", headers=stranger)).status_code == 403


async def test_who_asked_is_seen_by_those_who_need_it(dispatch: DispatchDriver) -> None:
    who = {"id": "r1", "name": "Chen Yi", "phone": "13900000000"}
    case_id, engineer = await dispatched_repair(dispatch, requester=who, details={"door": "4711"})
    for headers, visible in (
        (engineer, True),
        (dispatch.headers_for("dispatcher"), True),
        (dispatch.headers_for("manager"), False),
        (dispatch.headers_for("engineer", person="zhao"), False),
    ):
        case = await dispatch.get_case(case_id, headers)
        assert (case["requester"] is not None, case["details"] is not None) == (visible, visible)
    listed = await dispatch.http.get("/v1/cases", headers=dispatch.headers_for("dispatcher"))
    assert "13900000000" not in listed.text
    assert "Chen Yi" not in listed.text


async def test_fields_that_are_not_valid_are_named(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    for body, path in (
        ({"data": {"why": "x"}}, "data.why"),
        ({"at": "2026-11-23T05:00:00Z"}, "at"),
        ({"at": "2026-11-23T03:59:00Z"}, "at"),
        ({"at": "2026-11-23T04:00:00"}, "at"),
        ({"more": 1}, "more"),
    ):
        answer = await dispatch.post_action(case_id, "accept", engineer, **body)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)


async def test_the_same_key_is_answered_the_same_and_takes_no_second_step(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    keyed = engineer | {"Idempotency-Key": "phone-1"}
    first = await dispatch.post_action(case_id, "accept", keyed)
    await dispatch.take_action(case_id, "depart", engineer)
    again = await dispatch.post_action(case_id, "accept", keyed)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"] == '"3"'
    assert (await dispatch.get_case(case_id))["version"] == 4


async def test_a_folded_case_is_told_whole_beside_its_parent_in_one_batch(dispatch: DispatchDriver) -> None:
    parent, child = await dispatch.deliver_demand(), await dispatch.deliver_demand()
    await dispatch.take_action(child, "attach", data={"parent": parent})
    notes = [dispatch.take_action(case_id, "note", data={"text": "x"}) for case_id in (child, parent)]
    for told in await asyncio.gather(*notes):
        assert [entry["seq"] for entry in told["history"]] == list(range(1, told["version"] + 1))


async def test_many_at_once_with_one_key_take_one_step(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    keyed = engineer | {"Idempotency-Key": "phone-1"}
    answers = await asyncio.gather(
        *(dispatch.post_action(case_id, "note", keyed, data={"text": "x"}) for _ in range(8))
    )
    assert {answer.content for answer in answers} == {answers[0].content}
    assert (await dispatch.get_case(case_id))["version"] == 3


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
async def test_two_copies_that_are_asked_with_one_key_take_one_step(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    context = service_context(dispatch.settings, dispatch.clock)
    other = Dispatch(context)
    await other.prepare()
    app = Router(Authenticator(context.keyring))
    app.add(other, other.endpoints())
    keyed, body = engineer | {"Idempotency-Key": "k"}, {"action": "note", "data": {"text": "x"}}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as second:
        path = f"/v1/cases/{case_id}/actions"
        requests = [h.post(path, json=body, headers=keyed) for h in (dispatch.http, second) for _ in range(4)]
        answers = await asyncio.gather(*requests)
    await other.close()
    await context.bus.stop()
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert (await dispatch.get_case(case_id))["version"] == 3


async def test_a_key_is_bound_to_its_caller_and_to_what_was_asked(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    await dispatch.take_action(case_id, "accept", engineer | {"Idempotency-Key": "k"})
    assert (
        await dispatch.post_action(case_id, "depart", engineer | {"Idempotency-Key": "k"})
    ).status_code == 409
    admin = dispatch.headers_for("admin") | {"Idempotency-Key": "k"}
    assert (await dispatch.post_action(case_id, "note", admin, data={"text": "x"})).status_code == 200


async def test_a_refused_step_may_be_asked_for_again_with_its_key(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    keyed = engineer | {"Idempotency-Key": "k"}
    assert (await dispatch.post_action(case_id, "depart", keyed)).status_code == 409
    await dispatch.take_action(case_id, "accept", engineer)
    assert (await dispatch.post_action(case_id, "depart", keyed)).status_code == 200


async def test_a_version_that_moved_on_is_refused(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    shown = await dispatch.http.get(f"/v1/cases/{case_id}", headers=engineer)
    fresh = engineer | {"If-Match": shown.headers["etag"]}
    assert (await dispatch.post_action(case_id, "accept", fresh)).status_code == 200
    assert (await dispatch.post_action(case_id, "depart", fresh)).status_code == 412
    assert (await dispatch.post_action(case_id, "depart", engineer | {"If-Match": "*"})).status_code == 200


async def test_of_many_concurrent_steps_each_takes_effect_once_and_bad_ones_hurt_only_themselves(
    dispatch: DispatchDriver,
) -> None:
    events = [dispatch.accepted_event() for _ in range(20)]
    await dispatch.deliver(*events)
    ids = [event.data.demand for event in events]
    admin = dispatch.headers_for("admin")
    requests = [dispatch.post_action(i, "accept", admin) for i in ids for _ in range(2)]
    requests += [dispatch.post_action(i, "juggle", admin) for i in ids]
    answers = await asyncio.gather(*requests)
    assert Counter(answer.status_code for answer in answers) == {200: 20, 409: 40}
    assert all([(await dispatch.get_case(i))["version"] == 3 for i in ids])


async def test_a_dispatcher_acts_for_somebody_and_both_are_recorded(dispatch: DispatchDriver) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    dispatcher = dispatch.headers_for("dispatcher", person="zhao")
    case = await dispatch.take_action(case_id, "accept", dispatcher, actor="wang")
    assert (case["history"][-1]["actor"], case["history"][-1]["recorded_by"]) == ("wang", "zhao")
    assert (await dispatch.post_action(case_id, "depart", engineer, actor="zhao")).status_code == 403
    unknown = await dispatch.post_action(case_id, "depart", dispatcher, actor="nobody")
    assert (unknown.status_code, unknown.json()["errors"][0]["path"]) == (422, "actor")


async def test_one_key_judges_for_one_and_countersigns_for_another(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand("complaint", line="cleaning")
    admin = dispatch.headers_for("admin")
    await dispatch.take_action(case_id, "register", admin, actor="zhao")
    data = {"valid": False, "verdict": "not_valid", "reason": "nothing was found"}
    assert (await dispatch.take_action(case_id, "judge", admin, actor="zhao", data=data))[
        "state"
    ] == "explaining"
    assert (await dispatch.post_action(case_id, "countersign", admin, actor="zhao")).status_code == 403
    await dispatch.take_action(case_id, "countersign", admin, actor="wang")
    assert (await dispatch.take_action(case_id, "agree", admin))["state"] == "following_up"
    verdicts = (await dispatch.published_events("guanjia.case.changed.v1"))[-1].data.facts.verdicts
    assert [(verdict.valid, verdict.effective_at is not None) for verdict in verdicts] == [(False, True)]


async def test_a_decline_is_answered_as_reported_and_another_gets_it_within_moments(
    dispatch: DispatchDriver,
) -> None:
    case_id, engineer = await dispatched_repair(dispatch)
    declined = await dispatch.take_action(case_id, "decline", engineer, data={"reason": "on the roof"})
    assert (declined["state"], declined["assignee"]) == ("reported", None)
    await dispatch.check_due_cases()
    case = await dispatch.get_case(case_id)
    assert case["state"] == "dispatched"
    assert dispatch.headers_for("engineer", person=case["assignee"]) != engineer


async def test_lists_are_filtered_and_paged(dispatch: DispatchDriver) -> None:
    events = [dispatch.accepted_event(summary=f"Leak number {number}") for number in range(5)]
    await dispatch.deliver(*events, dispatch.accepted_event("help", summary="Bags to carry"))
    ids = [event.data.demand for event in events]
    await dispatch.take_action(ids[0], "cancel")
    assert len(await dispatch.list_cases(property="tower")) == 6
    assert len(await dispatch.list_cases(kind="repair", open="true")) == 4
    assert [case["id"] for case in await dispatch.list_cases(state="cancelled")] == [ids[0]]
    assert len(await dispatch.list_cases(assignee="wang", open="true")) >= 2
    assert [case["id"] for case in await dispatch.list_cases(q="leak number 3")] == [ids[3]]
    number = (await dispatch.get_case(ids[2]))["number"]
    assert [case["id"] for case in await dispatch.list_cases(q=number)] == [ids[2]]
    listed: list[str] = []
    cursor = None
    while cursor is not None or not listed:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (
            await dispatch.http.get("/v1/cases", params=query, headers=dispatch.headers_for("admin"))
        ).json()
        listed += [case["id"] for case in page["items"]]
        cursor = page["next"]
    assert listed == sorted(listed, reverse=True)
    assert len(listed) == 6
    for bad in ("limit=0", "limit=201", "cursor=x", "kind=magic", "open=perhaps"):
        assert (
            await dispatch.http.get(f"/v1/cases?{bad}", headers=dispatch.headers_for("admin"))
        ).status_code == 422


async def test_the_roster_tells_who_is_on_shift_with_skills_and_load(dispatch: DispatchDriver) -> None:
    await dispatched_repair(dispatch)
    answer = await dispatch.http.get("/v1/roster?property=tower", headers=dispatch.headers_for("dispatcher"))
    people = {person["id"]: person for person in answer.json()["items"]}
    assert set(people) == {"wang", "li", "zhao", "qian"}
    assert people["wang"]["skills"] == ["*"]
    assert people["wang"]["load"] + people["li"]["load"] == 1
    for query, status in (("", 422), ("property=annex", 403), ("property=tower&at=noon", 422)):
        answer = await dispatch.http.get(f"/v1/roster?{query}", headers=dispatch.headers_for("dispatcher"))
        assert answer.status_code == status
