"""Whatever happens in whatever order: the rates equal a slow recount from raw events, at any instant."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.kpi.domain.windows import WINDOWS
from tests.unit.kpi.counting import exact, figures, items_from
from tests.unit.kpi.oracle import recount
from tests.unit.kpi.worlds import WorldMaker, snapshot

SEEDS = st.integers(0, 2**40)
ZONES = st.sampled_from(["Asia/Shanghai", "America/Havana", "Africa/Cairo", "Asia/Kathmandu", "UTC"])


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, size=st.integers(1, 30), zone=ZONES)
def test_the_rates_equal_a_slow_recount_at_any_instant(seed: int, size: int, zone: str) -> None:
    maker = WorldMaker(seed, size, zone=zone)
    world = maker.make()
    told = world.facts + world.follow_ups
    told = told + [maker.random.choice(told) for _ in told]
    Random(seed).shuffle(told)
    items = items_from(told, [snapshot(history) for history in world.histories])
    for at in (maker.moment() for _ in range(4)):
        found = figures(items, at, world.zone)
        for window in WINDOWS:
            assert exact(found, window) == recount(world, at, window)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, size=st.integers(1, 20))
def test_order_and_repetition_change_no_item(seed: int, size: int) -> None:
    world = WorldMaker(seed, size).make()
    told = world.facts + world.follow_ups
    shuffled = told * 2
    Random(seed).shuffle(shuffled)
    assert sorted(items_from(told, []), key=repr) == sorted(items_from(shuffled, []), key=repr)
