"""A case keeps the version of its workflow; a version never changes."""

from pathlib import Path

import pytest

from services.dispatch.domain.workflow.lint import WorkflowRefused
from services.dispatch.domain.workflow.loader import FOLDER
from services.dispatch.operations.workflow_versions import load_catalog
from tests.integration.dispatch.conftest import DispatchDriver


def changed(folder: Path, old: str, new: str, version: int) -> Path:
    """The workflows with a change in the repair."""
    folder.mkdir()
    for file in FOLDER.glob("*.toml"):
        text = file.read_text(encoding="utf-8")
        if file.name == "repair.toml":
            assert old in text
            text = text.replace(old, new).replace("version = 1", f"version = {version}")
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder


async def test_the_same_version_with_other_content_stops_the_start(
    dispatch: DispatchDriver, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "workflows", 'en = "On the way"', 'en = "Travelling"', 1)
    async with dispatch.service.database.transaction() as connection:
        with pytest.raises(WorkflowRefused, match="version 1 is in use with other content"):
            await load_catalog(connection, {}, dispatch.clock.now(), folder)


async def test_blanks_and_comments_are_no_change(dispatch: DispatchDriver, tmp_path: Path) -> None:
    folder = changed(tmp_path / "workflows", "[states]", "# what a repair goes through\n\n[states]", 1)
    async with dispatch.service.database.transaction() as connection:
        await load_catalog(connection, {}, dispatch.clock.now(), folder)


async def test_a_case_goes_on_by_its_version_while_new_ones_take_the_next(
    dispatch: DispatchDriver, tmp_path: Path
) -> None:
    old = await dispatch.deliver_demand()
    folder = changed(tmp_path / "workflows", 'from = ["accepted", "travelling"]', 'from = ["travelling"]', 2)
    async with dispatch.service.database.transaction() as connection:
        dispatch.service.catalog = await load_catalog(
            connection, dispatch.service.properties, dispatch.clock.now(), folder
        )
    new = await dispatch.deliver_demand()
    assert [(await dispatch.get_case(c))["workflow"]["version"] for c in (old, new)] == [1, 2]
    for case_id in (old, new):
        await dispatch.take_action(case_id, "accept")
    assert (await dispatch.take_action(old, "arrive"))["state"] == "on_site"
    assert (await dispatch.post_action(new, "arrive")).status_code == 409
