"""Short forms of the backlog; the long one is `python -m tests.faults.backlog`."""

from pathlib import Path

import pytest

from tests.faults.backlog import campaign
from tests.support.stores import fresh_database


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker_away", [False, True])
async def test_what_queues_while_dispatch_is_stopped_drains_in_bounded_memory(
    tmp_path: Path, broker_away: bool
) -> None:
    with fresh_database() as database_url:
        figures = await campaign(tmp_path, database_url, demands=2000, posters=4, broker_away=broker_away)
    assert figures["unsent_then"] == (2000 if broker_away else 0)
