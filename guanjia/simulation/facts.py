"""Facts of the simulated tower: residents, inspections, plants, incidents, purchases, answers."""

from collections.abc import Iterator
from datetime import datetime, time
from random import Random

from guanjia.simulation.fees import plan_fees
from guanjia.simulation.plan import PlannedEvent, Scenario, plan_event
from guanjia.simulation.random_streams import draw_count, draw_minutes, draw_moment, random_stream
from guanjia.simulation.residents import Household

_PLANTS_BY_AREA = {"A1": 180, "A2": 96, "roof-garden": 240, "river-side": 320, "lobby": 42, "terrace": 75}
_PURCHASES = (("fitness card", "480.00"), ("housekeeping, 10 hours", "600.00"), ("airport shuttle", "260.00"),
          ("flower delivery", "128.00"), ("club dinner", "388.50"))  # fmt: skip


def plan_registrations(scenario: Scenario) -> Iterator[PlannedEvent]:
    """At the beginning: residents, equipment, occupied units."""
    at = scenario.start
    yield plan_event(
        at, "office", f"occupied-{at:%Y%m%d}", "property.occupancy", occupied_units=len(scenario.households)
    )
    for item in scenario.prop.equipment:
        data: dict[str, object] = {"equipment": item.id, "system": item.system, "critical": item.critical}
        yield plan_event(at, "bms", f"registered-{item.id}", "equipment.registered", **data)
    for household in scenario.households:
        yield plan_event(
            at,
            "office",
            f"registered-{household.resident}",
            "resident.registered",
            **_registration_data(household),
        )


def _registration_data(household: Household) -> dict[str, object]:
    fields = {"resident": household.resident, "unit": household.unit, "role": household.role}
    return {name: value for name, value in (household.requester() | fields).items() if name != "id"}


def plan_occupancy(scenario: Scenario) -> Iterator[PlannedEvent]:
    """Now and then somebody moves in or out."""
    units = len(scenario.households)
    for day in scenario.list_days():
        random = random_stream(scenario.seed, "occupancy", day.date())
        if random.random() < 0.15:
            units += random.choice((1, 1, -1))
            at = draw_moment(random, day, time(10), time(17))
            yield plan_event(
                at, "office", f"occupied-{at:%Y%m%d%H%M}", "property.occupancy", occupied_units=units
            )


def plan_inspections(scenario: Scenario) -> Iterator[PlannedEvent]:
    """Rounds of cleaning (twice a day), security (once) and greening (three days a week)."""
    rounds = (
        ("cleaning", "am", time(9), time(11), range(7), 36),
        ("cleaning", "pm", time(15), time(17), range(7), 24),
        ("security", "night", time(21), time(23), range(7), 18),
        ("greening", "am", time(8), time(10), (0, 2, 4), 14),
    )
    for day in scenario.list_days():
        for line, part, begin, end, weekdays, points in rounds:
            if day.weekday() in weekdays:
                random = random_stream(scenario.seed, "inspection", line, part, day.date())
                at = draw_moment(random, day, begin, end)
                yield from _plan_inspection(random, f"{line}-{part}-{day:%Y%m%d}", line, at, points)


def _plan_inspection(
    random: Random, name: str, line: str, at: datetime, points: int
) -> Iterator[PlannedEvent]:
    """Most pass whole; what was found wanting is often looked at again the next day."""
    failures = random.choices((0, 1, 2), (93, 5, 2))[0]
    data: dict[str, object] = {"inspection": name, "line": line, "checked": points}
    yield plan_event(
        at, "patrol", f"inspection-{name}", "inspection.recorded", **data, passed=points - failures
    )
    if failures and random.random() < 0.7:
        again_at = at + draw_minutes(random, 1200, 1600)
        yield plan_event(
            again_at, "patrol", f"inspection-{name}-again", "inspection.recorded", **data, passed=points
        )


def plan_plant_counts(scenario: Scenario) -> Iterator[PlannedEvent]:
    """Every Monday, and at the beginning, the plants of every area are counted."""
    for number, day in enumerate(scenario.list_days()):
        if number == 0 or day.weekday() == 0:
            for area, planted in _PLANTS_BY_AREA.items():
                random = random_stream(scenario.seed, "plants", area, day.date())
                dead = random.choices((0, 1, 3), (88, 9, 3))[0]
                at = max(scenario.start, draw_moment(random, day, time(8), time(11)))
                yield plan_event(
                    at,
                    "patrol",
                    f"plants-{area}-{day:%Y%m%d}",
                    "planting.counted",
                    area=area,
                    planted=planted,
                    living=planted - dead,
                )


