"""A case keeps the version of its workflow; a version never changes."""

from pathlib import Path

import pytest

from services.dispatch.domain.workflow.lint import WorkflowRefused
from services.dispatch.domain.workflow.loader import FOLDER
from services.dispatch.operations.workflow_versions import load_catalog
from tests.integration.dispatch.conftest import DispatchDesk


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
    desk: DispatchDesk, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "workflows", 'en = "On the way"', 'en = "Travelling"', 1)
    async with desk.service.database.transaction() as connection:
        with pytest.raises(WorkflowRefused, match="version 1 is in use with other content"):
            await load_catalog(connection, {}, desk.clock.now(), folder)


async def test_blanks_and_comments_are_no_change(desk: DispatchDesk, tmp_path: Path) -> None:
    folder = changed(tmp_path / "workflows", "[states]", "# what a repair goes through\n\n[states]", 1)
    async with desk.service.database.transaction() as connection:
        await load_catalog(connection, {}, desk.clock.now(), folder)


async def test_a_case_goes_on_by_its_version_while_new_ones_take_the_next(
    desk: DispatchDesk, tmp_path: Path
) -> None:
    old = await desk.demand()
    folder = changed(tmp_path / "workflows", 'from = ["accepted", "travelling"]', 'from = ["travelling"]', 2)
    async with desk.service.database.transaction() as connection:
        desk.service.rules = await load_catalog(connection, desk.service.properties, desk.clock.now(), folder)
    new = await desk.demand()
    assert [(await desk.case(c))["workflow"]["version"] for c in (old, new)] == [1, 2]
    for case_id in (old, new):
        await desk.act(case_id, "accept")
    assert (await desk.act(old, "arrive"))["state"] == "on_site"
    assert (await desk.post(new, "arrive")).status_code == 409
