"""DBOS: a case is a workflow of asynchronous steps, each a transition beside DBOS's own log."""

import argparse
from typing import Any

import asyncpg
import uvloop
from dbos import DBOS, SetWorkflowID

from bench.payload import demand_json
from bench.peers import business, workload

POOL = 20
_pool: Any = None


@DBOS.step()
async def step(case: str, number: int, demand: str) -> str:
    """One transition."""
    await business.take_step(_pool, case, number, demand)
    return business.STATES[number + 1]


@DBOS.workflow()
async def repair(case: str, steps: int, demand: str) -> str:
    """All transitions of a case."""
    for number in range(steps):
        await step(case, number, demand)
    return case


async def main(options: argparse.Namespace) -> None:
    """Run courses."""
    global _pool
    async with asyncpg.create_pool(
        workload.database_url(), min_size=8, max_size=8, init=None, reset=_keep_session
    ) as _pool:
        await _pool.execute(business.DDL)
        demand = demand_json(1)

        async def run_repair(case: str) -> None:
            with SetWorkflowID(case):
                handle = await DBOS.start_workflow_async(repair, case, options.steps, demand)
            await handle.get_result()

        await workload.run_workload(run_repair, options)


async def _keep_session(_: Any) -> None:
    """Sessions are not reset when they come back to the pool: it costs a third of short statements."""


if __name__ == "__main__":
    DBOS(
        config={
            "name": "repairs",
            "system_database_url": workload.database_url(),
            "sys_db_pool_size": POOL,
            "log_level": "ERROR",
            "enable_otlp": False,
        }
    )
    DBOS.launch()
    uvloop.run(main(workload.parse_options()))
    workload.exit_now()
