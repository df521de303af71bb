"""What may be done with a case as forms, and what was filled in as an act."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.dispatch.domain.case import Case
from services.dispatch.domain.transition import allowed_actions
from services.dispatch.domain.workflow.definition import Action, Field, Workflow
from services.dispatch.pages.board_rows import pauses_deadline
from services.dispatch.pages.localizer import Localizer
from services.dispatch.schemas import actor_for
from shared.auth import Identity
from shared.errors import InvalidInput
from shared.ids import new_id
from shared.properties.property import Property

Weight = Literal["primary", "plain", "danger", "aside"]
_GIVES_UP = frozenset({"unassign", "exclude"})


class Choice(Struct, frozen=True):
    """One thing to choose."""

    value: str
    text: str


class FormField(Struct, frozen=True, kw_only=True):
    """One thing that an action asks for."""

    name: str
    label: str
    type: str
    required: bool
    choices: list[Choice]


class ActionForm(Struct, frozen=True, kw_only=True):
    """An action as a form. `key` makes pressing twice harmless; `version` is the case that the reader saw."""

    action: str
    name: str
    weight: Weight
    key: str
    version: int
    fields: list[FormField]
    asks: bool
    """Whether something must be filled in before it can be done."""


class FilledForm(Struct, frozen=True, kw_only=True):
    """A form as it came back."""

    action: str
    key: str
    version: int | None
    at: datetime | None
    actor: str | None
    data: dict[str, Any]


def action_forms(
    localizer: Localizer, case: Case, identity: Identity, loads: Mapping[str, int] | None = None
) -> list[ActionForm]:
    """What `identity` may do with `case` now, the likely first, what is always possible last."""
    workflow = localizer.catalog.of(case)
    offered = allowed_actions(workflow, case, actor_for(identity))
    shown = [_form(localizer, workflow, case, action, loads or Counter()) for action in offered]
    order: tuple[Weight, ...] = ("primary", "plain", "danger", "aside")
    return sorted(shown, key=lambda form: order.index(form.weight))


def _form(
    localizer: Localizer, workflow: Workflow, case: Case, action: Action, loads: Mapping[str, int]
) -> ActionForm:
    return ActionForm(
        action=action.name,
        name=localizer.of(action),
        weight=button_weight(workflow, case, action),
        key=new_id(),
        version=case.version,
        fields=[_field(localizer, case, field, loads) for field in action.fields],
        asks=any(field.required for field in action.fields),
    )


def button_weight(workflow: Workflow, case: Case, action: Action) -> Weight:
    """How a button looks follows from where its action leads."""
    if action.name in workflow.everywhere:
        return "aside"
    steps = [step for step in workflow.by_state[case.state] if step.action == action.name]
    ends = any((end := workflow.states.get(step.to)) and end.final not in (None, "done") for step in steps)
    if ends or any(_GIVES_UP & set(step.effects) for step in steps):
        return "danger"
    again = workflow.assignment is not None and case.assignee and action.name == workflow.assignment.action
    return "plain" if again or any(pauses_deadline(workflow, step.to) for step in steps) else "primary"


def _field(localizer: Localizer, case: Case, field: Field, loads: Mapping[str, int]) -> FormField:
    choices = [Choice(value, localizer.choice(value)) for value in field.choices]
    if field.type == "bool":
        choices = [Choice("true", localizer.t("yes")), Choice("false", localizer.t("no"))]
    people = _people(localizer, case, loads) if field.type == "person" else []
    return FormField(
        name=field.name,
        label=localizer.of(field),
        type="text" if field.type == "person" and not people else field.type,
        required=field.required,
        choices=choices or people,
    )


def _people(localizer: Localizer, case: Case, loads: Mapping[str, int]) -> list[Choice]:
    """Who could do it: those on shift with the skill first, the least laden of them first."""
    prop, need = localizer.catalog.property(case.property), localizer.catalog.need(case)
    here = {person.id for person in prop.on_shift(localizer.now)}
    able = [person for person in prop.people if not need.roles or set(need.roles) & set(person.roles)]
    able.sort(key=lambda p: (p.id not in here, not p.can(case.subject), loads.get(p.id, 0), p.rung))
    return [Choice(p.id, _person(localizer, prop, case, p.id, p.id in here, loads)) for p in able]


def _person(
    localizer: Localizer, prop: Property, case: Case, person: str, here: bool, loads: Mapping[str, int]
) -> str:
    parts = [localizer.person(prop.id, person), localizer.t("on_shift" if here else "off_shift")]
    if not prop.people_by_id[person].can(case.subject):
        parts.append(localizer.t("unskilled"))
    if count := loads.get(person, 0):
        parts.append(localizer.t("load", count=count))
    return " · ".join(parts)


def read_filled_form(form: Mapping[str, str], workflow: Workflow, zone: ZoneInfo) -> FilledForm:
    """What was filled in; what can't be read stays as it is, for the action itself to refuse."""
    action = workflow.actions.get(form.get("action", ""))
    types = {field.name: field.type for field in action.fields} if action else {}
    told = {name.removeprefix("data."): value for name, value in form.items() if name.startswith("data.")}
    version = form.get("version", "")
    return FilledForm(
        action=form.get("action", ""),
        key=form.get("key", "")[:128] or new_id(),
        version=int(version) if version.isdecimal() else None,
        at=_moment(form["at"], zone) if form.get("at") else None,
        actor=form.get("actor") or None,
        data={name: _value(types.get(name), value, zone) for name, value in told.items() if value.strip()},
    )


def _value(kind: str | None, value: str, zone: ZoneInfo) -> Any:
    if kind == "bool" and value in ("true", "false"):
        return value == "true"
    if kind == "int" and value.strip().lstrip("-").isdecimal():
        return int(value)
    return _moment(value, zone).isoformat() if kind == "timestamp" else value


def _moment(value: str, zone: ZoneInfo) -> datetime:
    """The moment that a clock at the property shows."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput.of("at", "This is not a time", "时间格式不正确") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def people_to_act_for(localizer: Localizer, case: Case, identity: Identity) -> list[Choice]:
    """For whom the reader may act at this case: an office acts for those who have no phone at hand."""
    if not identity.may("dispatcher"):
        return []
    prop = localizer.catalog.property(case.property)
    others = [person for person in prop.people if person.id != identity.person]
    return [Choice(person.id, localizer.person(prop.id, person.id)) for person in others]
