"""The bus on RabbitMQ: quorum queues, persistent messages, confirms; FastStream consumes, aio-pika publishes.

Two connections per process: under RabbitMQ's memory or disk alarm a connection that publishes is blocked, and
the one that only consumes goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import cast

import aio_pika
import structlog
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aio_pika.exceptions import AMQPError, DeliveryError
from aiormq import Channel
from faststream import AckPolicy
from faststream.rabbit import Channel as ConsumerChannel
from faststream.rabbit import RabbitBroker, RabbitMessage, RabbitQueue

from shared.messages.registry import PUBLIC_EXCHANGE
from shared.messaging.bus import BusDown, Consumer, Delivery, Message
from shared.messaging.delivery_batcher import DeliveryBatcher
from shared.messaging.rabbitmq_publish import Outcome, publish_all
from shared.messaging.rabbitmq_topology import declare_topology
from shared.messaging.topology import RETRY_SECONDS

_log = structlog.stdlib.get_logger(__name__)
_CALL_SECONDS = 5
_PAUSE_SECONDS = 15
_PREFETCH = 200
_ATTEMPT_DIGITS = 3
ATTEMPT_HEADER = "x-guanjia-attempt"


def _with_heartbeat(url: str) -> str:
    return url if "heartbeat=" in url else f"{url}{'&' if '?' in url else '?'}heartbeat=10"


class RabbitBus:
    """Queues on the broker at `url`."""

    def __init__(self, url: str) -> None:
        self._url = _with_heartbeat(url)
        self._consumers: dict[str, Consumer] = {}
        self._rests: dict[str, float] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._broker: RabbitBroker | None = None
        self._batchers: list[DeliveryBatcher] = []
        self._up = asyncio.Event()

    async def start(self, consumers: Mapping[str, Consumer], rests: Mapping[str, float] = {}) -> None:
        """Begin to connect; goes on trying in the background while the broker is away."""
        self._consumers.update(consumers)
        self._rests.update(rests)
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
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            await declare_topology(channel)
            self._channel = channel
        if self._consumers:
            self._broker = self._subscribe()
            await self._broker.start()
        self._up.set()
        _log.info("bus connected", queues=sorted(self._consumers))

    def _subscribe(self) -> RabbitBroker:
        broker = RabbitBroker(
            self._url, fail_fast=True, timeout=_CALL_SECONDS, reconnect_interval=1, graceful_timeout=1,
            logger=None, apply_types=False,
        )  # fmt: skip
        for queue, consumer in self._consumers.items():
            batcher = DeliveryBatcher(consumer, self._rests.get(queue, 0.0))
            self._batchers.append(batcher)
            subscriber = broker.subscriber(
                RabbitQueue(queue, declare=False),
                channel=ConsumerChannel(prefetch_count=_PREFETCH),
                ack_policy=AckPolicy.NACK_ON_ERROR,
                decoder=_make_decoder(queue),
                no_reply=True,
            )
            subscriber(batcher.settle)
        return broker

    async def publish(self, messages: Sequence[Message]) -> Sequence[int]:
        outcomes = await self._publish_all(messages) if messages else []
        failed = {index: error for index, error in enumerate(outcomes) if error is not None}
        down = [error for error in failed.values() if not isinstance(error, DeliveryError)]
        if down and len(failed) == len(messages):
            raise BusDown(f"not published: {type(down[0]).__name__}") from down[0]
        return list(failed)

    async def _publish_all(self, messages: Sequence[Message]) -> list[Outcome]:
        if not self._up.is_set() or self._channel is None:
            raise BusDown("the broker is not reachable")
        with _bus_down_on_error():
            async with asyncio.timeout(_CALL_SECONDS):
                channel = await self._channel.get_underlay_channel()
                return await publish_all(cast(Channel, channel), messages)

    async def retry(self, delivery: Delivery, body: bytes, seconds: int) -> None:
        if not self._up.is_set() or self._channel is None:
            raise BusDown("the broker is not reachable")
        _, nearest = min((abs(delay - seconds), delay) for delay in RETRY_SECONDS)
        outgoing = aio_pika.Message(
            body,
            content_type="application/cloudevents+json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers={**delivery.headers, ATTEMPT_HEADER: str(delivery.attempt + 1)},
        )
        with _bus_down_on_error():
            async with asyncio.timeout(_CALL_SECONDS):
                exchange = self._channel.default_exchange
                await exchange.publish(outgoing, f"{delivery.queue}.retry.{nearest}", mandatory=True)

    async def ping(self) -> None:
        if not self._up.is_set() or self._channel is None:
            raise BusDown("the broker is not reachable")
        with _bus_down_on_error():
            async with asyncio.timeout(_CALL_SECONDS):
                await self._channel.declare_exchange(
                    PUBLIC_EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
                )

    async def pause(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        await asyncio.gather(*(batcher.finish(_PAUSE_SECONDS) for batcher in self._batchers))
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
def _bus_down_on_error() -> Iterator[None]:
    try:
        yield
    except (TimeoutError, OSError, RuntimeError, AMQPError) as error:
        raise BusDown("the broker does not answer") from error


def _make_decoder(queue: str) -> Callable[[RabbitMessage], Awaitable[Delivery]]:
    async def decode(message: RabbitMessage) -> Delivery:
        headers = {"content-type": str(message.content_type)} if message.content_type else {}
        return Delivery(
            queue=queue,
            body=cast(bytes, message.body),
            attempt=_read_attempt(message.headers.get(ATTEMPT_HEADER)),
            headers=headers,
        )

    return decode


def _read_attempt(value: object) -> int:
    """Our own count of retries; whoever publishes from outside may have written anything there."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _ATTEMPT_DIGITS else 0
