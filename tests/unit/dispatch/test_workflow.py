"""Workflow files: read whole or refused with the file and the field; walked by one machine, quickly."""

import time
from pathlib import Path

import pytest

from services.dispatch.domain.workflow.loader import load_workflows, read_workflow
from services.dispatch.domain.workflow.mermaid import render_workflows
from shared.properties.kind_files import WorkflowRefused, load_kinds
from shared.settings import PACKAGED_WORKFLOWS

REPAIR = (PACKAGED_WORKFLOWS / "repair.toml").read_text(encoding="utf-8")
VISITOR = (PACKAGED_WORKFLOWS / "visitor.toml").read_text(encoding="utf-8")
COMPLAINT = (PACKAGED_WORKFLOWS / "complaint.toml").read_text(encoding="utf-8")
DETAILS = 'perspective = "management"\nfields.floor = { zh = "楼层", en = "Floor", type = "int" }\n'


def test_every_kind_of_the_service_centre_comes_with_the_software() -> None:
    kinds = {kind for workflow in load_workflows().values() for kind in workflow.kinds}
    assert kinds == {
        "repair", "complaint", "help", "fee", "move_in", "decoration", "key_custody", "visitor", "errand",
        "club", "community", "business", "suggestion", "praise", "care",
    }  # fmt: skip
    assert kinds == load_kinds([PACKAGED_WORKFLOWS]).entries.keys()


def test_an_effect_that_needs_a_field_is_refused_where_its_action_does_not_ask_for_it() -> None:
    text = REPAIR.replace('effects = ["exclude", "unassign"]', 'effects = ["judge"]')
    with pytest.raises(
        WorkflowRefused, match=r"steps\[2\] \(decline\)\.effects: judge works with the field valid"
    ):
        read_workflow(text, "repair.toml")


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
        ('zh = "接单"', 'zh = ""', "actions.accept.zh", "needs a text"),
        ('roles = ["dispatcher", "quality"]', 'roles = ["king"]', "actions.inspect.roles", "no role king"),
        ("version = 2", "version = 0", "version", ">= 1"),
        ('prefix = "BX"', 'prefix = "repair"', "prefix", "two letters"),
        ("[kinds.repair]", '[kinds."Re pair"]', "kinds", "regex"),
        ('[kinds.repair]\nzh = "报修"\n', "[kinds.repair]\n", "kinds.repair", "`zh`"),
        ('[kinds.repair]\nzh = "报修"\n', '[kinds.repair]\nzh = " "\n', "kinds.repair.zh", "needs a text"),
        ('perspective = "management"', 'perspective = "sideways"', "kinds.repair.perspective", "sideways"),
        (
            'perspective = "management"',
            'form = { zh = "{day}", en = "{night}" }',
            "kinds.repair.form.en",
            "{day}",
        ),
        (
            'perspective = "management"\n',
            DETAILS.replace(', en = "Floor"', ""),
            "kinds.repair.fields",
            "`en`",
        ),
        (
            'perspective = "management"\n',
            DETAILS.replace("int", "enum"),
            "kinds.repair.fields.floor.choices",
            "enum",
        ),
        ('perspective = "management"\n', DETAILS.replace("int", "float"), "kinds.repair.fields", "float"),
        ("[actions.accept]\nzh", "[actions.note]\nzh", "actions.note", "already"),
        (
            'from = ["on_site"]\nto = "waiting"',
            'from = []\nto = "waiting"',
            "steps[6] (wait).from",
            "no state",
        ),
        (
            'fields.reason = { zh = "原因", en = "Reason", type = "text" }\n\n[actions.close]',
            "[actions.close]",
            "actions.cancel.fields",
            "reason",
        ),
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


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ('stamp = ["consented"]', 'stamp = ["blessed"]', "steps[0] (consent).stamp", "no stamp blessed"),
        (
            'requires_stamps = ["consented"]',
            'requires_stamps = ["blessed"]',
            "steps[3] (admit)",
            "no stamp blessed",
        ),
        ('stamp = ["consented"]', "", "stamps.consented", "no step gives it"),
        ('zh = "业主已同意"\nen = "The owner consented"', 'zh = "业主已同意"', "stamps", "`en`"),
        ('en = "The owner consented"', 'en = ""', "stamps.consented.en", "needs a text"),
    ],
)
def test_a_stamp_that_nobody_gives_or_names_is_refused(old: str, new: str, field: str, reason: str) -> None:
    assert old in VISITOR
    with pytest.raises(WorkflowRefused) as refused:
        read_workflow(VISITOR.replace(old, new, 1), "visitor.toml")
    assert refused.value.field.startswith(field)
    assert reason in refused.value.reason


def test_a_choice_without_a_name_in_both_languages_is_refused() -> None:
    with pytest.raises(WorkflowRefused, match="missing required field `en`"):
        read_workflow(
            COMPLAINT.replace('{ zh = "重复", en = "Duplicate" }', '{ zh = "重复" }'), "complaint.toml"
        )


def test_two_files_for_one_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(REPAIR, encoding="utf-8")
    (tmp_path / "b.toml").write_text(REPAIR.replace('name = "repair"', 'name = "mend"'), encoding="utf-8")
    for load in (load_workflows, load_kinds):
        with pytest.raises(WorkflowRefused, match=r"b\.toml: kinds\.repair: is served by .*a\.toml already"):
            load([tmp_path])


def test_a_kind_without_a_workflow_is_refused(tmp_path: Path) -> None:
    text = 'name = "tea"\nversion = 1\n[kinds.tea]\nzh = "茶"\nen = "Tea"\n'
    (tmp_path / "tea.toml").write_text(text, encoding="utf-8")
    with pytest.raises(WorkflowRefused, match=r"tea\.toml: Object missing required field"):
        load_workflows([tmp_path])


def test_pictures_of_the_workflows_are_current() -> None:
    page = Path(__file__).parents[3] / "docs" / "workflows.md"
    assert page.read_text(encoding="utf-8") == render_workflows()


def test_one_machine_walks_tens_of_thousands_of_steps_a_second() -> None:
    repair = load_workflows()["repair"]
    began = time.process_time()
    for _ in range(5_000):
        repair.find_step("dispatched", "accept", {})
    assert 5_000 / (time.process_time() - began) > 10_000


def test_a_step_leaves_no_trace_on_the_machine() -> None:
    repair = load_workflows()["repair"]
    repair.find_step("dispatched", "accept", {})
    assert repair.machine.models == []
