"""Fees of the simulated tower: a bill for every household and month, paid as that household pays."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from msgspec import structs

from guanjia.simulation.plan import PlannedEvent, Scenario, plan_event
from guanjia.simulation.random_streams import MINUTE, draw_minutes, random_stream
from guanjia.simulation.residents import Household

DAY = timedelta(days=1)


def plan_fees(scenario: Scenario) -> Iterator[PlannedEvent]:
    """A bill for every home and month, each due on a day of its own; paid as that household pays."""
    first = scenario.start.astimezone(scenario.zone)
    months = {(day.year, day.month) for day in scenario.list_days()} | {(first.year, first.month)}
    for year, month in sorted(months):
        for household in scenario.households:
            yield from _plan_bill(scenario, household, first.replace(year=year, month=month, day=1))


def _plan_bill(scenario: Scenario, household: Household, month: datetime) -> Iterator[PlannedEvent]:
    random = random_stream(scenario.seed, "bill", household.unit, month.year, month.month)
    bill = f"{month:%Y%m}-{household.unit}"
    due = month.replace(hour=18, minute=0, second=0, microsecond=0) + DAY * random.randrange(28)
    billed = max(scenario.start, due - 12 * DAY)
    cents = random.randrange(28_000, 96_000)
    if due <= scenario.start:
        return
    yield plan_event(
        billed,
        "billing",
        f"bill-{bill}",
        "fee.billed",
        bill=bill,
        unit=household.unit,
        amount=_format_amount(cents),
        due_at=due.isoformat(),
    )
    yield from _plan_payments(household, random, bill, cents, billed, due)


def _plan_payments(
    household: Household, random: Random, bill: str, cents: int, billed: datetime, due: datetime
) -> Iterator[PlannedEvent]:
    span = (due - billed) / MINUTE
    early, late = billed + draw_minutes(random, 0, span * 0.9), due + draw_minutes(random, 600, 9000)
    if household.payment_habit == "in_parts":
        half = cents // 2
        yield _plan_payment(early, f"{bill}-1", bill, half)
        yield _plan_payment(
            late if random.random() < 0.3 else due - 3 * MINUTE, f"{bill}-2", bill, cents - half
        )
    elif household.payment_habit == "late":
        yield _plan_payment(late, f"{bill}-1", bill, cents)
    elif household.payment_habit != "never":
        yield _plan_payment(early, f"{bill}-1", bill, cents)
        yield from _plan_payment_trouble(random, bill, cents, early)


def _plan_payment_trouble(random: Random, bill: str, cents: int, at: datetime) -> Iterator[PlannedEvent]:
    """Some payments bounce and are made again, some are reported twice."""
    draw = random.random()
    if draw < 0.02:
        reversed_at = at + draw_minutes(random, 60, 1500)
        yield plan_event(reversed_at, "billing", f"reversed-{bill}-1", "fee.reversed", payment=f"{bill}-1")
        yield _plan_payment(reversed_at + draw_minutes(random, 60, 3000), f"{bill}-2", bill, cents)
    elif draw < 0.05:
        payment = _plan_payment(at, f"{bill}-1", bill, cents)
        reported_at = at + draw_minutes(random, 1, 90)
        repeated = plan_event(reported_at, "billing", f"again-{payment.id}", "fee.paid", **payment.data)
        yield structs.replace(repeated, time=at)


def _plan_payment(at: datetime, payment: str, bill: str, cents: int) -> PlannedEvent:
    return plan_event(
        at, "billing", f"paid-{payment}", "fee.paid", payment=payment, bill=bill, amount=_format_amount(cents)
    )


def _format_amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
