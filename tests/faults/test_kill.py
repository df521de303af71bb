"""A short kill -9 campaign; the long one is `python -m tests.faults.kill`."""

from pathlib import Path

import pytest

from tests.faults.kill import SERVICES, campaign
from tests.support.stores import fresh_database, fresh_vhost


@pytest.mark.timeout(300)
async def test_killing_every_service_thrice_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with fresh_database() as database_url, fresh_vhost() as amqp_url:
        counts = await campaign(
            tmp_path, database_url, amqp_url, victims=SERVICES, times=3, seed=1, repairs=4
        )
    assert counts["kills"] == 12
    assert counts["demands"] >= 4
