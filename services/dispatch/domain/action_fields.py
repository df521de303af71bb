"""The data of an action, checked against what it asks for: nothing unknown, missing, or of a wrong type."""

import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from services.dispatch.domain.case import CaseTerms
from services.dispatch.domain.workflow.definition import Action, Field, Step
from shared.errors import FieldError, InvalidInput

LONGEST_TEXT = 4000
_LARGEST = 2**53
REMARK = Field(name="remark", zh="备注", en="Remark", type="text")
"""Every action takes a remark."""


def check_fields(action: Action, data: dict[str, object], terms: CaseTerms) -> dict[str, object]:
    """`data` as the action takes it. Raises InvalidInput naming every field that is not."""
    fields = {field.name: field for field in (*action.fields, REMARK)}
    errors = [_unknown(name) for name in data if name not in fields]
    checked: dict[str, object] = {}
    for name, field in fields.items():
        if data.get(name) is None:
            errors += [_missing(name)] if field.required else []
            continue
        value = _value(field, data[name], terms)
        if isinstance(value, FieldError):
            errors.append(value)
        else:
            checked[name] = value
    if errors:
        raise InvalidInput(errors=errors)
    return checked


def check_required(step: Step, data: dict[str, object]) -> None:
    """Raises InvalidInput where this way of the action asks for more than was given."""
    errors = [_missing(name) for name in step.requires if data.get(name) in (None, "")]
    if errors:
        raise InvalidInput(errors=errors)


def _unknown(name: str) -> FieldError:
    path = f"data.{name}" if name.isidentifier() and len(name) <= 40 else "data"
    return FieldError(path, "This action does not ask for such a field", "该操作没有此字段")


def _missing(name: str) -> FieldError:
    return FieldError(f"data.{name}", "This field is needed", "此字段必填")


def _value(field: Field, value: object, terms: CaseTerms) -> object:
    for reading in _READINGS[field.type](field, value, terms):
        return reading
    return FieldError(f"data.{field.name}", f"Expected {field.type_name}", f"应为 {field.type_name}")


def _text(field: Field, value: object, _: CaseTerms) -> Iterator[object]:
    if isinstance(value, str) and len(value) <= LONGEST_TEXT and "\x00" not in value:
        text = unicodedata.normalize("NFC", value).strip()
        if text or not field.required:
            yield text


def _plain(kind: type) -> Callable[[Field, object, CaseTerms], Iterator[object]]:
    def read(_field: Field, value: object, _terms: CaseTerms) -> Iterator[object]:
        if type(value) is kind and not (isinstance(value, int) and abs(value) > _LARGEST):
            yield value

    return read


def _person(_: Field, value: object, terms: CaseTerms) -> Iterator[object]:
    if isinstance(value, str) and (value in terms.people or (not terms.people and 0 < len(value) <= 64)):
        yield value


def _enum(field: Field, value: object, _: CaseTerms) -> Iterator[object]:
    if isinstance(value, str) and value in field.choices:
        yield value


def _timestamp(_: Field, value: object, __: CaseTerms) -> Iterator[object]:
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return
    if moment.tzinfo is not None:
        yield value


def _case(_: Field, value: object, __: CaseTerms) -> Iterator[object]:
    if isinstance(value, str) and len(value) == 36:
        yield value.lower()


_READINGS: dict[str, Callable[[Field, object, CaseTerms], Iterator[object]]] = {
    "text": _text,
    "bool": _plain(bool),
    "int": _plain(int),
    "person": _person,
    "enum": _enum,
    "timestamp": _timestamp,
    "case": _case,
}
