"""Reads what earlier versions of this software stored, in today's form: definitions with a list of kinds and
effects for single kinds, cases with a field for each thing that they remembered.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from services.dispatch.domain.case import Case
from shared.properties.kind_files import Tables

_STAMPS: Mapping[str, Tables] = {
    "consented": {"zh": "业主已同意", "en": "The owner consented"},
    "explained": {"zh": "已说明", "en": "Explained"},
}
_EFFECTS: Mapping[str, tuple[Literal["stamp", "unstamp"], str]] = {
    "consent": ("stamp", "consented"),
    "revoke": ("unstamp", "consented"),
    "explain": ("stamp", "explained"),
}
_CHOICES: Mapping[str, Tables] = {
    "not_valid": {"zh": "无效", "en": "Not valid"},
    "duplicate": {"zh": "重复", "en": "Duplicate"},
    "not_ours": {"zh": "非我方责任", "en": "Not ours"},
}


class _Field(Struct, frozen=True):
    zh: str
    en: str
    type: str
    required: bool = False
    choices: tuple[str, ...] = ()


class _Action(Struct, frozen=True):
    zh: str
    en: str
    roles: tuple[str, ...] = ()
    fields: dict[str, _Field] = {}


class _Step(Struct, frozen=True):
    action: str
    sources: tuple[str, ...] = field(name="from")
    to: str
    when: dict[str, bool] = {}
    requires: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()


class _Definition(Struct, frozen=True):
    """The part of a definition that is written otherwise today."""

    zh: str
    en: str
    kinds: tuple[str, ...]
    follow_up: dict[str, str]
    actions: dict[str, _Action]
    steps: tuple[_Step, ...]
    perspectives: dict[str, str] = {}


class _Memory(Struct, frozen=True):
    """What a case remembered."""

    consented_at: datetime | None = None
    explained_at: datetime | None = None


_case = msgspec.json.Decoder(Case)
_memory = msgspec.json.Decoder(_Memory)


def upgrade_definition(tables: Tables) -> Tables:
    """The tables of a stored definition in today's form; those that have it are left as they are."""
    if not isinstance(tables.get("kinds"), list):
        return tables
    earlier = msgspec.convert(tables, _Definition)
    line = {"line": "named"} if "complaint" in earlier.kinds else {}
    upgraded: Tables = {
        "kinds": {kind: _kind(earlier, kind) for kind in earlier.kinds},
        "follow_up": line | earlier.follow_up,
        "actions": {name: _action(action) for name, action in earlier.actions.items()},
        "steps": [_step(step) for step in earlier.steps],
        "stamps": {stamp: _STAMPS[stamp] for stamp in _stamps(earlier.steps, "stamp")},
    }
    return {name: value for name, value in tables.items() if name != "perspectives"} | upgraded


def decode_case_body(body: bytes) -> Case:
    """The case that `body` holds, in today's form."""
    case = _case.decode(body)
    if b"consented_at" not in body and b"explained_at" not in body:
        return case
    memory = _memory.decode(body)
    moments = {"consented": memory.consented_at, "explained": memory.explained_at}
    return replace(case, stamps={stamp: at for stamp, at in moments.items() if at is not None})


def _kind(earlier: _Definition, kind: str) -> Tables:
    perspective = earlier.perspectives.get(kind, "service")
    return {"zh": earlier.zh, "en": earlier.en, "perspective": perspective}


def _action(action: _Action) -> Tables:
    fields = {name: _field(field) for name, field in action.fields.items()}
    return {"zh": action.zh, "en": action.en, "roles": list(action.roles), "fields": fields}


def _field(field: _Field) -> Tables:
    choices = {choice: _CHOICES.get(choice, {"zh": choice, "en": choice}) for choice in field.choices}
    return {
        "zh": field.zh, "en": field.en, "type": field.type, "required": field.required, "choices": choices,
    }  # fmt: skip


def _step(step: _Step) -> Tables:
    return {
        "action": step.action,
        "from": list(step.sources),
        "to": step.to,
        "when": step.when,
        "requires": list(step.requires),
        "guards": [guard for guard in step.guards if guard not in _STAMPS],
        "effects": [effect for effect in step.effects if effect not in _EFFECTS],
        "requires_stamps": [guard for guard in step.guards if guard in _STAMPS],
        "stamp": _stamps([step], "stamp"),
        "unstamp": _stamps([step], "unstamp"),
    }


def _stamps(steps: Iterable[_Step], key: Literal["stamp", "unstamp"]) -> list[str]:
    """The stamps that the effects of `steps` gave or took away."""
    effects = (_EFFECTS[effect] for step in steps for effect in step.effects if effect in _EFFECTS)
    return sorted({stamp for how, stamp in effects if how == key})
