"""What is counted: a rate is a sum over items, and an item exists from one instant until another.

Instants are whole microseconds since 1970, money whole ten-thousandths: sums are exact on every database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = 1 << 62
"""The end of what has not ended."""
MONEY_SCALE = 10_000
SECOND = 1_000_000


class FactSubject(NamedTuple):
    """What facts are about: a case, a bill, an incident, … Ids belong to their property."""

    property: str
    kind: str
    id: str


class Item(Struct, frozen=True):
    """One contribution to a family: to the denominators and to the numerators of the rates that sum it.

    It exists as of T if `since <= T < until`; `counted_at` decides the window. Where a family is weighed by
    time, `since` and `until` are the time itself."""

    family: str
    counted_at: int
    since: int
    until: int
    denominator: int
    numerator: int
    case: str = ""


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    """The instant of `micros`, in UTC."""
    return EPOCH + timedelta(microseconds=value)


def to_money_units(amount: str) -> int:
    """Ten-thousandths of a decimal string with at most four decimals."""
    return int(Decimal(amount).scaleb(4))
