"""RabbitMQ is away: demands are accepted all the same, and each arrives once when it is back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults import checks
from tests.faults.kill import wait_until_ready
from tests.faults.repairs import PROPERTY, RepairTraffic, ServiceClients
from tests.support.processes import Processes
from tests.support.properties import write_property
from tests.support.rabbitmq import RabbitMQ
from tests.support.stores import fresh_database


@asynccontextmanager
async def start_own_broker(folder: Path) -> AsyncIterator[RabbitMQ]:
    """A broker of this test alone, to be killed."""
    broker = RabbitMQ(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.mark.timeout(300)
async def test_a_demand_posted_while_rabbitmq_is_down_arrives_once_after_it_returns(tmp_path: Path) -> None:
    write_property(tmp_path / "properties", PROPERTY)
    async with start_own_broker(tmp_path / "rabbitmq") as broker:
        with fresh_database() as database_url:
            group = Processes(
                tmp_path, tmp_path / "properties", database_url=database_url, amqp_url=broker.url
            )
            try:
                running = {name: group.make(name) for name in ("intake", "dispatch", "survey", "kpi")}
                for process in running.values():
                    process.launch()
                await asyncio.gather(*(wait_until_ready(process) for process in running.values()))
                clients = ServiceClients(running)
                traffic = RepairTraffic(clients, seed=1)
                first = await traffic.run_repair()
                broker.nodes[0].kill()
                repairs = [await traffic.raise_demand() for _ in range(20)]
                broker.restart()
                for repair in repairs:
                    await traffic.wait_until_assigned(repair)
                await traffic.run_repair()
                await checks.wait_until_settled(clients)
                counts = await checks.check_results(clients, traffic.repairs)
                await clients.close()
            finally:
                group.close()
    assert first.closed
    assert counts["demands"] == 22


@pytest.mark.timeout(300)
async def test_services_that_start_before_rabbitmq_take_demands_and_deliver_them_later(
    tmp_path: Path,
) -> None:
    write_property(tmp_path / "properties", PROPERTY)
    async with start_own_broker(tmp_path / "rabbitmq") as broker:
        broker.nodes[0].kill()
        with fresh_database() as database_url:
            group = Processes(
                tmp_path, tmp_path / "properties", database_url=database_url, amqp_url=broker.url
            )
            try:
                running = {name: group.make(name) for name in ("intake", "dispatch", "survey", "kpi")}
                for process in running.values():
                    process.launch()
                clients = ServiceClients(running)
                traffic = RepairTraffic(clients, seed=2)
                repairs = [await traffic.raise_demand() for _ in range(5)]
                broker.restart()
                for repair in repairs:
                    await traffic.wait_until_assigned(repair)
                await checks.wait_until_settled(clients)
                assert (await checks.check_results(clients, traffic.repairs))["demands"] == 5
                await clients.close()
            finally:
                group.close()
