"""Cases in the reader's words: durations, moments, names of people, kinds, states and actions."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.dispatch.domain.case import Case
from services.dispatch.domain.workflow.definition import Workflow
from services.dispatch.domain.workflow_catalog import WorkflowCatalog
from services.dispatch.queries.cases import Link
from shared.auth import ROLES
from shared.messages.facts import Line, Perspective, Priority
from shared.messages.kinds import LocalizedName
from shared.pages.texts import Texts, require_texts

_KEYS_BY_DATA: Mapping[str, Collection[str]] = {
    "line": get_args(Line),
    "perspective": get_args(Perspective),
    "priority": get_args(Priority),
    "role": ROLES,
    "linked": get_args(Link),
}
"""Texts whose keys end in a value that data has."""
_SCALE = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
Tone = Literal["", "warn", "bad", "paused", "good"]


def check_texts(texts: Texts) -> None:
    """Raises TextMissing where data could ask for a text that is not there."""
    for prefix, values in _KEYS_BY_DATA.items():
        require_texts(texts, prefix, values)


class Localizer(Struct, frozen=True, kw_only=True):
    """Who reads: the language, the texts, and the moment of reading."""

    language: str
    texts: Texts
    catalog: WorkflowCatalog
    now: datetime

    def t(self, key: str, **values: object) -> str:
        """The text `key`."""
        text = self.texts[key][self.language]
        return text.format(**values) if values else text

    def named(self, key: str, otherwise: str) -> str:
        """The text `key` where there is one."""
        return self.t(key) if key in self.texts else otherwise

    def of(self, named: Mapping[str, str] | LocalizedName) -> str:
        """The name of something that is named in both languages."""
        return named[self.language] if isinstance(named, Mapping) else named.localize(self.language)

    def duration(self, length: timedelta) -> str:
        """A length of time in its two largest units, as in "1 h 5 min"; under a minute in seconds."""
        seconds = max(0, int(length.total_seconds()))
        largest = next((i for i, (_, size) in enumerate(_SCALE) if seconds >= size), len(_SCALE) - 1)
        units = _SCALE[largest : largest + 2] if largest < 2 else _SCALE[largest : largest + 1]
        parts: list[str] = []
        for unit, size in units:
            count, seconds = divmod(seconds, size)
            if count or not parts:
                parts.append(self.t(f"duration_{unit}", n=count))
        return " ".join(parts)

    def until(self, due: datetime) -> str:
        """How long until `due`, or since."""
        ahead = due - self.now
        if ahead >= timedelta(0):
            return self.t("left", length=self.duration(ahead))
        return self.t("over", length=self.duration(-ahead))

    def moment(self, at: datetime, zone: ZoneInfo) -> str:
        """A moment at the property: the time today, with the day before and after."""
        local, today = at.astimezone(zone), self.now.astimezone(zone).date()
        if local.date() == today:
            return f"{local:%H:%M}"
        return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"

    def whole_moment(self, at: datetime, zone: ZoneInfo) -> str:
        """A moment at the property to the second, with its zone."""
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"

    def property(self, property_id: str) -> str:
        """The name of a property."""
        prop = self.catalog.properties.get(property_id)
        if prop is None:
            return property_id
        return prop.name_en if self.language == "en" and prop.name_en else prop.name

    def person(self, property_id: str, person: str) -> str:
        """The name of somebody who acts at a property."""
        if person in ("system", "resident"):
            return self.t(person)
        prop = self.catalog.properties.get(property_id)
        found = prop.people_by_id.get(person) if prop else None
        if found is None:
            return person
        return found.name_en if self.language == "en" and found.name_en else found.name

    def role(self, role: str) -> str:
        """The name of a role."""
        return self.named(f"role_{role}", role)

    def kind(self, kind: str) -> str:
        """The name of a kind of demand; of one that is no longer there, the word itself."""
        entry = self.catalog.kinds.get(kind)
        return self.of(entry) if entry else kind

    def stamp(self, workflow: Workflow, stamp: str) -> str:
        """The name of a stamp."""
        found = workflow.stamps.get(stamp)
        return self.of(found) if found else stamp

    def subject(self, subject: str) -> str:
        """The name of a subject."""
        return self.named(f"subject_{subject}", subject)

    def equipment(self, property_id: str, equipment: str) -> str:
        """The name of a piece of equipment."""
        prop = self.catalog.properties.get(property_id)
        found = next((one for one in prop.equipment if one.id == equipment), None) if prop else None
        if found is None:
            return equipment
        return (found.name_en if self.language == "en" else found.name) or found.name or equipment

    def state(self, workflow: Workflow, state: str) -> str:
        """The name of a state."""
        found = workflow.states.get(state)
        return self.of(found) if found else state

    def action(self, workflow: Workflow, action: str) -> str:
        """The name of an action."""
        if action == "raise":
            return self.t("raised_it")
        found = workflow.actions.get(action)
        return self.of(found) if found else action

    def deadline(self, case: Case, name: str) -> str:
        """The name of a deadline of `case`."""
        rules = {rule.name: rule for rule in self.catalog.workflow_of(case).deadline_rules}
        return self.of(rules[name]) if name in rules else name

    def choice(self, value: str) -> str:
        """The name of a reason that people often write; other words stay as they were written."""
        return self.named(f"choice_{value}", value)
