"""The peers' step, which all of them take: what a peer is given to do is done, once, and no more.

Their adapters are type-checked by `make check`; their own environment is made by `make bench` alone.
"""

import ast
import re
import sys
from pathlib import Path

import asyncpg
import pytest

from bench.payload import demand_json
from bench.peers import business, workload
from tests.support.servers import strip_driver
from tests.support.stores import fetch_rows, fresh_database

BENCH = Path(business.__file__).parent.parent
LOCK = BENCH.parent / "requirements-bench.lock"
_COUNTS = """
SELECT (SELECT count(*) FROM cases WHERE version = 8 AND closed_at IS NOT NULL) AS done,
       (SELECT count(*) FROM case_history) AS history, (SELECT count(*) FROM outbox) AS outbox,
       (SELECT count(*) FROM timers) AS timers
"""


async def test_a_peers_repair_takes_eight_steps_each_of_them_once() -> None:
    with fresh_database() as url:
        async with asyncpg.create_pool(strip_driver(url), min_size=1, max_size=1) as pool:
            await pool.execute(business.DDL)
            case = workload.new_case()
            for step in range(business.STEPS):
                await business.take_step(pool, case, step, demand_json(1))
            with pytest.raises(RuntimeError, match="was taken before"):
                await business.take_step(pool, case, 7, demand_json(1))
        assert await fetch_rows(url, _COUNTS) == [{"done": 1, "history": 8, "outbox": 8, "timers": 0}]


@pytest.mark.parametrize("adapter", sorted(path.name for path in (BENCH / "peers").glob("*.py")))
def test_what_an_adapter_imports_is_locked_in_the_peers_environment(adapter: str) -> None:
    nodes = list(ast.walk(ast.parse((BENCH / "peers" / adapter).read_text())))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {name.partition(".")[0] for name in (*plain, *named)}
    packages = re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", LOCK.read_text(), re.M)
    locked = {name.replace("-", "_") for name in packages}
    assert imported - set(sys.stdlib_module_names) - {"bench"} <= locked
