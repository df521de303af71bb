"""How the simulated staff are: who is quick, who slow, who is often out of reach, and who is at hand."""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from guanjia.simulation.random_streams import random_stream
from shared.properties.property import Property


class Temper(Struct, frozen=True, kw_only=True):
    """How somebody works: `pace` stretches all they do, the rest are likelihoods."""

    pace: float
    forgets: float
    offline: float
    careless: float


_TEMPERS = {
    "quick": Temper(pace=0.6, forgets=0.01, offline=0.05, careless=0.02),
    "steady": Temper(pace=1.0, forgets=0.01, offline=0.05, careless=0.005),
    "slow": Temper(pace=1.7, forgets=0.02, offline=0.05, careless=0.005),
    "late": Temper(pace=1.2, forgets=0.10, offline=0.05, careless=0.01),
    "out of reach": Temper(pace=1.0, forgets=0.02, offline=0.45, careless=0.005),
}


def temper(seed: int, prop: Property, person: str) -> Temper:
    """How this person is; among the engineers of a property every temper is found."""
    engineers = sorted(p.id for p in prop.people if "engineer" in p.roles)
    names = sorted(_TEMPERS)
    random_stream(seed, "tempers").shuffle(names)
    if person in engineers:
        return _TEMPERS[names[engineers.index(person) % len(names)]]
    return _TEMPERS["steady"]


def at_hand(
    prop: Property, at: datetime, roles: Collection[str], without: Collection[str] = ()
) -> str | None:
    """Somebody on shift with one of `roles`; else somebody off shift; None where nobody has one."""
    for people in (prop.on_shift(at), prop.people):
        for person in people:
            if person.id not in without and not set(roles).isdisjoint(person.roles):
                return person.id
    return None
