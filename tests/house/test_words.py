"""The house's law of names: no function or class of the product is named by a word that tells nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import PROJECT

WORN = {
    *("told", "tell", "asked", "ask", "found", "known", "wanted", "held", "given", "some", "whole", "said"),
    *("heard", "shown", "place", "thing", "things", "papers", "kin", "mood", "desk", "dice", "crew", "front"),
    *("door", "doors", "offer", "offers", "offered", "letters", "lay", "bury", "buried"),
}
"""Words of house.md's list: each stood for a dozen meanings."""
FILES = sorted(
    file
    for package in ("shared", "services", "guanjia", "bench")
    for file in (PROJECT / package).rglob("*.py")
    if "versions" not in file.parts
)


def names_in(file: Path) -> Iterator[tuple[int, str]]:
    """(line, name) of every function and class, methods too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_no_function_or_class_is_named_by_a_worn_out_word(file: Path) -> None:
    worn = [f"{line}: {name}" for line, name in names_in(file) if name.strip("_").lower() in WORN]
    assert not worn
