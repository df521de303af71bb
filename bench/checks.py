"""What all four services have written of whole repairs: nothing may be missing, nothing double."""

import time

from bench import product_tables, published
from bench.dispatcher_load import STEPS
from bench.environment import RoundEnvironment, RunningProduct
from bench.product_tables import CLOSED_STATE, LAST_STATE
from bench.wrk import BenchFailed
from tests.support.waiting import WaitTimedOut, eventually

Counts = dict[str, int]


async def wait_until_all_written(
    environment: RoundEnvironment, running: RunningProduct, repairs: int, *, closed: bool = False
) -> float:
    """Wait until every service knows the end of so many repairs; how many seconds that took.

    The end is that they are done or, `closed`, that they have been followed up too: a step more. BenchFailed
    where a demand, a case, a step of its history or a follow-up is missing or is there twice.
    """
    started = time.perf_counter()
    state, steps = (CLOSED_STATE, STEPS + 2) if closed else (LAST_STATE, STEPS + 1)
    expected = product_tables.expect_repairs(repairs, steps) | {"to_be_sent": 0}

    async def count() -> Counts:
        counts = await product_tables.count_repairs(environment.database_url, state, steps)
        pending = [await published.read_pending(serving) for serving in running.serving.values()]
        return counts | {"to_be_sent": round(sum(pending))}

    try:
        await eventually(count, lambda counts: counts == expected, within=60, every=0.25)
    except WaitTimedOut as timeout:
        raise BenchFailed(f"{repairs} repairs were made, {expected} expected: {timeout}") from timeout
    return time.perf_counter() - started
