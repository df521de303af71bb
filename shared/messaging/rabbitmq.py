"""The bus on RabbitMQ: quorum queues, persistent messages, confirms; FastStream consumes, aio-pika publishes.

Two connections per process: under RabbitMQ's memory or disk alarm a connection that publishes is blocked, and
the one that only consumes goes on.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import AbstractExchange, AbstractRobustChannel, AbstractRobustConnection
from aio_pika.exceptions import AMQPError, DeliveryError
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

from shared.messages.registry import INBOUND_EXCHANGE, PUBLIC_EXCHANGE
from shared.messaging.bus import BusDown, Consumer, Delivery, Message
from shared.messaging.delivery_batcher import DeliveryBatcher
from shared.messaging.topology import (
    DEAD_EXCHANGE,
    INBOUND_QUEUE,
    INTERNAL_EXCHANGE,
    QUEUES,
    RETRY_SECONDS,
    event_types_on,
)

_log = structlog.stdlib.get_logger(__name__)
_CALL_SECONDS = 5
_LEAVE_SECONDS = 15
_PREFETCH = 200
_DELIVERY_LIMIT = 100  # a closing channel burns one for each prefetched message: far above bad luck
_ATTEMPT_DIGITS = 3
ATTEMPT = "x-guanjia-attempt"


def _with_heartbeat(url: str) -> str:
    return url if "heartbeat=" in url else f"{url}{'&' if '?' in url else '?'}heartbeat=10"


class RabbitBus:
    """Queues on the broker at `url`."""

    def __init__(self, url: str) -> None:
        self._url = _with_heartbeat(url)
        self._consumers: dict[str, Consumer] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._broker: RabbitBroker | None = None
        self._collectors: list[DeliveryBatcher] = []
        self._up = asyncio.Event()

    async def start(self, consumers: Mapping[str, Consumer]) -> None:
        """Begin to connect; goes on trying in the background while the broker is away."""
        self._consumers.update(consumers)
        self._connecting = asyncio.create_task(self._connect_until_up(), name="bus connect")
        await asyncio.wait([self._connecting], timeout=_CALL_SECONDS)

    async def _connect_until_up(self) -> None:
        while not self._up.is_set():
            try:
                await self._connect()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                _log.warning("broker not reachable yet", error=type(error).__name__)
                await self._disconnect()
                await asyncio.sleep(1)

    async def _connect(self) -> None:
        async with asyncio.timeout(2 * _CALL_SECONDS):
            self._connection = await aio_pika.connect_robust(
                self._url, timeout=_CALL_SECONDS, reconnect_interval=1
            )
            channel: Any = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._channel = channel
            await self._declare(channel)
        if self._consumers:
            self._broker = self._subscribe()
            await self._broker.start()
        self._up.set()
        _log.info("bus connected", queues=sorted(self._consumers))

    async def _declare(self, channel: AbstractRobustChannel) -> None:
        for name in (INBOUND_EXCHANGE, PUBLIC_EXCHANGE, INTERNAL_EXCHANGE, DEAD_EXCHANGE):
            kind = aio_pika.ExchangeType.TOPIC if name != DEAD_EXCHANGE else aio_pika.ExchangeType.DIRECT
            self._exchanges[name] = await channel.declare_exchange(name, kind, durable=True)
        for queue in QUEUES:
            await self._declare_queue(channel, queue, event_types_on(queue))
        await self._declare_queue(channel, INBOUND_QUEUE, ())

    async def _declare_queue(self, channel: AbstractRobustChannel, name: str, types: Sequence[str]) -> None:
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

    def _subscribe(self) -> RabbitBroker:
        broker = RabbitBroker(
            self._url, fail_fast=True, timeout=_CALL_SECONDS, reconnect_interval=1, graceful_timeout=1,
            logger=None, apply_types=False,
        )  # fmt: skip
        for queue, consumer in self._consumers.items():
            collector = DeliveryBatcher(consumer)
            self._collectors.append(collector)
            subscriber = broker.subscriber(
                RabbitQueue(queue, declare=False),
                channel=Channel(prefetch_count=_PREFETCH),
                ack_policy=AckPolicy.NACK_ON_ERROR,
                decoder=_delivery_decoder(queue),
                no_reply=True,
            )
            subscriber(collector.settle)
        return broker

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        sending = (self._send(message) for message in messages)
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        failed = {index: error for index, error in enumerate(outcomes) if error is not None}
        down = [error for error in failed.values() if not isinstance(error, DeliveryError)]
        if down and len(failed) == len(messages):
            raise BusDown(f"not published: {type(down[0]).__name__}") from down[0]
        return list(failed)

    async def _send(self, message: Message) -> None:
        kind = "application/cloudevents-batch+json" if message.packed else "application/cloudevents+json"
        exchange = PUBLIC_EXCHANGE if message.public else INTERNAL_EXCHANGE
        await self._put(exchange, message.key, message.body, kind, mandatory=not message.public)

    async def _put(
        self,
        exchange: str,
        key: str,
        body: bytes,
        kind: str,
        *,
        mandatory: bool,
        headers: dict[str, Any] | None = None,
    ) -> None:
        if not self._up.is_set() or self._channel is None:
            raise BusDown("the broker is not reachable")
        outgoing = aio_pika.Message(
            body, content_type=kind, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, headers=headers or {}
        )
        target = self._exchanges[exchange] if exchange else self._channel.default_exchange
        async with asyncio.timeout(_CALL_SECONDS):
            await target.publish(outgoing, key, mandatory=mandatory)

    async def retry(self, delivery: Delivery, body: bytes, seconds: int) -> None:
        nearest = min(RETRY_SECONDS, key=lambda offered: abs(offered - seconds))
        headers = {**delivery.headers, ATTEMPT: str(delivery.attempt + 1)}
        queue, kind = f"{delivery.queue}.retry.{nearest}", "application/cloudevents+json"
        with _as_bus_down():
            await self._put("", queue, body, kind, mandatory=True, headers=headers)

    async def ping(self) -> None:
        if not self._up.is_set() or self._channel is None:
            raise BusDown("the broker is not reachable")
        with _as_bus_down():
            async with asyncio.timeout(_CALL_SECONDS):
                await self._channel.declare_exchange(
                    PUBLIC_EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
                )

    async def pause(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        await asyncio.gather(*(collector.finish(_LEAVE_SECONDS) for collector in self._collectors))
        await self._stop_consuming()

    async def stop(self) -> None:
        await self.pause()
        await self._disconnect()

    async def _disconnect(self) -> None:
        self._up.clear()
        await self._stop_consuming()
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(TimeoutError, OSError, RuntimeError, AMQPError):
                async with asyncio.timeout(_CALL_SECONDS):
                    await connection.close()

    async def _stop_consuming(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            with suppress(TimeoutError, OSError, RuntimeError, AMQPError):
                async with asyncio.timeout(_CALL_SECONDS):
                    await broker.stop()


@contextmanager
def _as_bus_down() -> Iterator[None]:
    try:
        yield
    except (TimeoutError, OSError, RuntimeError, AMQPError) as error:
        raise BusDown("the broker does not answer") from error


def _queue_arguments(name: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-delivery-limit": _DELIVERY_LIMIT,
    }


def _retry_arguments(name: str, seconds: int) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-message-ttl": seconds * 1000,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def _delivery_decoder(queue: str) -> Any:
    async def decode(message: Any) -> Delivery:
        headers = {"content-type": str(message.content_type)} if message.content_type else {}
        return Delivery(
            queue=queue,
            body=message.body,
            attempt=_attempt_count(message.headers.get(ATTEMPT)),
            headers=headers,
        )

    return decode


def _attempt_count(told: Any) -> int:
    """Our own count of retries; whoever publishes from outside may have written anything there."""
    text = str(told)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _ATTEMPT_DIGITS else 0
