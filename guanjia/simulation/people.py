"""How the simulated staff work: who is quick, slow or often out of reach, and who is there at an hour."""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from guanjia.simulation.random_streams import random_stream
from shared.properties.property import Property


class WorkStyle(Struct, frozen=True, kw_only=True):
    """How somebody works: `pace` stretches all they do, the rest are likelihoods."""

    pace: float
    forgets: float
    offline: float
    careless: float


_WORK_STYLES = {
    "quick": WorkStyle(pace=0.6, forgets=0.01, offline=0.05, careless=0.02),
    "steady": WorkStyle(pace=1.0, forgets=0.01, offline=0.05, careless=0.005),
    "slow": WorkStyle(pace=1.7, forgets=0.02, offline=0.05, careless=0.005),
    "late": WorkStyle(pace=1.2, forgets=0.10, offline=0.05, careless=0.01),
    "out of reach": WorkStyle(pace=1.0, forgets=0.02, offline=0.45, careless=0.005),
}


def get_work_style(seed: int, prop: Property, person: str) -> WorkStyle:
    """How this person works; among the engineers of a property every style is found."""
    engineers = sorted(p.id for p in prop.people if "engineer" in p.roles)
    names = sorted(_WORK_STYLES)
    random_stream(seed, "tempers").shuffle(names)
    if person in engineers:
        return _WORK_STYLES[names[engineers.index(person) % len(names)]]
    return _WORK_STYLES["steady"]


def find_staff(
    prop: Property, at: datetime, roles: Collection[str], without: Collection[str] = ()
) -> str | None:
    """Somebody on shift with one of `roles`; else somebody off shift; None where nobody has one."""
    for people in (prop.on_shift(at), prop.people):
        for person in people:
            if person.id not in without and not set(roles).isdisjoint(person.roles):
                return person.id
    return None
