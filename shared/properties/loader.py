"""Properties as configuration: a folder per property with `property.toml`; name and time zone are needed.
A file with a mistake is refused, with the file and the field; nothing is guessed.
What may stand in one: docs/properties.md, made from the structs.
"""

import re
import tomllib
from pathlib import Path
from typing import cast

import msgspec

from shared.properties.property import Property, find_mistakes
from shared.properties.service_levels import (
    LevelChange,
    PriorityOrAny,
)
from shared.properties.values import decode_value

FOLDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class PropertyInvalid(Exception):
    """A property file that can't be used: which file, which field, what is wrong with it."""

    def __init__(self, file: Path, path: str, message: str) -> None:
        super().__init__(f"{file}: {path}: {message}" if path else f"{file}: {message}")
        self.file, self.path, self.message = file, path, message


def load_properties(folder: Path) -> dict[str, Property]:
    """Every property under `folder`, by id; a folder without a `property.toml` is none.

    Raises PropertyInvalid.
    """
    files = sorted(folder.glob("*/property.toml")) if folder.is_dir() else []
    return {file.parent.name: read_property(file) for file in files}


def read_property(file: Path) -> Property:
    """The property of one file; its id is the name of the file's folder. Raises PropertyInvalid."""
    if not FOLDER_NAME.fullmatch(file.parent.name):
        raise PropertyInvalid(file, "", "the folder's name may hold a-z, 0-9, - and _ only, up to 64 of them")
    prop = convert_property(file, read_toml(file))
    for path, message in find_mistakes(prop):
        raise PropertyInvalid(file, path, message)
    return prop


def read_toml(file: Path) -> dict[str, object]:
    """The file's tables. Raises PropertyInvalid where it is not TOML in UTF-8."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PropertyInvalid(file, "", f"is not readable as TOML: {error}") from error


def convert_property(file: Path, tables: dict[str, object]) -> Property:
    """The tables as a Property; unknown keys are refused, `id` too, unless it is the folder's name."""
    if tables.setdefault("id", file.parent.name) != file.parent.name:
        raise PropertyInvalid(file, "id", "is told by the folder's name")
    check_levels(file, tables.get("service_levels"))
    return cast(Property, convert(file, "", tables, Property))


def check_levels(file: Path, kinds: object) -> None:
    """Look at each service level by itself, so that a mistake is named with its kind and priority."""
    for kind, priorities in kinds.items() if isinstance(kinds, dict) else ():
        for priority, change in priorities.items() if isinstance(priorities, dict) else ():
            path = f"service_levels.{kind}.{priority}"
            convert(file, path, priority, PriorityOrAny)
            convert(file, path, change, LevelChange)


def convert(file: Path, at: str, value: object, kind: object) -> object:
    """`value` as `kind`. Raises PropertyInvalid with the path below `at`."""
    try:
        return msgspec.convert(value, kind, dec_hook=decode_value)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        path = path.removeprefix("`key` in ").strip("`").removeprefix("$")
        raise PropertyInvalid(file, (at + path).removeprefix("."), message) from error
