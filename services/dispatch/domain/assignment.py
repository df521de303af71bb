"""Who gets a job: on shift, with role and skill, on the rung of its level, with the fewest jobs. Pure."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from shared.properties.property import Property
from shared.properties.roster import Person


class JobRequirements(Struct, frozen=True, kw_only=True):
    """What a job requires of its assignee.

    `level` 0 means the first rung. `excluded` never get it; `lapsed`, who did not accept it in time, only
    where nobody else can.
    """

    roles: Collection[str]
    subject: str | None = None
    level: int = 0
    excluded: Collection[str] = ()
    lapsed: Collection[str] = ()


def choose_assignee(
    prop: Property, requirements: JobRequirements, loads: Mapping[str, int], at: datetime
) -> str | None:
    """The person who gets it at `at`, None where nobody can; `loads` is how many open jobs each one has."""
    candidates = [
        person
        for person in prop.on_shift(at)
        if meets_requirements(person, requirements) and person.id not in requirements.excluded
    ]
    if not candidates:
        return None
    return min(candidates, key=lambda person: _rank(person, requirements, loads)).id


def _rank(
    person: Person, requirements: JobRequirements, loads: Mapping[str, int]
) -> tuple[bool, tuple[int, int], int, str]:
    return (
        person.id in requirements.lapsed,
        _rung_distance(person, requirements),
        loads.get(person.id, 0),
        person.id,
    )


def meets_requirements(person: Person, requirements: JobRequirements) -> bool:
    """Whether the person has one of the roles, and the skill."""
    return any(role in requirements.roles for role in person.roles) and person.has_skill(requirements.subject)


def workers_to_exclude(
    prop: Property, requirements: JobRequirements, workers: Iterable[str]
) -> tuple[str, ...]:
    """All `workers` where somebody else of the property meets the requirements too, else nobody."""
    excluded = tuple(workers)
    others = any(
        meets_requirements(person, requirements) for person in prop.people if person.id not in excluded
    )
    return excluded if others else ()


def _rung_distance(person: Person, requirements: JobRequirements) -> tuple[int, int]:
    """The required rung first, then the ones above it in turn, and those below it last."""
    rung = requirements.level + 1
    return (0, person.rung - rung) if person.rung >= rung else (1, rung - person.rung)
