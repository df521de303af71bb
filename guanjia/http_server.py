"""Serves a process over HTTP until SIGINT or SIGTERM, with an orderly start and end."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from socket import AF_INET, AF_INET6, create_server, socket

import structlog
import uvicorn

from guanjia.process import Process
from shared.settings import Settings
from shared.telemetry import configure_logging, configure_tracing

DRAIN_SECONDS = 10
_log = structlog.stdlib.get_logger(__name__)


class PortTaken(Exception):
    """Nothing can listen there."""

    def __init__(self, settings: Settings) -> None:
        address = f"{settings.host}:{settings.port}"
        super().__init__(
            f"{address} 已被占用或无法监听，请设置 GUANJIA_PORT。 "
            f"Can't listen on {address}; set GUANJIA_PORT."
        )


def open_socket(settings: Settings) -> socket:
    """A socket that listens on the settings' address. Raises `PortTaken`."""
    try:
        return create_server(
            (settings.host, settings.port),
            family=AF_INET6 if ":" in settings.host else AF_INET,
            backlog=1024,
            reuse_port=False,
        )
    except OSError as error:
        raise PortTaken(settings) from error


async def serve(
    names: Sequence[str], settings: Settings, on_started: Callable[[Process], Awaitable[None]]
) -> None:
    """Serve until SIGINT or SIGTERM, then leave in good order; `on_started` is called once the port is open.

    The port is taken before anything else starts. Raises `PortTaken`.
    """
    configure_logging(settings.log_level)
    configure_tracing(names[0] if len(names) == 1 else "all")
    listener = open_socket(settings)
    process = Process(names, settings)
    server = _Server(_configure_uvicorn(process))
    starting = asyncio.create_task(process.start(), name="start")
    _leave_on_signals(server, process, starting)
    try:
        await asyncio.wait([starting])
        if starting.cancelled():
            return
        starting.result()
        # What is there now stays (libraries, workflows, statements). The garbage collector would walk all of
        # it every few requests, for a sixth of the CPU; the cycles among 20,000 objects are a few MB.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        serving = asyncio.create_task(server.serve([listener]), name="http")
        if await server.wait_until_open(serving):
            await on_started(process)
        await serving
    finally:
        await process.stop()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process decides how it ends."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._open = asyncio.Event()
        self._leaving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self._open.set()

    async def main_loop(self) -> None:
        """As uvicorn's, awake once a second for the header `Date` instead of ten times."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._leaving.wait()

    def leave(self) -> None:
        """Take no more requests, finish those that are being served."""
        self.should_exit = True
        self._leaving.set()

    async def wait_until_open(self, serving: asyncio.Task[None]) -> bool:
        """Wait until requests are taken; false where serving ended instead."""
        opening = asyncio.create_task(self._open.wait())
        await asyncio.wait([opening, serving], return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        return self.started


def _configure_uvicorn(process: Process) -> uvicorn.Config:
    return uvicorn.Config(
        process.app(),
        host=process.settings.host,
        port=process.settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        limit_concurrency=2000,
        backlog=1024,
    )


def _leave_on_signals(server: _Server, process: Process, starting: asyncio.Task[None]) -> None:
    def leave() -> None:
        _log.info("leaving")
        starting.cancel()
        server.leave()
        for service in process.services:
            service.ready = False
            service.stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, leave)
