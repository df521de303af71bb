"""How figures go on by themselves: until when a target stays met or missed, how long a count holds."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from services.kpi.domain.figures import Figure, RunningSums, SumKey, Totals
from services.kpi.domain.items import FOREVER, to_micros
from services.kpi.domain.outlook import make_outlook
from services.kpi.domain.rates import RATES
from services.kpi.domain.windows import WINDOWS
from shared.properties.property import Property
from tests.unit.kpi.facts import ZONE

LONGEST = 200
AT = datetime(2026, 11, 24, 4, 30, tzinfo=UTC)
PROPERTY = Property(id="tower", name="Tower", timezone=ZONE)


def first_flip(figure: Figure, growth: Figure) -> int | None:
    """The same microsecond by microsecond, as far as `LONGEST`."""
    later = (n for n in range(1, LONGEST) if figure.after(n, growth).met is not figure.met)
    return next(later, None)


@pytest.mark.parametrize("seed", range(50))
def test_a_flip_is_foreseen_to_the_microsecond(seed: int) -> None:
    random = Random(seed)
    for kpi in ("equipment_intact", "repair_rework"):
        for _ in range(50):
            target = Decimal(random.choice(("0", "0.01", "0.5", "0.999", "1")))
            denominator, service = random.choice((0, 1, 7, 100)), random.randrange(4)
            figure = Figure(RATES[kpi], target, random.randint(0, denominator), denominator)
            growth = Figure(RATES[kpi], target, random.randint(0, service), service)
            foreseen = figure.micros_until_flip(growth)
            assert first_flip(figure, growth) == (foreseen if foreseen and foreseen < LONGEST else None)


def running(good: int, weight: int, grows: tuple[int, int], next_edge: int = FOREVER) -> RunningSums:
    """Seconds of equipment intact and in service, and what each further microsecond adds to them."""
    keys: list[SumKey] = [("spanning", "equipment", window) for window in WINDOWS]
    return RunningSums(
        dict.fromkeys(keys, Totals(weight, good)), dict.fromkeys(keys, Totals(grows[1], grows[0])), next_edge
    )


def test_an_outlook_holds_until_the_next_edge_and_not_before_it_was_counted() -> None:
    outlook = make_outlook(PROPERTY, AT, running(0, 0, (0, 0), to_micros(AT) + 5))
    day, micro = date(2026, 11, 24), timedelta(microseconds=1)
    assert not outlook.holds_at(AT - micro, day)
    assert outlook.holds_at(AT, day)
    assert outlook.holds_at(AT + 4 * micro, day)
    assert not outlook.holds_at(AT + 5 * micro, day)
    assert not outlook.holds_at(AT, date(2026, 11, 25))


def test_figures_that_grow_are_told_apart_and_go_on() -> None:
    outlook = make_outlook(PROPERTY, AT, running(30, 40, (2, 3)))
    assert [(grown.window, grown.figure.rate.kpi) for grown in outlook.growing] == [
        (window, "equipment_intact") for window in WINDOWS
    ]
    later = outlook.growing_at(AT + timedelta(microseconds=10))
    assert [(f.numerator, f.denominator) for f in later["month"]] == [(50, 70)]


def test_what_comes_to_meet_its_target_ends_the_outlook() -> None:
    prop = Property(id="tower", name="T", timezone=ZONE, target_changes={"equipment_intact": 0.9})
    outlook = make_outlook(prop, AT, running(80, 100, (1, 1)))
    assert outlook.next_edge == to_micros(AT) + 100  # 180 of 200
