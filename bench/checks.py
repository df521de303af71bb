"""What all four services have written of whole repairs: nothing may be missing, nothing double."""

import time

from bench.dispatcher_load import LAST_STATE, STEPS
from bench.environment import RoundEnvironment
from bench.wrk import BenchFailed
from tests.support.stores import fetch_rows
from tests.support.waiting import WaitTimedOut, eventually

_COUNTS = f"""
SELECT (SELECT count(*) FROM intake.events WHERE demand IS NOT NULL) AS demands,
       (SELECT count(*) FROM dispatch.cases WHERE state = '{LAST_STATE}') AS done,
       (SELECT count(*) FROM dispatch.cases) AS cases,
       (SELECT count(*) FROM dispatch.case_history) AS history,
       (SELECT count(*) FROM intake.case_states WHERE state = '{LAST_STATE}') AS told_to_intake,
       (SELECT count(*) FROM survey.followups) AS told_to_survey,
       (SELECT count(*) FROM kpi.cases WHERE version >= {STEPS}) AS told_to_kpi,
       (SELECT count(*) FROM intake.outbox WHERE sent_at IS NULL)
       + (SELECT count(*) FROM dispatch.outbox WHERE sent_at IS NULL)
       + (SELECT count(*) FROM survey.outbox WHERE sent_at IS NULL)
       + (SELECT count(*) FROM kpi.outbox WHERE sent_at IS NULL) AS unsent
"""


async def wait_until_all_written(environment: RoundEnvironment, repairs: int) -> float:
    """Wait until every service knows the end of so many repairs; how many seconds that took.

    BenchFailed where a demand, a case, a step of its history or a follow-up is missing or is there twice.
    """
    started = time.perf_counter()
    expected = dict.fromkeys(("demands", "done", "cases"), repairs)
    expected |= dict.fromkeys(("told_to_intake", "told_to_survey", "told_to_kpi"), repairs)
    expected |= {"history": repairs * (STEPS + 1), "unsent": 0}

    async def count_rows() -> dict[str, int]:
        return (await fetch_rows(environment.database_url, _COUNTS))[0]

    try:
        await eventually(count_rows, lambda counts: counts == expected, within=60, every=0.25)
    except WaitTimedOut as timeout:
        raise BenchFailed(f"{repairs} repairs were made, {expected} expected: {timeout}") from timeout
    return time.perf_counter() - started
