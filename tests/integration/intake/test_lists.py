"""Keys, people and kinds: what is issued and listed, to whom."""

from typing import Any

import pytest

from services.intake.models import api_keys
from shared.messages.events import KeyRevoked
from tests.integration.intake.conftest import IntakeDriver, make_event


async def test_a_key_is_shown_once_listed_without_the_key_itself_and_revoked_at_once(
    intake: IntakeDriver,
) -> None:
    intake.headers = admin = intake.driver.headers("admin")
    requested = {"name": "owner app", "roles": ["source"], "properties": ["tower"]}
    issued = await intake.post("/v1/keys", requested)
    assert issued.status_code == 201
    key = issued.json()["key"]
    assert len(key) > 40
    listed = (await intake.get("/v1/keys")).json()
    assert [item["name"] for item in listed["items"]] == ["owner app"]
    assert key not in str(listed) + str(await intake.driver.rows(api_keys))
    owner = {"Authorization": f"Bearer {key}"}
    intake.headers = owner
    assert (await intake.post_event(make_event())).status_code == 202
    intake.headers = admin
    assert (await intake.http.delete(f"/v1/keys/{issued.json()['id']}", headers=admin)).status_code == 204
    intake.headers = owner
    assert (await intake.post_event(make_event("e-2"))).status_code == 401
    assert [revoked.key for revoked in await intake.outbox_data(KeyRevoked)] == [issued.json()["id"]]
    assert (await intake.http.delete(f"/v1/keys/{issued.json()['id']}", headers=admin)).status_code == 404
    assert (await intake.get("/v1/keys", admin)).json()["items"][0]["revoked_at"] is not None


async def test_keys_are_listed_in_pages(intake: IntakeDriver) -> None:
    intake.headers = intake.driver.headers("admin")
    for number in range(5):
        await intake.post("/v1/keys", {"name": f"k{number}", "roles": ["source"]})
    seen, cursor = [], ""
    while True:
        page = (await intake.get(f"/v1/keys?limit=2&cursor={cursor}")).json()
        seen += [item["name"] for item in page["items"]]
        assert len(page["items"]) <= 2
        if page["next"] is None:
            break
        cursor = page["next"]
    assert seen == [f"k{number}" for number in range(5)]
    for wrong in ("limit=0", "limit=201", "limit=x", "cursor=x", "colour=red"):
        assert (await intake.get(f"/v1/keys?{wrong}")).status_code == 422


@pytest.mark.parametrize(
    ("requested", "path"),
    [
        ({"name": "a", "roles": []}, "roles"),
        ({"name": "a", "roles": ["king"]}, "roles[0]"),
        ({"name": "", "roles": ["source"]}, "name"),
        ({"name": "a", "roles": ["source"], "properties": ["nowhere"]}, "properties[0]"),
        ({"name": "a", "roles": ["source"], "key": "mine"}, "key"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_issued(
    intake: IntakeDriver, requested: Any, path: str
) -> None:
    intake.headers = intake.driver.headers("admin")
    answer = await intake.post("/v1/keys", requested)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)


async def test_an_administrator_of_one_property_gives_away_sees_and_revokes_no_more(
    intake: IntakeDriver,
) -> None:
    intake.headers = everything = intake.driver.headers("admin")
    ids = {}
    for name, properties in (("all", None), ("annex", ["annex"]), ("tower", ["tower"])):
        requested = {"name": name, "roles": ["source"], "properties": properties}
        ids[name] = (await intake.post("/v1/keys", requested)).json()["id"]
    intake.headers = intake.driver.headers("admin", properties=["tower"])
    assert [item["name"] for item in (await intake.get("/v1/keys")).json()["items"]] == ["tower"]
    for properties in (None, ["annex"]):
        requested = {"name": "more", "roles": ["source"], "properties": properties}
        assert (await intake.post("/v1/keys", requested)).status_code == 403
    for name, status in (("all", 404), ("annex", 404), ("tower", 204)):
        answer = await intake.http.delete(f"/v1/keys/{ids[name]}", headers=intake.headers)
        assert answer.status_code == status
    assert len((await intake.get("/v1/keys", everything)).json()["items"]) == 3


async def test_the_people_of_a_property_are_listed_by_role_to_those_who_work_there(
    intake: IntakeDriver,
) -> None:
    headers = intake.driver.headers("dispatcher", properties=["tower"])
    page = (await intake.get("/v1/people?property=tower&role=engineer", headers)).json()
    assert [person["id"] for person in page["items"]] == ["li", "wang"]
    assert page["items"][0] == {"id": "li", "name": "Li Na", "roles": ["engineer"], "skills": ["*"]}
    first = (await intake.get("/v1/people?property=tower&limit=2", headers)).json()
    rest = (await intake.get(f"/v1/people?property=tower&cursor={first['next']}", headers)).json()
    everybody = intake.service.properties["tower"].people
    assert [p["id"] for p in first["items"] + rest["items"]] == sorted(person.id for person in everybody)
    assert (await intake.get("/v1/people?property=annex", headers)).status_code == 403
    assert (
        await intake.get("/v1/people?property=nowhere", intake.driver.headers("manager"))
    ).status_code == 404
    assert (await intake.get("/v1/people?property=tower", intake.driver.headers("source"))).status_code == 403


async def test_kinds_are_listed_page_by_page_to_every_key_of_the_property(intake: IntakeDriver) -> None:
    page = (await intake.get("/v1/kinds?property=tower&limit=10")).json()
    rest = (await intake.get(f"/v1/kinds?property=tower&limit=10&cursor={page['next']}")).json()
    names = [kind["kind"] for kind in (*page["items"], *rest["items"])]
    assert (names, rest["next"]) == (sorted(intake.service.kinds.entries), None)
    repair = next(kind for kind in rest["items"] if kind["kind"] == "repair")
    assert repair == {
        "kind": "repair", "names": {"zh": "报修", "en": "Repair"}, "perspective": "management", "fields": [],
        "workflow": {"name": "repair", "version": 2},
    }  # fmt: skip
    assert (
        await intake.get("/v1/kinds?property=tower", intake.driver.headers("engineer"))
    ).status_code == 200
    for query, status in (
        ("nowhere", 404),
        ("annex", 403),
        ("tower&cursor=nothing", 422),
        ("tower&limit=0", 422),
    ):
        assert (await intake.get(f"/v1/kinds?property={query}")).status_code == status
    assert (await intake.get("/v1/kinds")).status_code == 422
