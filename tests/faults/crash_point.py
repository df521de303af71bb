"""The command line of the product with a switch that kills it, `kill -9`, at a chosen moment.

    python -m tests.faults.crash_point SERVICE:POINT NUMBER [--without poll|inbox] serve all

The process ends the NUMBER-th time that SERVICE passes POINT; NUMBER 0 is never. The product knows nothing of
it: its functions are wrapped from outside. `--without` takes one of its guards away, to see that the checks
then fail.
"""

import argparse
import os
import signal
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from guanjia.cli.main import app
from services.dispatch.operations import demands
from services.dispatch.operations.case_storage import CaseStorage
from services.dispatch.operations.change_stream import ChangeStream
from shared.http.router import Router
from shared.messaging import packing
from shared.messaging.consumer import EventConsumer
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox
from shared.messaging.rabbitmq import RabbitBus
from shared.messaging.relay import Relay

POINTS = {
    "committed-not-handed-over": "after the commit, before the relay has it",
    "handed-over-not-told": "after that, before the change stream tells it",
    "handed-over-not-published": "before the bus is given it",
    "one-half-published": "the bus has confirmed every other message, the others were not sent",
    "other-half-published": "the same with the halves exchanged",
    "published-not-settled": "the bus has confirmed it, the row of `unsent` stands",
    "settled": "the row of `unsent` is deleted",
    "claimed-not-published": "a later process has leased what was left",
    "claimed-published-not-settled": "that one has published it",
    "handled-not-committed": "a consumer has done its work, its transaction is open",
    "handled-not-acknowledged": "the consumer has committed, the bus does not know",
    "committed-not-answered": "a request is carried out, its caller not answered",
}
"""What may be interrupted, and what that means."""
HALVES = ("one-half-published", "other-half-published")
_is_claimed: ContextVar[bool] = ContextVar("is_claimed", default=False)
_is_consuming: ContextVar[bool] = ContextVar("is_consuming", default=False)
Original = Callable[..., Any]


class Switch:
    """Kills this process the `number`-th time that `service` passes `point`."""

    def __init__(self, service: str, point: str, number: int) -> None:
        self.service, self.point, self._left = service, point, number

    def reach(self, service: str, point: str) -> bool:
        """Count a passing; whether it is the one."""
        if (service, point) != (self.service, self.point):
            return False
        self._left -= 1
        return self._left == 0

    def pass_point(self, service: str, point: str) -> None:
        """Count a passing, and end where it is the one."""
        if self.reach(service, point):
            end()


