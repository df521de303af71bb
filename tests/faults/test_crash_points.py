"""A few of the moments at which `python -m tests.faults.crash_points --all` kills every service."""

from pathlib import Path

import pytest

from tests.faults.crash_points import Crash, Plan, run_plan
from tests.support.stores import fresh_database, fresh_vhost

PUBLISHING = [
    Crash("dispatch", "committed-not-handed-over", 4),
    Crash("survey", "handed-over-not-published"),
    Crash("dispatch", "handed-over-not-told", 3),
]
CONSUMING = [
    Crash("dispatch", "handled-not-acknowledged", 2),
    Crash("kpi", "handled-not-committed", 2),
    Crash("dispatch", "committed-not-answered", 2),
]
ON_RABBITMQ = [
    Crash("intake", "committed-not-handed-over"),
    Crash("dispatch", "other-half-published"),
    Crash("survey", "published-not-settled"),
]


@pytest.mark.parametrize("plan", [PUBLISHING, CONSUMING], ids=["publishing", "consuming"])
async def test_one_process_that_is_killed_between_two_of_its_writes_loses_and_doubles_nothing(
    plan: Plan, tmp_path: Path
) -> None:
    counts = await run_plan(plan, tmp_path)
    assert counts["cases"] == counts["demands"] + counts["reworks"]


async def test_services_on_rabbitmq_that_are_killed_between_two_sends_lose_and_double_nothing(
    tmp_path: Path,
) -> None:
    with fresh_database() as database_url, fresh_vhost() as amqp_url:
        counts = await run_plan(ON_RABBITMQ, tmp_path, database_url=database_url, amqp_url=amqp_url)
    assert counts["cases"] == counts["demands"] + counts["reworks"]
