"""procrastinate: a case is a row of jobs, each a transition in PostgreSQL that defers the next."""

import argparse
import asyncio
import logging
from typing import Any

import asyncpg
import procrastinate
import uvloop

from bench.payload import demand_json
from bench.peers import business, workload

CONCURRENCY = 16
app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=workload.database_url(), max_size=20)
)
_pool: Any = None
_done: dict[str, asyncio.Future[None]] = {}


@app.task(name="step")
async def step(case: str, number: int, steps: int, demand: str) -> None:
    """One transition, and the next job."""
    await business.take_step(_pool, case, number, demand)
    if number + 1 < steps:
        await step.defer_async(case=case, number=number + 1, steps=steps, demand=demand)
    else:
        _done.pop(case).set_result(None)


async def main(options: argparse.Namespace) -> None:
    """Run courses, worker and starter in one process."""
    global _pool
    logging.disable(logging.CRITICAL)
    async with (
        asyncpg.create_pool(workload.database_url(), min_size=8, max_size=8, reset=_keep_session) as _pool,
        app.open_async(),
    ):
        await _pool.execute(business.DDL)
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=CONCURRENCY, install_signal_handlers=False, fetch_job_polling_interval=0.5
            )
        )
        await asyncio.sleep(0.5)
        demand = demand_json(1)

        async def run_repair(case: str) -> None:
            _done[case] = finished = asyncio.get_running_loop().create_future()
            await step.defer_async(case=case, number=0, steps=options.steps, demand=demand)
            await finished

        await workload.run_workload(run_repair, options)
        workload.exit_now()
        await worker


async def _keep_session(_: Any) -> None:
    """Sessions are not reset when they come back to the pool: it costs a third of short statements."""


if __name__ == "__main__":
    uvloop.run(main(workload.parse_options()))
