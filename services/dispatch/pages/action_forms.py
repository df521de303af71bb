"""What may be done with a case as forms, and what was filled in as an action."""

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

ButtonStyle = Literal["primary", "plain", "danger", "aside"]
_EFFECTS_GIVING_UP = frozenset({"unassign", "exclude"})


class Choice(Struct, frozen=True):
    """One option of a choice."""

    value: str
    text: str


class FormField(Struct, frozen=True, kw_only=True):
    """A field of an action's form."""

    name: str
    label: str
    type: str
    required: bool
    choices: list[Choice]


class ActionForm(Struct, frozen=True, kw_only=True):
    """An action as a form. `key` makes pressing twice harmless; `version` is the case that the reader saw."""

    action: str
    name: str
    style: ButtonStyle
    key: str
    version: int
    fields: list[FormField]
    needs_input: bool
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
    workflow = localizer.catalog.workflow_of(case)
    actions = allowed_actions(workflow, case, actor_for(identity))
    forms = [_form(localizer, workflow, case, action, loads or Counter()) for action in actions]
    order: tuple[ButtonStyle, ...] = ("primary", "plain", "danger", "aside")
    return sorted(forms, key=lambda form: order.index(form.style))


def _form(
    localizer: Localizer, workflow: Workflow, case: Case, action: Action, loads: Mapping[str, int]
) -> ActionForm:
    return ActionForm(
        action=action.name,
        name=localizer.of(action),
        style=button_style(workflow, case, action),
        key=new_id(),
        version=case.version,
        fields=[_field(localizer, case, field, loads) for field in action.fields],
        needs_input=any(field.required for field in action.fields),
    )


def button_style(workflow: Workflow, case: Case, action: Action) -> ButtonStyle:
    """How a button looks follows from where its action leads."""
    if action.name in workflow.everywhere:
        return "aside"
    steps = [step for step in workflow.by_state[case.state] if step.action == action.name]
    ends = any((end := workflow.states.get(step.to)) and end.final not in (None, "done") for step in steps)
    if ends or any(_EFFECTS_GIVING_UP & set(step.effects) for step in steps):
        return "danger"
    again = workflow.assignment is not None and case.assignee and action.name == workflow.assignment.action
    return "plain" if again or any(pauses_deadline(workflow, step.to) for step in steps) else "primary"


def _field(localizer: Localizer, case: Case, field: Field, loads: Mapping[str, int]) -> FormField:
    choices = [Choice(value, localizer.of(name)) for value, name in field.choices.items()]
    if field.type == "bool":
        choices = [Choice("true", localizer.t("yes")), Choice("false", localizer.t("no"))]
    people = _people_choices(localizer, case, loads) if field.type == "person" else []
    return FormField(
        name=field.name,
        label=localizer.of(field),
        type="text" if field.type == "person" and not people else field.type,
        required=field.required,
        choices=choices or people,
    )


def _people_choices(localizer: Localizer, case: Case, loads: Mapping[str, int]) -> list[Choice]:
    """Who could do it: those on shift with the skill first, the least laden of them first."""
    prop = localizer.catalog.get_property(case.property)
    roles = set(localizer.catalog.requirements_for(case).roles)
    on_shift = {person.id for person in prop.on_shift(localizer.now)}
    people = [person for person in prop.people if not roles or roles & set(person.roles)]
    people.sort(
        key=lambda p: (p.id not in on_shift, not p.has_skill(case.subject), loads.get(p.id, 0), p.rung)
    )
    return [
        Choice(p.id, _describe_person(localizer, prop, case, p.id, p.id in on_shift, loads)) for p in people
    ]


def _describe_person(
    localizer: Localizer, prop: Property, case: Case, person: str, on_shift: bool, loads: Mapping[str, int]
) -> str:
    parts = [localizer.person(prop.id, person), localizer.t("on_shift" if on_shift else "off_shift")]
    if not prop.people_by_id[person].has_skill(case.subject):
        parts.append(localizer.t("unskilled"))
    if count := loads.get(person, 0):
        parts.append(localizer.t("load", count=count))
    return " · ".join(parts)


def read_filled_form(form: Mapping[str, str], workflow: Workflow, zone: ZoneInfo) -> FilledForm:
    """What was filled in; what can't be read stays as it is, for the action itself to refuse."""
    action = workflow.actions.get(form.get("action", ""))
    types = {field.name: field.type for field in action.fields} if action else {}
    data = {name.removeprefix("data."): value for name, value in form.items() if name.startswith("data.")}
    version = form.get("version", "")
    return FilledForm(
        action=form.get("action", ""),
        key=form.get("key", "")[:128] or new_id(),
        version=int(version) if version.isdecimal() else None,
        at=_parse_moment(form["at"], zone) if form.get("at") else None,
        actor=form.get("actor") or None,
        data={
            name: _parse_value(types.get(name), value, zone) for name, value in data.items() if value.strip()
        },
    )


def _parse_value(kind: str | None, value: str, zone: ZoneInfo) -> Any:
    if kind == "bool" and value in ("true", "false"):
        return value == "true"
    if kind == "int" and value.strip().lstrip("-").isdecimal():
        return int(value)
    return _parse_moment(value, zone).isoformat() if kind == "timestamp" else value


def _parse_moment(value: str, zone: ZoneInfo) -> datetime:
    """The moment of a local time at the property. Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput.of("at", "This is not a time", "时间格式不正确") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def people_to_act_for(localizer: Localizer, case: Case, identity: Identity) -> list[Choice]:
    """For whom the reader may act on this case: an office acts for those who have no phone at hand."""
    if not identity.has_role("dispatcher"):
        return []
    prop = localizer.catalog.get_property(case.property)
    others = [person for person in prop.people if person.id != identity.person]
    return [Choice(person.id, localizer.person(prop.id, person.id)) for person in others]
