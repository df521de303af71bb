"""Workflow files: read whole or refused with the file and the field; walked by one machine, quickly."""

import time
from pathlib import Path

import pytest

from services.dispatch.domain.effects import ACTOR_GUARDS, APPLY_EFFECT, CASE_GUARDS
from services.dispatch.domain.workflow.lint import WorkflowRefused
from services.dispatch.domain.workflow.loader import FOLDER, load_workflows, read_workflow
from services.dispatch.domain.workflow.mermaid import render_workflows
from services.dispatch.domain.workflow.vocabulary import EFFECTS, GUARDS
from shared.messages.facts import DemandRaised

REPAIR = (FOLDER / "repair.toml").read_text(encoding="utf-8")


def test_every_kind_of_demand_has_exactly_one_workflow() -> None:
    kinds = [kind for workflow in load_workflows().values() for kind in workflow.kinds]
    assert sorted(kinds) == sorted(DemandRaised.__annotations__["kind"].__args__)


def test_words_of_definitions_are_those_that_the_rules_know() -> None:
    assert set(APPLY_EFFECT) == EFFECTS
    assert set(CASE_GUARDS) | set(ACTOR_GUARDS) == GUARDS


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ('to = "travelling"', 'to = "flying"', "steps[4] (depart).to", "no state flying"),
        ('to = "travelling"', 'to = "on_site"', "states.travelling", "can't be reached"),
        (
            'effects = ["work", "complete"]',
            'effects = ["dance"]',
            "steps[8] (complete).effects",
            "no effect dance",
        ),
        (
            'from = ["on_site"]\nto = "waiting"',
            'from = ["on_site"]\nto = "waiting"\nguards = ["luck"]',
            "",
            "luck",
        ),
        ('ends = ["accept"]', 'ends = ["embrace"]', "clocks.respond.ends", "no action embrace"),
        ('pauses = ["waiting"]', 'pauses = ["dozing"]', "clocks.complete.pauses", "no state dozing"),
        ('zh = "接单"', 'zh = ""', "actions.accept.zh", "name"),
        ('roles = ["dispatcher", "quality"]', 'roles = ["king"]', "actions.inspect.roles", "no role king"),
        ("version = 1", "version = 0", "version", "begins at 1"),
        ('within = "24h"', 'within = "soon"', "follow_up.within", "duration"),
        ('initial = "reported"', 'initial = "nowhere"', "initial", "no state nowhere"),
        ('initial = "reported"', "", "", "initial"),
        ("when = { passed = true }\n", "", "steps (inspect)", "which way"),
        ('on_site = { zh = "已到场", en = "On site"', 'on_site = { zh = "已到场"', "states", "`en`"),
        (
            'closed = { zh = "已关闭", en = "Closed", final = "done" }',
            'closed = { zh = "已关闭", en = "Closed" }',
            "states.",
            "no way to an end",
        ),
    ],
)
def test_a_mistake_is_refused_with_file_and_field(old: str, new: str, field: str, reason: str) -> None:
    assert old in REPAIR
    with pytest.raises(WorkflowRefused) as refused:
        read_workflow(REPAIR.replace(old, new), "repair.toml")
    assert refused.value.file == "repair.toml"
    assert refused.value.field.startswith(field)
    assert reason in refused.value.reason


def test_two_files_for_one_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(REPAIR, encoding="utf-8")
    (tmp_path / "b.toml").write_text(REPAIR.replace('name = "repair"', 'name = "mend"'), encoding="utf-8")
    with pytest.raises(WorkflowRefused, match=r"served by a\.toml already"):
        load_workflows(tmp_path)


def test_a_new_kind_is_a_new_file_and_no_code(tmp_path: Path) -> None:
    (tmp_path / "praise.toml").write_text(
        REPAIR.replace('name = "repair"', 'name = "praise"').replace(
            'kinds = ["repair"]', 'kinds = ["praise"]'
        ),
        encoding="utf-8",
    )
    assert load_workflows(tmp_path)["praise"].kinds == ("praise",)


def test_pictures_of_the_workflows_are_current() -> None:
    page = Path(__file__).parents[3] / "docs" / "workflows.md"
    assert page.read_text(encoding="utf-8") == render_workflows()


def test_one_machine_walks_tens_of_thousands_of_steps_a_second() -> None:
    repair = load_workflows()["repair"]
    began = time.process_time()
    for _ in range(5_000):
        repair.step("dispatched", "accept", {})
    assert 5_000 / (time.process_time() - began) > 10_000


def test_a_step_leaves_no_trace_on_the_machine() -> None:
    repair = load_workflows()["repair"]
    repair.step("dispatched", "accept", {})
    assert repair.machine.models == []
