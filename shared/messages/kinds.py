"""Kinds of demands: their names and texts in both languages, and the fields that each asks for in `details`.

A kind is the table `[kinds.<name>]` of a workflow file; what is read here is the part that every service
needs. dispatch alone reads the rest of the file, the states and steps.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import FieldError, InvalidInput
from shared.messages.events import WorkflowRef
from shared.messages.facts import Amount, Instant, Kind, Perspective, Text

Language = Literal["zh", "en"]
Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}(?!\n)$")]
"""A name as programs write it."""
DetailType = Literal["text", "bool", "int", "amount", "date", "timestamp", "enum"]
DETAIL_FORMS: Mapping[DetailType, Any] = {
    "text": Annotated[Text, Meta(pattern=r"\S")],
    "bool": bool,
    "int": Annotated[int, Meta(ge=-(2**53), le=2**53)],
    "amount": Amount,
    "date": date,
    "timestamp": Instant,
    "enum": str,
}
"""What a value of each type looks like."""


class LocalizedName(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people call something, in both languages."""

    zh: str
    en: str

    def localize(self, language: str) -> str:
        """The name in `language` (`zh` or `en`)."""
        return self.zh if language == "zh" else self.en


class DetailField(LocalizedName, frozen=True, kw_only=True):
    """One field of `details`. `choices` are those of an enum, each with its name."""

    type: DetailType
    required: bool = False
    choices: Mapping[Word, LocalizedName] = {}


class KindEntry(LocalizedName, frozen=True, kw_only=True):
    """A kind as its file declares it. `perspective` is from where it is looked at when nobody says;
    `form`: what the resident's follow-up form says about it, with `{day}` in it; a kind without `fields`
    takes any details.
    """

    perspective: Perspective = "service"
    fields: Mapping[Word, DetailField] = {}
    form: LocalizedName | None = None


class KindCatalog(Struct, frozen=True):
    """Every kind that there is, and the workflow that serves it."""

    entries: Mapping[Kind, KindEntry]
    workflows: Mapping[Kind, WorkflowRef]

    def localize(self, kind: str, language: str) -> str:
        """The name of `kind`; of one that is no longer there, the word itself."""
        entry = self.entries.get(kind)
        return kind if entry is None else entry.localize(language)

    def require(self, kind: str, path: str) -> KindEntry:
        """The entry of `kind`. Raises InvalidInput naming `path` where there is no such kind."""
        entry = self.entries.get(kind)
        if entry is None:
            raise InvalidInput.of(path, "There is no such kind of demand", "没有这种需求类型")
        return entry

    def check_demand(self, kind: str, details: Mapping[str, Any] | None) -> None:
        """Raises InvalidInput for an unknown kind, and for details that are not what the kind asks for."""
        entry = self.require(kind, "data.kind")
        if entry.fields and (errors := list(find_detail_errors(entry, details or {}))):
            raise InvalidInput(errors=errors)


def find_detail_errors(entry: KindEntry, details: Mapping[str, Any]) -> Iterator[FieldError]:
    """Every field of `details` that is unknown, missing or of a wrong type, as `data.details.x`."""
    for name in details:
        if name not in entry.fields:
            path = f"data.details.{name}" if name.isidentifier() and len(name) <= 64 else "data.details"
            yield FieldError(path, "This kind does not ask for such a field", "该类需求没有此字段")
    for name, field in entry.fields.items():
        value = details.get(name)
        if value is None and field.required:
            yield FieldError(f"data.details.{name}", "This field is needed", "此字段必填")
        elif value is not None and not is_of_type(field, value):
            form = describe_type(field)
            yield FieldError(f"data.details.{name}", f"Expected {form}", f"应为 {form}")


def is_of_type(field: DetailField, value: object) -> bool:
    """Whether `value`, as JSON has it, is what `field` asks for."""
    try:
        msgspec.convert(value, DETAIL_FORMS[field.type])
    except msgspec.ValidationError:
        return False
    return field.type != "enum" or value in field.choices


def describe_type(field: DetailField) -> str:
    """The type for people who write programs; of an enum with its choices."""
    return f"enum[{','.join(field.choices)}]" if field.type == "enum" else field.type
