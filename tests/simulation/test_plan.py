"""What a span brings: whenever it ends, no two events bear one name."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guanjia.simulation.demands import DEMAND_PLANNERS
from guanjia.simulation.facts import FACT_PLANNERS
from guanjia.simulation.plan import build_scenario, plan_events
from guanjia.simulation.simulated_property import PROPERTY, write_property
from shared.properties.loader import load_properties
from shared.properties.property import Property

EVENING = datetime(2026, 11, 20, 10, 10, tzinfo=UTC)
"""18:10 in Wuxi."""


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Property:
    """The simulated property."""
    folder: Path = tmp_path_factory.mktemp("properties")
    write_property(folder)
    return load_properties(folder)[PROPERTY]


@pytest.mark.parametrize("days", range(30, 42))
@pytest.mark.parametrize("minutes", [-30, 0, 30])
def test_every_event_has_a_name_of_its_own(tower: Property, days: int, minutes: int) -> None:
    end = EVENING + timedelta(minutes=minutes)
    scenario = build_scenario(1, tower, end - timedelta(days=days), end)
    names = Counter(
        (event.source, event.id) for event in plan_events(scenario, (*DEMAND_PLANNERS, *FACT_PLANNERS))
    )
    assert names.most_common(1)[0][1] == 1
