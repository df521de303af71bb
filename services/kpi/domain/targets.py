"""What the rates are to reach at a property: the built-in targets, unless its file names others."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from services.kpi.domain.rates import RATES
from shared.properties.property import Property
from shared.properties.values import parse_share


def targets_of(prop: Property) -> Mapping[str, Decimal]:
    """By rate; 1 is all."""
    changes = prop.target_changes
    return {kpi: parse_share(changes[kpi]) if kpi in changes else rate.target for kpi, rate in RATES.items()}


def find_unknown_targets(prop: Property) -> Iterator[tuple[str, str]]:
    """Path and message of each target in the property's file that belongs to no rate."""
    for kpi in prop.target_changes:
        if kpi not in RATES:
            yield f"targets.{kpi}", f"is no target rate; the rates are {', '.join(RATES)}"
