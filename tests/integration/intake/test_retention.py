"""What intake keeps how long: what people wrote, the names of events, cases' states, revoked keys."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from services.intake.models import api_keys, case_states, events
from services.intake.operations.retention import DATA_KEEP, NAME_KEEP, REVOKED_KEEP
from shared.messages.cloudevents import Event
from shared.messaging.housekeeping import BITE
from tests.contract.samples import case
from tests.integration.intake.conftest import IntakeDriver, make_event, make_fee

MOMENT = timedelta(seconds=1)


async def open_case(intake: IntakeDriver, demand: str, **fields: Any) -> None:
    """Its case is there."""
    state = msgspec.structs.replace(case(demand), **fields)
    await intake.driver.deliver("intake.cases", Event.of(state, source="dispatch", time=intake.clock.now()))


async def age(intake: IntakeDriver, by: timedelta) -> None:
    """Time goes by and what is expired is deleted."""
    intake.clock.advance(by)
    await intake.service.housekeeping.delete_expired()


async def accept(intake: IntakeDriver, *members: Mapping[str, Any]) -> list[str]:
    """Post and publish; the demands."""
    results = await intake.post_batch(*members)
    await intake.service.relay.drain()
    return [result["demand"] for result in results if "demand" in result]


async def test_what_people_wrote_goes_first_and_the_demand_still_answers(intake: IntakeDriver) -> None:
    (demand,) = await accept(intake, make_event(), make_fee())
    await open_case(intake, demand, state="closed", open=False)
    whole = (await intake.get(f"/v1/demands/{demand}")).json()
    await age(intake, DATA_KEEP)
    assert (await intake.get(f"/v1/demands/{demand}")).json() == whole
    await age(intake, MOMENT)
    assert {row["data"] for row in await intake.driver.rows(events)} == {None}
    assert (await intake.get(f"/v1/demands/{demand}")).json() == whole | {
        "kind": None, "reference": None, "summary": None,
    }  # fmt: skip
    for event, status in ((make_event(), 202), (make_fee(amount="1"), 409), (make_fee(), 202)):
        assert (await intake.post_event(event)).status_code == status
    assert (await intake.post_event(make_event())).json()["demand"] == demand
    assert await intake.count_accepted() == (2, 1)


async def test_names_and_states_of_closed_cases_go_after_more_than_a_year(intake: IntakeDriver) -> None:
    closed, still_open = await accept(intake, make_event("e-1"), make_event("e-2"), make_fee())
    await open_case(intake, closed, state="closed", open=False)
    await open_case(intake, still_open)
    await age(intake, NAME_KEEP)
    assert await intake.count_accepted() == (3, 2)
    await age(intake, timedelta(days=3))  # identifiers are made by the real clock
    assert await intake.count_accepted() == (0, 0)
    assert [row["case"] for row in await intake.driver.rows(case_states)] == [still_open]
    assert (await intake.get(f"/v1/demands/{closed}")).status_code == 404
    assert (await intake.post_event(make_event("e-1"))).json()["status"] == "accepted"


async def test_what_may_have_to_be_published_yet_is_never_erased(intake: IntakeDriver) -> None:
    (unopened,) = await accept(intake, make_event("e-1"))
    await intake.post_batch(make_fee("unsent"))
    await age(intake, NAME_KEEP + timedelta(days=30))
    kept = {row["id"]: row["data"] is not None for row in await intake.driver.rows(events)}
    assert kept == {"e-1": True, "unsent": True}
    assert (await intake.get(f"/v1/demands/{unopened}")).json()["summary"] == "厨房水管漏水"
    await intake.service.relay.drain()
    await open_case(intake, unopened)
    await age(intake, MOMENT)
    assert await intake.count_accepted() == (0, 0)


async def test_more_than_a_bite_goes_in_bites(intake: IntakeDriver) -> None:
    for start in range(0, BITE + 500, 500):
        await accept(intake, *(make_fee(f"f-{number}") for number in range(start, start + 500)))
    erase, delete = intake.service.housekeeping.bites[-4:-2]
    intake.clock.advance(NAME_KEEP + MOMENT)
    assert [await erase() for _ in range(3)] == [BITE, 500, 0]
    assert [await delete() for _ in range(3)] == [BITE, 500, 0]


async def test_a_revoked_key_is_forgotten_but_stays_revoked(intake: IntakeDriver) -> None:
    intake.headers = admin = intake.driver.headers("admin")
    issued = [
        (await intake.post("/v1/keys", {"name": name, "roles": ["source"]})).json() for name in ("old", "new")
    ]
    await intake.http.delete(f"/v1/keys/{issued[0]['id']}", headers=admin)
    await age(intake, REVOKED_KEEP + MOMENT)
    assert [row["name"] for row in await intake.driver.rows(api_keys)] == ["new"]
    revoked = {"Authorization": f"Bearer {issued[0]['key']}"}
    assert (await intake.get("/v1/kinds", revoked)).status_code == 401
    await intake.service.revoked_keys.load()
    assert (await intake.get("/v1/kinds", revoked)).status_code == 401
