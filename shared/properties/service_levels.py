"""What a property promises per kind and priority: the deadlines, the warning, the lease, the caps of waits.
What is built in stands below; a file changes what it names. docs/properties.md shows both.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from msgspec import Struct

from shared.messages.facts import Priority
from shared.properties.values import Duration, parse_duration

CalendarName = Literal["round_the_clock", "business"]
ANY: Literal["*"] = "*"


class DeadlineTarget(Struct, frozen=True):
    """Within what time, counted in which calendar; `within` is None where there is no such deadline."""

    within: timedelta | None
    calendar: CalendarName = "round_the_clock"

    @classmethod
    def parse(cls, text: str) -> "DeadlineTarget":
        """From "15m", "8h business" or "off". Raises ValueError for anything else."""
        duration, _, calendar = text.partition(" ")
        if text == "off":
            return cls(None)
        if calendar not in ("", "round_the_clock", "business"):
            raise ValueError('expected a calendar: "round_the_clock" or "business"')
        if calendar == "business" and not set(duration).isdisjoint("dw"):
            raise ValueError("business time is told in hours: how long a business day is differs")
        within = parse_duration(duration)
        return cls(within, "business" if calendar == "business" else "round_the_clock")


class LevelChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file says about a kind and a priority; what it leaves out stays as it was."""

    clocks: dict[str, str] = {}
    """时限: within what time each deadline is to be met: `"15m"` round the clock, `"9h business"` in business
    hours, `"off"` not at all. Example: `{ respond = "10m", arrive = "30m", complete = "27h business" }`"""
    warn_at: float | None = None
    """预警: the part of the time after which a deadline that is near is warned of, above 0 and below 1;
    built in: 0.75. Example: `0.75`"""
    accept_within: Duration | None = None
    """接单时限: work that nobody accepts within it goes back and to somebody else. Example: `"5m"`"""
    wait_caps: dict[str, Duration] = {}
    """等待上限: how long a wait may last, by its reason; `"*"` is any other; noted, not acted on yet.
    Example: `{ parts = "5d", "*" = "2d" }`"""

    def __post_init__(self) -> None:
        for target in self.clocks.values():
            DeadlineTarget.parse(target)
        if self.warn_at is not None and not 0 < self.warn_at < 1:
            raise ValueError("warn_at is the part of the time that is gone, between 0 and 1")


class ServiceLevel(Struct, frozen=True, kw_only=True):
    """The promise for one kind and priority."""

    clocks: Mapping[str, DeadlineTarget]
    warn_at: float = 0.75
    accept_within: timedelta
    wait_caps: Mapping[str, timedelta]

    def target(self, name: str) -> DeadlineTarget | None:
        """The target of this deadline, None where there is none."""
        target = self.clocks.get(name)
        return None if target is None or target.within is None else target

    def wait_cap(self, reason: str) -> timedelta:
        """How long a wait for this reason may last before it is taken up again."""
        return self.wait_caps.get(reason, self.wait_caps[ANY])

    def apply_change(self, change: LevelChange | None) -> "ServiceLevel":
        """This promise with what `change` sets."""
        if change is None:
            return self
        return ServiceLevel(
            clocks={
                **self.clocks,
                **{name: DeadlineTarget.parse(text) for name, text in change.clocks.items()},
            },
            warn_at=self.warn_at if change.warn_at is None else change.warn_at,
            accept_within=change.accept_within or self.accept_within,
            wait_caps={**self.wait_caps, **change.wait_caps},
        )


PriorityOrAny = Literal["low", "normal", "high", "urgent", "*"]
LevelChanges = Mapping[str, Mapping[PriorityOrAny, LevelChange]]

WAIT_CAPS: Mapping[str, timedelta] = {
    "parts": timedelta(days=7),
    "resident": timedelta(days=3),
    "contractor": timedelta(days=14),
    ANY: timedelta(days=3),
}

#: By kind and priority: the deadlines, and the lease within which whoever got the work accepts it.
BUILT_IN: Mapping[str, Mapping[Priority, tuple[dict[str, str], str]]] = {
    "repair": {
        "urgent": ({"respond": "10m", "arrive": "30m", "complete": "4h"}, "5m"),
        "high": ({"respond": "20m", "arrive": "1h", "complete": "8h"}, "10m"),
        "normal": ({"respond": "30m", "arrive": "2h", "complete": "24h"}, "15m"),
        "low": ({"respond": "2h", "arrive": "24h", "complete": "72h"}, "1h"),
    },
    "complaint": {
        "urgent": ({"respond": "15m", "judge": "4h", "complete": "24h"}, "10m"),
        "high": ({"respond": "30m", "judge": "8h", "complete": "48h"}, "15m"),
        "normal": ({"respond": "1h", "judge": "24h", "complete": "72h"}, "30m"),
        "low": ({"respond": "4h", "judge": "48h", "complete": "120h"}, "2h"),
    },
    "help": {
        "urgent": ({"respond": "5m", "complete": "1h"}, "3m"),
        "high": ({"respond": "10m", "complete": "2h"}, "5m"),
        "normal": ({"respond": "15m", "complete": "8h"}, "10m"),
        "low": ({"respond": "1h", "complete": "24h"}, "30m"),
    },
    ANY: {
        "urgent": ({"respond": "15m", "complete": "8h"}, "10m"),
        "high": ({"respond": "30m", "complete": "24h"}, "15m"),
        "normal": ({"respond": "2h business", "complete": "27h business"}, "1h"),
        "low": ({"respond": "9h business", "complete": "63h business"}, "4h"),
    },
}
SAME_AS = {"visitor": "help"}


def built_in_level(kind: str, priority: Priority) -> ServiceLevel:
    """The promise where a property's file says nothing."""
    clocks, accept = BUILT_IN.get(SAME_AS.get(kind, kind), BUILT_IN[ANY])[priority]
    return ServiceLevel(
        clocks={name: DeadlineTarget.parse(text) for name, text in clocks.items()},
        accept_within=parse_duration(accept),
        wait_caps=WAIT_CAPS,
    )


def resolve_level(changes: LevelChanges, kind: str, priority: Priority) -> ServiceLevel:
    """The built-in promise, changed by what is said of any kind, then this; any priority, then this."""
    level = built_in_level(kind, priority)
    for of_kind in (changes.get(ANY, {}), changes.get(kind, {})):
        for change in (of_kind.get(ANY), of_kind.get(priority)):
            level = level.apply_change(change)
    return level
