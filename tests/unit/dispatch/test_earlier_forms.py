"""What an earlier version stored is read in today's form: definitions of version 1, and their cases."""

from pathlib import Path

import msgspec
import pytest

from services.dispatch.domain.case import Case
from services.dispatch.domain.earlier_forms import decode_case_body, upgrade_definition
from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.domain.workflow.loader import build_workflow
from shared.properties.kind_files import parse_tables
from tests.unit.dispatch.support import START, WORKFLOWS, opened_case

STORED = Path(__file__).parents[2] / "support" / "earlier_workflows"


def stored(name: str) -> Workflow:
    text = (STORED / f"{name}-1.toml").read_text(encoding="utf-8")
    return build_workflow(upgrade_definition(parse_tables(text, name)), text, name)


@pytest.mark.parametrize("name", ["complaint", "repair", "request", "visitor"])
def test_a_stored_definition_of_version_1_leads_cases_as_its_file_does_today(name: str) -> None:
    earlier, today = stored(name), WORKFLOWS[name]
    assert earlier.version == 1
    for part in (
        "states",
        "actions",
        "steps",
        "deadline_rules",
        "follow_up",
        "assignment",
        "lease",
        "stamps",
    ):
        assert getattr(earlier, part) == getattr(today, part)
    assert {kind: entry.perspective for kind, entry in earlier.kinds.items()} == {
        kind: entry.perspective for kind, entry in today.kinds.items()
    }


def test_a_definition_in_todays_form_is_left_as_it_is() -> None:
    tables = parse_tables(WORKFLOWS["visitor"].text, "visitor")
    assert upgrade_definition(tables) is tables


def test_what_an_earlier_case_remembered_are_stamps() -> None:
    case = opened_case("visitor")
    tables = msgspec.json.decode(msgspec.json.encode(case)) | {"consented_at": START, "explained_at": None}
    assert decode_case_body(msgspec.json.encode(tables)).stamps == {"consented": START}
    assert decode_case_body(msgspec.json.encode(case)) == case


def test_no_field_of_a_case_is_for_what_a_single_kind_remembers() -> None:
    given = {stamp for workflow in WORKFLOWS.values() for stamp in workflow.stamps}
    assert given == {"consented", "explained"}
    assert not {f"{stamp}_at" for stamp in given} & set(Case.__struct_fields__)
