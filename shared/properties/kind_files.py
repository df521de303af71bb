"""Reads the kinds of demands from workflow files: the `[kinds.*]` tables of each, and its name and version.

It stands beside the property files because an installation lays its own workflow files into the properties
folder, and because every service reads kinds, while only dispatch reads the rest of a workflow file.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Annotated, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct

from shared.messages.events import WorkflowRef
from shared.messages.facts import Kind
from shared.messages.kinds import DetailField, KindCatalog, KindEntry, Word

Tables = dict[str, object]
Shape = TypeVar("Shape", bound=Struct)


class WorkflowRefused(Exception):
    """A workflow file that can't be used: `file`, `field` and `reason` say where and why."""

    def __init__(self, file: str, field: str, reason: str) -> None:
        super().__init__(f"{file}: {field}: {reason}" if field else f"{file}: {reason}")
        self.file, self.field, self.reason = file, field, reason


class KindTables(Struct, frozen=True, kw_only=True):
    """What is read of a workflow file here."""

    name: Word
    version: Annotated[int, Meta(ge=1)]
    kinds: Annotated[dict[Kind, KindEntry], Meta(min_length=1)]


class ServesKinds(Protocol):
    """A workflow, read as far as anybody reads it."""

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> Mapping[str, KindEntry]: ...


def list_workflow_files(folders: Sequence[Path]) -> list[Path]:
    """The workflow files of `folders`, in their order; a folder that is not there holds none."""
    return [file for folder in folders for file in sorted(folder.glob("*.toml"))]


def load_kinds(folders: Sequence[Path]) -> KindCatalog:
    """Every kind of the workflow files in `folders`. Raises WorkflowRefused."""
    files = [(str(file), read_kinds(read_tables(file), str(file))) for file in list_workflow_files(folders)]
    for file, field, reason in find_served_twice(files):
        raise WorkflowRefused(file, field, reason)
    entries = {kind: entry for _, tables in files for kind, entry in tables.kinds.items()}
    workflows = {
        kind: WorkflowRef(name=tables.name, version=tables.version)
        for _, tables in files
        for kind in tables.kinds
    }
    return KindCatalog(entries, workflows)


def read_tables(file: Path) -> Tables:
    """The file's tables. Raises WorkflowRefused where it is not TOML in UTF-8."""
    try:
        return parse_tables(file.read_text(encoding="utf-8-sig"), str(file))
    except UnicodeDecodeError as error:
        raise WorkflowRefused(str(file), "", "is not text in UTF-8") from error


def parse_tables(text: str, file: str) -> Tables:
    """The tables written in `text`; `file` is named in errors. Raises WorkflowRefused."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WorkflowRefused(file, "", f"is not readable as TOML: {error}") from error


def convert_tables(tables: object, shape: type[Shape], file: str) -> Shape:
    """The tables as `shape`. Raises WorkflowRefused naming the field."""
    try:
        return msgspec.convert(tables, shape)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        path = path.removeprefix("`key` in ").strip("`").removeprefix("$").removeprefix(".")
        raise WorkflowRefused(file, path, message) from error


def read_kinds(tables: Tables, file: str) -> KindTables:
    """The kinds that a file declares. Raises WorkflowRefused for the first thing that is wrong."""
    # One by one first, so that a mistake is named with its kind.
    kinds = tables.get("kinds")
    for name, table in kinds.items() if isinstance(kinds, dict) else ():
        try:
            convert_tables(table, KindEntry, file)
        except WorkflowRefused as refused:
            raise WorkflowRefused(file, f"kinds.{name}.{refused.field}".rstrip("."), refused.reason) from None
    declared = convert_tables(tables, KindTables, file)
    for field, reason in find_kind_mistakes(tables, declared):
        raise WorkflowRefused(file, field, reason)
    return declared


def find_kind_mistakes(tables: Tables, declared: KindTables) -> Iterator[tuple[str, str]]:
    """What is wrong with the kinds of one file, each with its place."""
    yield from find_blank_texts("", tables)
    for kind, entry in declared.kinds.items():
        if entry.form is not None:
            for language in ("zh", "en"):
                if not _is_form_text(entry.form.localize(language)):
                    yield f"kinds.{kind}.form.{language}", "may hold {day}, and no other place"
        for name, field in entry.fields.items():
            yield from find_choice_mistakes(f"kinds.{kind}.fields.{name}", field)


def find_choice_mistakes(path: str, field: DetailField) -> Iterator[tuple[str, str]]:
    """An enum has choices, nothing else has."""
    if (field.type == "enum") != bool(field.choices):
        yield f"{path}.choices", "an enum has choices, nothing else has"


def find_blank_texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Texts of a language that hold no word; one that is missing is found by the shape of its table."""
    for name, member in value.items() if isinstance(value, dict) else ():
        here = f"{path}.{name}".lstrip(".")
        if name in ("zh", "en") and isinstance(member, str) and not member.strip():
            yield here, "needs a text"
        yield from find_blank_texts(here, member)


def find_served_twice(files: Iterable[tuple[str, ServesKinds]]) -> Iterator[tuple[str, str, str]]:
    """Names that two files bear and kinds that two files serve: the second file, the place, and why."""
    names: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for file, workflow in files:
        if (first := names.setdefault(workflow.name, file)) != file:
            yield file, "name", f"{workflow.name} is the name of {first} already"
        for kind in workflow.kinds:
            if (first := kinds.setdefault(kind, file)) != file:
                yield file, f"kinds.{kind}", f"is served by {first} already"


def _is_form_text(text: str) -> bool:
    try:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None} <= {"day"}
    except ValueError:
        return False
