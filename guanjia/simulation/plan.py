"""What happens at the tower from outside: every fact and demand with its moment, by the seed alone."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from guanjia.simulation.random_streams import round_up_to_hour
from guanjia.simulation.residents import Household, draw_households
from shared.properties.property import Property

SOURCE = "simulated/"
"""What every source of the simulation begins with."""


class PlannedEvent(Struct, frozen=True, kw_only=True):
    """An event that a source posts at `at`; it happened at `time`."""

    at: datetime
    time: datetime
    source: str
    id: str
    type: str
    data: dict[str, object]

    @property
    def resident(self) -> str:
        """The id of whoever asks; empty where the event names nobody."""
        requester = self.data.get("requester")
        return str(requester.get("id", "")) if isinstance(requester, dict) else ""

    def to_cloudevent(self, property_id: str) -> dict[str, object]:
        """As it goes over the wire."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat(),
            "data": {"property": property_id, **self.data},
        }


HOURLY_SOURCES = ("billing", "club", "survey", "patrol")
"""Sources that tell what happened once an hour."""


def plan_event(at: datetime, source: str, id_: str, name: str, /, **data: object) -> PlannedEvent:
    """The event `guanjia.NAME.v1` of the simulated `source`, about something that happens at `at`."""
    posted_at = round_up_to_hour(at) if source in HOURLY_SOURCES else at
    return PlannedEvent(
        at=posted_at, time=at, source=SOURCE + source, id=id_, type=f"guanjia.{name}.v1", data=data
    )


class Scenario(Struct, frozen=True, kw_only=True):
    """What everything is drawn from: the seed, the property, and the span of time."""

    seed: int
    prop: Property
    start: datetime
    end: datetime
    households: list[Household]

    @property
    def zone(self) -> ZoneInfo:
        """The property's time zone."""
        return self.prop.timezone

    def list_days(self) -> Iterator[datetime]:
        """Local midnights of all days that the span touches."""
        day = self.start.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        while day < self.end:
            yield day
            day += timedelta(days=1)


EventPlanner = Callable[[Scenario], Iterator[PlannedEvent]]


def build_scenario(seed: int, prop: Property, start: datetime, end: datetime) -> Scenario:
    """The setting with its residents."""
    return Scenario(seed=seed, prop=prop, start=start, end=end, households=draw_households(seed))


def plan_events(scenario: Scenario, planners: tuple[EventPlanner, ...]) -> list[PlannedEvent]:
    """All that happens within the span, in the order of its posting."""
    events = (event for planner in planners for event in planner(scenario))
    return sorted(
        (event for event in events if scenario.start <= event.at <= scenario.end),
        key=lambda event: (event.at, event.source, event.id),
    )
