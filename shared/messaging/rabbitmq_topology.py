"""Declares the topology on RabbitMQ: durable exchanges and quorum queues, each with retry and dead queues."""

from collections.abc import Sequence

from aio_pika import ExchangeType
from aio_pika.abc import AbstractExchange, AbstractRobustChannel
from pamqp.common import Arguments

from shared.messages.registry import INBOUND_EXCHANGE, PUBLIC_EXCHANGE
from shared.messaging.topology import (
    DEAD_EXCHANGE,
    INBOUND_QUEUE,
    INTERNAL_EXCHANGE,
    QUEUES,
    RETRY_SECONDS,
    event_types_on,
)

_DELIVERY_LIMIT = 100  # a closing channel burns one for each prefetched message: far above bad luck


async def declare_topology(channel: AbstractRobustChannel) -> dict[str, AbstractExchange]:
    """Declare every exchange and queue; the exchanges by name."""
    exchanges: dict[str, AbstractExchange] = {}
    for name in (INBOUND_EXCHANGE, PUBLIC_EXCHANGE, INTERNAL_EXCHANGE, DEAD_EXCHANGE):
        kind = ExchangeType.TOPIC if name != DEAD_EXCHANGE else ExchangeType.DIRECT
        exchanges[name] = await channel.declare_exchange(name, kind, durable=True)
    for queue in QUEUES:
        await _declare_queue(channel, queue, event_types_on(queue))
    await _declare_queue(channel, INBOUND_QUEUE, ())
    return exchanges


async def _declare_queue(channel: AbstractRobustChannel, name: str, types: Sequence[str]) -> None:
    dead = await channel.declare_queue(f"{name}.dead", durable=True, arguments={"x-queue-type": "quorum"})
    await dead.bind(DEAD_EXCHANGE, name)
    queue = await channel.declare_queue(name, durable=True, arguments=_queue_arguments(name))
    for key in types:
        await queue.bind(INTERNAL_EXCHANGE, key)
    if name == INBOUND_QUEUE:
        await queue.bind(INBOUND_EXCHANGE, "#")
    for seconds in RETRY_SECONDS:
        await channel.declare_queue(
            f"{name}.retry.{seconds}", durable=True, arguments=_retry_arguments(name, seconds)
        )


def _queue_arguments(name: str) -> Arguments:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-delivery-limit": _DELIVERY_LIMIT,
    }


def _retry_arguments(name: str, seconds: int) -> Arguments:
    return {
        "x-queue-type": "quorum",
        "x-message-ttl": seconds * 1000,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
