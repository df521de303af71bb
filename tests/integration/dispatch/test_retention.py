"""What was needed only to publish a step and to repeat it goes after a week; the history stays."""

from datetime import timedelta

from sqlalchemy import select

from services.dispatch.models import steps
from services.dispatch.operations.retention import BODY_KEEP
from tests.integration.dispatch.conftest import DispatchDriver


async def test_after_a_week_a_key_is_forgotten_and_the_history_is_not(dispatch: DispatchDriver) -> None:
    case_id = await dispatch.deliver_demand()
    keyed = dispatch.headers_for("admin") | {"Idempotency-Key": "k"}
    first = await dispatch.take_action(case_id, "note", keyed, data={"text": "x"})
    await dispatch.service.relay.drain()
    dispatch.clock.advance(BODY_KEEP - timedelta(minutes=1))
    await dispatch.service.housekeeping.delete_expired()
    assert await dispatch.take_action(case_id, "note", keyed, data={"text": "x"}) == first
    dispatch.clock.advance(timedelta(minutes=2))
    await dispatch.service.housekeeping.delete_expired()
    async with dispatch.service.database.snapshot() as connection:
        columns = (steps.c.body, steps.c.caller, steps.c.key, steps.c.digest)
        assert set((await connection.execute(select(*columns))).all()) == {(None, None, None, None)}
    again = await dispatch.take_action(case_id, "note", keyed, data={"text": "x"})
    assert [entry["action"] for entry in again["history"]].count("note") == 2
    assert again["history"][: len(first["history"])] == first["history"]


async def test_what_is_not_published_yet_keeps_what_it_is_published_from(dispatch: DispatchDriver) -> None:
    await dispatch.deliver_demand()
    dispatch.clock.advance(BODY_KEEP + timedelta(days=1))
    await dispatch.service.housekeeping.delete_expired()
    assert len(await dispatch.published_events("guanjia.case.opened.v1")) == 1
