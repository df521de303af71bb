"""What happens at the tower from outside: every fact and demand with its moment, by the seed alone."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from guanjia.simulation.random_streams import hourly
from guanjia.simulation.residents import Household, households
from shared.properties.property import Property

SOURCE = "simulated/"
"""What every source of the simulation begins with."""


class Post(Struct, frozen=True, kw_only=True):
    """An event that a source posts at `at`; it happened at `time`."""

    at: datetime
    time: datetime
    source: str
    id: str
    type: str
    data: dict[str, Any]

    def cloudevent(self, property_id: str) -> dict[str, Any]:
        """As it goes over the wire."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat(),
            "data": {"property": property_id, **self.data},
        }


HOURLY = ("billing", "club", "survey", "patrol")
"""Sources that tell what happened once an hour."""


def post(
    at: datetime, source: str, id_: str, kind_: str, /, *, time: datetime | None = None, **data: Any
) -> Post:
    """An event of the simulated `source`; without `time` it happens at `at`."""
    told_at = hourly(at) if source in HOURLY else at
    return Post(
        at=told_at, time=time or at, source=SOURCE + source, id=id_, type=f"guanjia.{kind_}.v1", data=data
    )


class Setting(Struct, frozen=True, kw_only=True):
    """What everything is drawn from: the seed, the property, and the span of time."""

    seed: int
    prop: Property
    start: datetime
    end: datetime
    homes: list[Household]

    @property
    def zone(self) -> ZoneInfo:
        """The property's time zone."""
        return self.prop.timezone

    def days(self) -> Iterator[datetime]:
        """Local midnights of all days that the span touches."""
        day = self.start.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        while day < self.end:
            yield day
            day += timedelta(days=1)


Part = Callable[[Setting], Iterator[Post]]


def setting(seed: int, prop: Property, start: datetime, end: datetime) -> Setting:
    """The setting with its residents."""
    return Setting(seed=seed, prop=prop, start=start, end=end, homes=households(seed))


def planned(where: Setting, parts: tuple[Part, ...]) -> list[Post]:
    """All that happens within the span, in the order of its posting."""
    found = (one for part in parts for one in part(where))
    return sorted(
        (one for one in found if where.start <= one.at <= where.end), key=lambda p: (p.at, p.source, p.id)
    )