def plan_incidents(scenario: Scenario) -> Iterator[PlannedEvent]:
    """Seldom something happens; sometimes it turns out that management was not responsible."""
    for day in scenario.list_days():
        random = random_stream(scenario.seed, "incident", day.date())
        for number in range(draw_count(random, 0.05)):
            at = draw_moment(random, day, time(6), time(23))
            name = f"{day:%Y%m%d}-{number}"
            data: dict[str, object] = {"incident": name, "severity": "general", "occurred_at": at.isoformat()}
            responsible = random.random() < 0.3
            if random.random() < 0.04:
                data["severity"] = "major"
            recorded_at = at + draw_minutes(random, 5, 120)
            yield plan_event(
                recorded_at,
                "office",
                f"incident-{name}",
                "incident.recorded",
                **data,
                responsible=responsible,
            )
            if responsible and random.random() < 0.5:
                corrected_at = recorded_at + draw_minutes(random, 1000, 5000)
                yield plan_event(
                    corrected_at,
                    "office",
                    f"incident-{name}-again",
                    "incident.recorded",
                    **data,
                    responsible=False,
                )


def plan_purchases(scenario: Scenario) -> Iterator[PlannedEvent]:
    """What residents buy of the club and the office."""
    for day in scenario.list_days():
        random = random_stream(scenario.seed, "purchase", day.date())
        for number in range(draw_count(random, 1.2)):
            household, (item, amount) = random.choice(scenario.households), random.choice(_PURCHASES)
            yield plan_event(
                draw_moment(random, day, time(9), time(21)),
                "club",
                f"purchase-{day:%Y%m%d}-{number}",
                "purchase.recorded",
                resident=household.resident,
                item=item,
                amount=amount,
            )


def plan_questionnaires(scenario: Scenario) -> Iterator[PlannedEvent]:
    """The month's questionnaire: about half answer, some think better of it a day later."""
    for day in scenario.list_days():
        for household in scenario.households:
            random = random_stream(scenario.seed, "questionnaire", day.year, day.month, household.unit)
            if random.random() < 0.5 and random.randrange(28) + 1 == day.day:
                at = draw_moment(random, day, time(9), time(22))
                yield from _plan_answers(household, random, f"{day:%Y-%m}", at)


def _plan_answers(household: Household, random: Random, name: str, at: datetime) -> Iterator[PlannedEvent]:
    answer: dict[str, object] = {"questionnaire": name, "respondent": household.resident}
    yield plan_event(
        at,
        "survey",
        f"answer-{name}-{household.unit}",
        "questionnaire.answered",
        **answer,
        ratings=_draw_ratings(household, random),
    )
    if random.random() < 0.04:
        corrected_at = at + draw_minutes(random, 600, 2000)
        yield plan_event(
            corrected_at,
            "survey",
            f"answer-{name}-{household.unit}-again",
            "questionnaire.answered",
            **answer,
            ratings=_draw_ratings(household, random),
        )


def _draw_ratings(household: Household, random: Random) -> dict[str, int]:
    lines = ("customer_service", "security", "maintenance", "cleaning", "greening")
    return {line: draw_rating(household, random, disappointing=False) for line in lines}


def draw_rating(household: Household, random: Random, *, disappointing: bool) -> int:
    """The stars that a household gives, where the service was `disappointing` and where it was not."""
    weights = {"easy": (0, 0, 2, 180, 800), "plain": (0, 1, 4, 450, 1500), "demanding": (1, 2, 5, 120, 120)}
    if disappointing:
        weights = {"easy": (0, 2, 8, 50, 40), "plain": (2, 6, 12, 50, 30), "demanding": (10, 20, 20, 30, 20)}
    return random.choices((1, 2, 3, 4, 5), weights[household.temperament])[0]


FACT_PLANNERS = (
    plan_registrations,
    plan_occupancy,
    plan_fees,
    plan_inspections,
    plan_plant_counts,
    plan_incidents,
    plan_purchases,
    plan_questionnaires,
)
