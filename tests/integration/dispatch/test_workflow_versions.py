"""A case keeps the version of its workflow; a version never changes."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select, update

from services.dispatch.models import cases, workflow_versions
from services.dispatch.operations.workflow_versions import load_catalog
from shared.properties.kind_files import WorkflowRefused
from shared.settings import PACKAGED_WORKFLOWS
from tests.integration.dispatch.conftest import DispatchDriver

EARLIER = Path(__file__).parents[2] / "support" / "earlier_workflows"


def changed(folder: Path, old: str, new: str, version: int) -> Path:
    """The workflows with a change in the repair."""
    folder.mkdir()
    for file in PACKAGED_WORKFLOWS.glob("*.toml"):
        text = file.read_text(encoding="utf-8")
        if file.name == "repair.toml":
            assert old in text
            text = text.replace(old, new).replace("version = 2", f"version = {version}")
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder


async def test_the_same_version_with_other_content_stops_the_start(
    dispatch: DispatchDriver, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "workflows", 'en = "On the way"', 'en = "Travelling"', 2)
    async with dispatch.service.database.transaction() as connection:
        with pytest.raises(WorkflowRefused, match="version 2 is in use with other content"):
            await load_catalog(connection, {}, dispatch.clock.now(), [folder])


async def test_blanks_and_comments_are_no_change(dispatch: DispatchDriver, tmp_path: Path) -> None:
    folder = changed(tmp_path / "workflows", "[states]", "# what a repair goes through\n\n[states]", 2)
    async with dispatch.service.database.transaction() as connection:
        await load_catalog(connection, {}, dispatch.clock.now(), [folder])


async def test_a_case_goes_on_by_its_version_while_new_ones_take_the_next(
    dispatch: DispatchDriver, tmp_path: Path
) -> None:
    old = await dispatch.deliver_demand()
    folder = changed(tmp_path / "workflows", 'from = ["accepted", "travelling"]', 'from = ["travelling"]', 3)
    async with dispatch.service.database.transaction() as connection:
        dispatch.service.catalog = await load_catalog(
            connection, dispatch.service.properties, dispatch.clock.now(), [folder]
        )
    new = await dispatch.deliver_demand()
    assert [(await dispatch.get_case(c))["workflow"]["version"] for c in (old, new)] == [2, 3]
    for case_id in (old, new):
        await dispatch.take_action(case_id, "accept")
    assert (await dispatch.take_action(old, "arrive"))["state"] == "on_site"
    assert (await dispatch.post_action(new, "arrive")).status_code == 409


async def test_a_case_that_an_earlier_version_stored_goes_on_with_what_it_remembered(
    dispatch: DispatchDriver,
) -> None:
    case_id = await dispatch.deliver_demand("visitor")
    await dispatch.take_action(case_id, "consent", data={"owner": "the owner of 1203"})
    await store_as_earlier(dispatch, case_id)
    await dispatch.service.prepare()
    assert (await dispatch.get_case(case_id))["workflow"] == {"name": "visitor", "version": 1}
    assert (await dispatch.take_action(case_id, "admit"))["state"] == "admitted"
    assert (await dispatch.take_action(case_id, "leave"))["state"] == "following_up"


async def test_an_earlier_case_without_its_owners_consent_is_still_not_admitted(
    dispatch: DispatchDriver,
) -> None:
    case_id = await dispatch.deliver_demand("visitor")
    await dispatch.take_action(case_id, "consent", data={"owner": "the owner of 1203"})
    await store_as_earlier(dispatch, case_id)
    await dispatch.service.prepare()
    await dispatch.take_action(case_id, "revoke")
    assert (await dispatch.post_action(case_id, "admit")).status_code == 409


async def store_as_earlier(dispatch: DispatchDriver, case_id: str) -> None:
    """Lay the case and its definition into the tables as version 1 of the visitor's file left them."""
    text = (EARLIER / "visitor-1.toml").read_text(encoding="utf-8")
    row = {"name": "visitor", "version": 1, "digest": "of then", "definition": text}
    async with dispatch.service.database.transaction() as connection:
        body = (await connection.execute(select(cases.c.body).where(cases.c.id == case_id))).scalar_one()
        tables = msgspec.json.decode(body) | {"workflow_version": 1}
        tables["consented_at"] = tables.pop("stamps")["consented"]
        earlier = update(cases).where(cases.c.id == case_id).values(body=msgspec.json.encode(tables))
        await connection.execute(earlier)
        await connection.execute(insert(workflow_versions).values(row | {"stored_at": dispatch.clock.now()}))


async def test_a_demand_of_an_unknown_kind_is_set_aside_alone(dispatch: DispatchDriver) -> None:
    events = [dispatch.accepted_event(kind) for kind in ("repair", "ironing", "help")]
    await dispatch.deliver(*events)
    assert await dispatch.count_dead_letters() == {"dispatch.demands": 1}
    assert {case["kind"] for case in await dispatch.list_cases()} == {"repair", "help"}
