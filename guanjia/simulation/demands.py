"""Demands of the simulated residents, alarms of ageing equipment, and the day on which an elevator dies."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from random import Random

from guanjia.simulation.plan import PlannedEvent, Scenario, plan_event
from guanjia.simulation.random_streams import MINUTE, draw_count, draw_minutes, draw_moment, random_stream
from guanjia.simulation.residents import Household
from guanjia.simulation.texts import DEMAND_TEXTS, DEMANDS_PER_DAY, ELEVATOR_REPORTS, MALL_FAULT, DemandText

_CHANNELS = (("app", "owner-app", 50), ("wechat", "mini-program", 25), ("phone", "hotline", 25))
_DEMAND_HOURS = ((time(7), time(9), 20), (time(9), time(18), 40), (time(18), time(22, 30), 35),
          (time(23), time(23, 59), 3), (time(0), time(6), 2))  # fmt: skip
FAULTS_PER_DAY = 0.4
SELF_CLEARING_SHARE = 0.2
"""How many of the alarms are gone before anybody comes."""
DAYS_BETWEEN_ELEVATOR_FAILURES = 12
"""Days between the deaths of elevators; the first one dies on the second day."""
LAST_ELEVATOR_FAILURE = timedelta(minutes=35)


def plan_demands(scenario: Scenario) -> Iterator[PlannedEvent]:
    """What residents raise, by kind and day; a few think better of it."""
    for day in scenario.list_days():
        for kind, daily_average in DEMANDS_PER_DAY.items():
            random = random_stream(scenario.seed, "demands", kind, day.date())
            for number in range(draw_count(random, daily_average)):
                yield from _plan_demand(scenario, random, f"{kind}-{day:%Y%m%d}-{number}", kind, day)
        if random_stream(scenario.seed, "passing", day.date()).random() < 0.05:
            yield _plan_mall_fault(scenario, day)


def _plan_demand(
    scenario: Scenario, random: Random, name: str, kind: str, day: datetime
) -> Iterator[PlannedEvent]:
    household = random.choice(scenario.households)
    texts = [text for text in DEMAND_TEXTS if text.kind == kind]
    text = random.choices(texts, [text.weight for text in texts])[0]
    begin, end, _ = random.choices(_DEMAND_HOURS, [weight for *_, weight in _DEMAND_HOURS])[0]
    at = draw_moment(random, day, begin, end)
    raised = _raise_demand(random, name, household, text, at)
    yield raised
    if random.random() < 0.02:
        yield plan_event(
            at + draw_minutes(random, 3, 40),
            raised.source.partition("/")[2],
            f"{name}-withdrawn",
            "demand.withdrawn",
            reference=name,
            reason="不需要了",
        )


def _raise_demand(
    random: Random, name: str, household: Household, text: DemandText, at: datetime
) -> PlannedEvent:
    """The demand as this household raises it."""
    channel, source, _ = random.choices(_CHANNELS, [weight for *_, weight in _CHANNELS])[0]
    data: dict[str, object] = {
        "kind": text.kind,
        "summary": text.summary(household.language),
        "channel": channel,
        "location": {"floor": household.floor, "unit": household.unit},
        "requester": household.requester(),
        "reference": name,
    }
    extra = {"subject": text.subject, "priority": text.priority, "line": text.line}
    data |= {key: value for key, value in extra.items() if value is not None}
    return plan_event(at, source, name, "demand.raised", **data)


def _plan_mall_fault(scenario: Scenario, day: datetime) -> PlannedEvent:
    random = random_stream(scenario.seed, "passing by", day.date())
    name = f"passing-{day:%Y%m%d}"
    return plan_event(
        draw_moment(random, day, time(10), time(20)),
        "hotline",
        name,
        "demand.raised",
        kind="repair",
        summary=MALL_FAULT.zh,
        subject=MALL_FAULT.subject,
        channel="phone",
        location={"floor": 3},
        reference=name,
    )


def plan_faults(scenario: Scenario) -> Iterator[PlannedEvent]:
    """Equipment ages, each piece at its own pace: alarms; what passes by itself is told as intact again."""
    equipment = scenario.prop.equipment
    for day in scenario.list_days():
        random = random_stream(scenario.seed, "faults", day.date())
        for number in range(draw_count(random, FAULTS_PER_DAY)):
            wear = [random_stream(scenario.seed, "age", item.id).uniform(0.2, 2) for item in equipment]
            item = random.choices(equipment, wear)[0]
            at = draw_moment(random, day, time(0), time(23, 59)) + timedelta(seconds=number)
            yield _report_equipment(at, item.id, "faulty", alarm=True)
            if random.random() < SELF_CLEARING_SHARE:
                yield _report_equipment(at + draw_minutes(random, 2, 12), item.id, "intact")


def _report_equipment(at: datetime, item: str, state: str, **details: object) -> PlannedEvent:
    return plan_event(
        at,
        "bms",
        f"{item}-{state}-{at:%Y%m%d%H%M%S}",
        "equipment.state",
        equipment=item,
        state=state,
        **details,
    )


def plan_elevator_failures(scenario: Scenario) -> Iterator[PlannedEvent]:
    """An elevator dies in the evening rush: one alarm, and soon thirty households report it.

    At the end of the span, by day, one has died shortly before: whoever comes then finds them at it.
    """
    last = scenario.end.astimezone(scenario.zone) - LAST_ELEVATOR_FAILURE
    last_is_due = time(7) <= last.time() < time(22) and scenario.end - scenario.start > timedelta(days=7)
    for number, day in enumerate(scenario.list_days()):
        if number % DAYS_BETWEEN_ELEVATOR_FAILURES == 1:
            random = random_stream(scenario.seed, "burst", day.date())
            at = draw_moment(random, day, time(17, 45), time(18, 30))
            last_is_due = last_is_due and not (at.date() == last.date() and at < scenario.end)
            yield from _plan_elevator_failure(scenario, random, at, 30)
    if last_is_due:
        yield from _plan_elevator_failure(scenario, random_stream(scenario.seed, "last burst"), last, 9)


def _plan_elevator_failure(
    scenario: Scenario, random: Random, at: datetime, count: int
) -> Iterator[PlannedEvent]:
    elevators = [item.id for item in scenario.prop.equipment if item.system == "elevator"]
    if not elevators:
        return
    yield _report_equipment(at, random.choice(elevators), "faulty", alarm=True)
    for household in random.sample(scenario.households, min(count, len(scenario.households))):
        name = f"stuck-{at:%Y%m%d%H}-{household.unit}"
        yield _raise_demand(
            random, name, household, random.choice(ELEVATOR_REPORTS), at + MINUTE * random.randint(2, 25)
        )


def is_elevator_report(name: str) -> bool:
    """Whether the demand of this name is one of the many about a dead elevator."""
    return name.startswith("stuck-")


DEMAND_PLANNERS = (plan_demands, plan_faults, plan_elevator_failures)