def end() -> None:
    """kill -9 of this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def wrap(owner: object, name: str, make: Callable[[Any], Any]) -> None:
    """Put what `make` makes of a function in its place. Raises AttributeError where there is none."""
    setattr(owner, name, make(getattr(owner, name)))


def install(switch: Switch) -> None:
    """Wrap all that is interrupted."""
    _watch_commits(switch)
    _watch_relay(switch)
    _watch_rabbitmq(switch)
    _watch_consumers(switch)
    _watch_requests(switch)


def _watch_commits(switch: Switch) -> None:
    def hand_over(original: Original) -> Original:
        def wrapped(outbox: Any, publication: Any) -> None:
            switch.pass_point(outbox._database.service, "committed-not-handed-over")
            original(outbox, publication)

        return wrapped

    def announce(original: Original) -> Original:
        def wrapped(stream: Any, changes: Any) -> None:
            switch.pass_point("dispatch", "handed-over-not-told")
            original(stream, changes)

        return wrapped

    wrap(Outbox, "_hand_over", hand_over)
    wrap(ChangeStream, "announce", announce)


def _watch_relay(switch: Switch) -> None:
    def publish(original: Original) -> Original:
        async def wrapped(relay: Any, publications: Sequence[Any]) -> Any:
            if not publications:
                return await original(relay, publications)
            service, is_claimed = relay._database.service, _is_claimed.get()
            switch.pass_point(service, "claimed-not-published" if is_claimed else "handed-over-not-published")
            refused = await original(relay, publications)
            published = "claimed-published-not-settled" if is_claimed else "published-not-settled"
            switch.pass_point(service, published)
            return refused

        return wrapped

    def settle(original: Original) -> Original:
        async def wrapped(relay: Any) -> None:
            is_confirmed = bool(relay._confirmed)
            await original(relay)
            if is_confirmed:
                switch.pass_point(relay._database.service, "settled")

        return wrapped

    wrap(Relay, "_publish", publish)
    wrap(Relay, "settle", settle)
    wrap(Relay, "send_unconfirmed", lambda original: _marking(_is_claimed, original))


def _marking(mark: ContextVar[bool], original: Original) -> Original:
    """`original`, during which `mark` is set."""

    async def wrapped(*given: Any, **named: Any) -> Any:
        token = mark.set(True)
        try:
            return await original(*given, **named)
        finally:
            mark.reset(token)

    return wrapped


def _watch_rabbitmq(switch: Switch) -> None:
    """Of each transaction of several events one half. On RabbitMQ a process serves one service."""
    if switch.point in HALVES:
        wrap(packing, "_MAX_PACK_EVENTS", lambda _: 1)

    def publish(original: Original) -> Original:
        async def wrapped(bus: Any, messages: Sequence[Any]) -> Any:
            for start, point in enumerate(HALVES):
                if len(messages) > 1 and switch.reach(switch.service, point):
                    await original(bus, messages[start::2])
                    end()
            return await original(bus, messages)

        return wrapped

    wrap(RabbitBus, "publish", publish)


def _watch_consumers(switch: Switch) -> None:
    def handle_fresh(original: Original) -> Original:
        async def wrapped(consumer: Any, handle: Original, events: Any) -> None:
            async def handle_and_pass(*given: Any) -> None:
                await handle(*given)
                switch.pass_point(consumer._host.database.service, "handled-not-committed")

            await original(consumer, handle_and_pass, events)

        return wrapped

    def consume(original: Original) -> Original:
        async def wrapped(consumer: Any, deliveries: Any) -> None:
            await original(consumer, deliveries)
            switch.pass_point(consumer._host.database.service, "handled-not-acknowledged")

        return wrapped

    wrap(EventConsumer, "_handle_fresh", handle_fresh)
    wrap(EventConsumer, "consume", consume)
    _watch_demands(switch)


def _watch_demands(switch: Switch) -> None:
    """Demands come to a handler that commits by itself: on PostgreSQL its write is its commit."""

    def save(original: Original) -> Original:
        async def wrapped(storage: Any, *given: Any, **named: Any) -> None:
            is_commit = storage._database.is_postgres
            if not is_commit:
                await original(storage, *given, **named)
            if _is_consuming.get():
                switch.pass_point("dispatch", "handled-not-committed")
            if is_commit:
                await original(storage, *given, **named)

        return wrapped

    def withdraw(original: Original) -> Original:
        async def wrapped(*given: Any) -> None:
            await original(*given)
            switch.pass_point("dispatch", "handled-not-committed")

        return wrapped

    wrap(CaseStorage, "save", save)
    wrap(demands, "open_cases", lambda original: _marking(_is_consuming, original))
    wrap(demands, "withdraw_demands", withdraw)


def _watch_requests(switch: Switch) -> None:
    def respond(original: Original) -> Original:
        async def wrapped(router: Any, service: Any, endpoint: Any, request: Any, parts: Any) -> Any:
            reply = await original(router, service, endpoint, request, parts)
            if request.method == "POST" and reply.status < 300:
                switch.pass_point(service.name, "committed-not-answered")
            return reply

        return wrapped

    wrap(Router, "_handle", respond)


async def _find_nothing(relay: Any) -> int:
    return 0


async def _take_everything(inbox: Any, connection: Any, consumer: Any, events: Sequence[Any]) -> list[Any]:
    return list(events)


GUARDS: dict[str, tuple[object, str, Original]] = {
    "poll": (Relay, "send_unconfirmed", _find_nothing),
    "inbox": (Inbox, "once", _take_everything),
}
"""What publishes again, and what leaves out repetitions; and what stands there without it."""


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("point", help="SERVICE:POINT; " + "; ".join(f"{p}: {w}" for p, w in POINTS.items()))
    parser.add_argument("number", type=int)
    parser.add_argument("--without", choices=GUARDS)
    args, command = parser.parse_known_args()
    service, _, point = args.point.partition(":")
    if args.number and point not in POINTS:
        parser.error(f"no such point: {point}")
    install(Switch(service, point, args.number))
    if args.without:
        owner, name, instead = GUARDS[args.without]
        wrap(owner, name, lambda _: instead)
    app(command)


if __name__ == "__main__":
    main()
