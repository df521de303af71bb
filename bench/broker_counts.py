"""What each process has consumed and sent, as RabbitMQ's management interface counts it by channel."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from bench.environment import RunningProduct
from tests.support import servers

_SOCKET = re.compile(r"socket:\[(\d+)\]")
_INTERVAL_SECONDS = 7.0
"""The broker tells what its channels have done every five seconds."""


class _Connection(msgspec.Struct):
    peer_port: int


class _Stats(msgspec.Struct):
    ack: int = 0
    confirm: int = 0


class _Channel(msgspec.Struct):
    connection_details: _Connection
    message_stats: _Stats = msgspec.field(default_factory=_Stats)


_decoder = msgspec.json.Decoder(list[_Channel])


async def count_messages(amqp_url: str, running: RunningProduct) -> dict[str, list[float]]:
    """The messages that each copy of each service has taken and sent, by `service, taken` and `…, sent`.

    A message may hold many events. Call it when all work is done.
    """
    await asyncio.sleep(_INTERVAL_SECONDS)
    channels = await _list_channels(amqp_url)
    counts: dict[str, list[float]] = {}
    for service, pids in running.pids.items():
        ports = [list_local_ports(pid) for pid in pids]
        own = [[c.message_stats for c in channels if c.connection_details.peer_port in p] for p in ports]
        counts[f"{service}, messages consumed"] = [sum(stats.ack for stats in copy) for copy in own]
        counts[f"{service}, messages sent"] = [sum(stats.confirm for stats in copy) for copy in own]
    return counts


async def _list_channels(amqp_url: str) -> list[_Channel]:
    """Of one virtual host."""
    _, api = servers.get_broker_urls()
    parts = urlsplit(amqp_url)
    credentials = (parts.username or "guest", parts.password or "guest")
    async with httpx.AsyncClient(base_url=api, auth=credentials, trust_env=False, timeout=30) as client:
        reply = await client.get(f"/api/vhosts/{quote(parts.path[1:], safe='')}/channels")
    return _decoder.decode(reply.raise_for_status().content)


def list_local_ports(pid: int) -> set[int]:
    """The ports at this end of a process's TCP connections."""
    inodes = set(_list_sockets(pid))
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[9] in inodes}


def _list_sockets(pid: int) -> Iterator[str]:
    """The inodes of a process's sockets; what is closed meanwhile is none."""
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if match := _SOCKET.fullmatch(str(file.readlink())):
                yield match[1]
