"""Who takes a job: on shift, with the skill, on the rung that is asked, carrying least. Pure."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from shared.properties.property import Property
from shared.properties.roster import Person


class JobRequirements(Struct, frozen=True, kw_only=True):
    """What a job asks of whoever takes it.

    `level` 0 asks the first rung. `excluded` never get it; `lapsed`, who let it go
    stale, only where nobody else is there.
    """

    roles: Collection[str]
    subject: str | None = None
    level: int = 0
    excluded: Collection[str] = ()
    lapsed: Collection[str] = ()


def choose_assignee(
    prop: Property, need: JobRequirements, loads: Mapping[str, int], at: datetime
) -> str | None:
    """The person who takes it at `at`, None where nobody can; `loads` is how many open jobs each one has."""
    able = [
        person
        for person in prop.on_shift(at)
        if meets_requirements(person, need) and person.id not in need.excluded
    ]
    if not able:
        return None
    return min(able, key=lambda person: _rank(person, need, loads)).id


def _rank(
    person: Person, need: JobRequirements, loads: Mapping[str, int]
) -> tuple[bool, tuple[int, int], int, str]:
    return person.id in need.lapsed, _rungs_away(person, need), loads.get(person.id, 0), person.id


def meets_requirements(person: Person, need: JobRequirements) -> bool:
    """Whether the person has one of the roles, and the skill."""
    return any(role in need.roles for role in person.roles) and person.can(need.subject)


def workers_to_exclude(prop: Property, need: JobRequirements, workers: Iterable[str]) -> tuple[str, ...]:
    """Those of `workers` to be left out because another of the property has the skill too; else nobody."""
    out = tuple(workers)
    others = any(meets_requirements(person, need) for person in prop.people if person.id not in out)
    return out if others else ()


def _rungs_away(person: Person, need: JobRequirements) -> tuple[int, int]:
    """The asked rung first, then the ones above it in turn, and those below it last."""
    wanted = need.level + 1
    return (0, person.rung - wanted) if person.rung >= wanted else (1, wanted - person.rung)
