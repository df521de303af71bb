"""The fields that a kind declares: each type takes what it says, and a mistake is named by its place."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.messages.kinds import DETAIL_FORMS, DetailField, DetailType, KindCatalog, is_of_type
from shared.pages.texts import TextMissing, load_texts, require_texts
from shared.properties.kind_files import WorkflowRefused, load_kinds
from shared.settings import PACKAGED_WORKFLOWS, Settings

TEA = """
name = "tea"
version = 3
[kinds.tea]
zh = "茶"
en = "Tea"
fields.cups = { zh = "杯数", en = "Cups", type = "int", required = true }
fields.iced = { zh = "加冰", en = "Iced", type = "bool" }
[kinds.coffee]
zh = "咖啡"
en = "Coffee"
perspective = "business"
"""
VALUES: dict[DetailType, tuple[list[Any], list[Any]]] = {
    "text": (["x", "长" * 4000], ["", "  ", "长" * 4001, 1, ["x"]]),
    "bool": ([True, False], [1, "true"]),
    "int": ([0, -7, 2**53], ["7", 1.5, True, 2**53 + 1]),
    "amount": (["12.50", "0"], [12.5, "-1", "1e3", "12345678901"]),
    "date": (["2026-11-23"], ["2026-11-31", "23.11.2026", 20261123]),
    "timestamp": (["2026-11-23T18:00:00+08:00"], ["2026-11-23T18:00:00", "tomorrow"]),
    "enum": (["silk"], ["wool", "", 1, ["silk"]]),
}


@pytest.fixture
def kinds(tmp_path: Path) -> KindCatalog:
    (tmp_path / "tea.toml").write_text(TEA, encoding="utf-8")
    return load_kinds([tmp_path, tmp_path / "not there"])


def refused(kinds: KindCatalog, kind: str, details: dict[str, Any] | None) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        kinds.check_demand(kind, details)
    assert all(error.message_zh for error in caught.value.errors)
    return {error.path: error.message for error in caught.value.errors}


@pytest.mark.parametrize("kind", DETAIL_FORMS)
def test_a_field_takes_values_of_its_type_and_no_others(kind: DetailType) -> None:
    choices = {"silk": {"zh": "真丝", "en": "Silk"}} if kind == "enum" else {}
    field = DetailField(zh="栏", en="Field", type=kind, choices=choices)  # type: ignore[arg-type]
    good, bad = VALUES[kind]
    assert [value for value in good if not is_of_type(field, value)] == []
    assert [value for value in bad if is_of_type(field, value)] == []


def test_details_that_a_kind_does_not_ask_for_are_named_and_never_echoed(kinds: KindCatalog) -> None:
    kinds.check_demand("tea", {"cups": 2, "iced": None})
    assert refused(kinds, "tea", None) == {"data.details.cups": "This field is needed"}
    assert refused(kinds, "tea", {"cups": 2, "iced": "yes"}) == {"data.details.iced": "Expected bool"}
    unknown = "This kind does not ask for such a field"
    details = {"cups": 2, "sugar": 1, "13800138000": 1}
    assert refused(kinds, "tea", details) == {"data.details.sugar": unknown, "data.details": unknown}


def test_a_kind_without_fields_takes_any_details(kinds: KindCatalog) -> None:
    kinds.check_demand("coffee", {"papers": [1, {"a": None}]})
    kinds.check_demand("coffee", None)


def test_an_unknown_kind_is_refused(kinds: KindCatalog) -> None:
    assert refused(kinds, "cocoa", None) == {"data.kind": "There is no such kind of demand"}


def test_a_kind_has_the_names_and_the_workflow_of_its_file(kinds: KindCatalog) -> None:
    assert [kinds.localize("tea", language) for language in ("zh", "en")] == ["茶", "Tea"]
    assert kinds.localize("cocoa", "en") == "cocoa"
    assert (kinds.workflows["coffee"].name, kinds.workflows["coffee"].version) == ("tea", 3)


def test_a_file_without_kinds_or_not_in_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tea.toml"
    file.write_text('name = "tea"\nversion = 1\n', encoding="utf-8")
    with pytest.raises(WorkflowRefused, match=r"tea\.toml: Object missing required field `kinds`"):
        load_kinds([tmp_path])
    file.write_bytes(b'name = "\xff"')
    with pytest.raises(WorkflowRefused, match=r"tea\.toml: is not text in UTF-8"):
        load_kinds([tmp_path])


def test_workflow_files_are_the_softwares_and_the_installations_own(tmp_path: Path) -> None:
    settings = Settings.model_validate({"properties_dir": tmp_path})
    assert settings.workflow_folders == (PACKAGED_WORKFLOWS, tmp_path / "workflows")


def test_a_text_that_a_page_could_ask_for_is_missed_at_start(tmp_path: Path) -> None:
    file = tmp_path / "texts.toml"
    file.write_text('[line_security]\nzh = "安保"\nen = "Security"\n', encoding="utf-8")
    texts = load_texts(file)
    require_texts(texts, "line", ["security"])
    with pytest.raises(TextMissing, match="line_cleaning"):
        require_texts(texts, "line", ["security", "cleaning"])
    file.write_text('[line_security]\nzh = "安保"\nen = " "\n', encoding="utf-8")
    with pytest.raises(TextMissing, match="line_security is missing in en"):
        load_texts(file)
