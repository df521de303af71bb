"""An embedded start loads what it needs and no more: Alembic only where a revision is missing."""

import asyncio
import os
import sys
from pathlib import Path

START = """
import asyncio, sys
from guanjia import http_server
from guanjia.cli import main
from guanjia.process import SERVICES, Process
from shared.settings import Settings

async def start() -> None:
    process = Process(list(SERVICES), Settings())
    await process.start()
    process.app()
    await process.stop()

asyncio.run(start())
print(*sorted({"aio_pika", "alembic", "asyncpg", "faststream", "httpx"} & sys.modules.keys()))
"""


async def start(folder: Path, properties: Path) -> list[str]:
    """Start and stop all services on `folder` in a process of their own; the libraries that were loaded."""
    settings = {"GUANJIA_DATA_DIR": str(folder), "GUANJIA_PROPERTIES_DIR": str(properties)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START, env={**os.environ, **settings}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert child.returncode == 0
    return output.decode().splitlines()[-1].split()


async def test_only_a_first_start_loads_alembic(tmp_path: Path, properties_folder: Path) -> None:
    assert await start(tmp_path / "data", properties_folder) == ["alembic"]
    assert await start(tmp_path / "data", properties_folder) == []
