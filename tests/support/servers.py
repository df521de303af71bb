"""The servers that tests run against: those named by the settings where they answer, else throwaway ones.

A supervisor process starts the throwaway ones when they are first asked for, shares them among all test
processes, and ends them when whoever started it is gone, killed or not.
"""

import contextlib
import functools
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from tests.support.blocking import run_blocking
from tests.support.children import ChildFailed, end_process, is_listening
from tests.support.postgres import Postgres
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import eventually_now

SOCKET = "GUANJIA_TESTS_SUPERVISOR"
LONGEST_START = 180.0


@contextlib.contextmanager
def run_supervisor() -> Iterator[None]:
    """While inside, `get_postgres_url()` and `get_broker_urls()` work here and in all that is started."""
    if SOCKET in os.environ:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="guanjia-tests-"))
    folder.chmod(0o755)  # the database's own account must get through
    argv = [sys.executable, "-m", "tests.support.servers", str(folder)]
    supervisor = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
    os.environ[SOCKET] = str(folder / "ask")
    try:
        yield
    finally:
        del os.environ[SOCKET]
        assert supervisor.stdin
        supervisor.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(30)
        end_process(supervisor)


def get_postgres_url() -> str:
    """A server on which databases may be created: the one named by GUANJIA_DATABASE_URL if it answers."""
    return find_configured_postgres() or _request_server("postgres")


def get_broker_urls() -> tuple[str, str]:
    """(AMQP URL, management URL) of a broker on which virtual hosts may be created."""
    configured = find_configured_broker()
    if configured:
        return configured
    url, api = _request_server("rabbitmq").split()
    return url, api


def find_configured_postgres() -> str | None:
    """The server of GUANJIA_DATABASE_URL if it answers and lets that user create databases."""
    configured = _read_setting("DATABASE_URL")
    return configured if configured.startswith("postgres") and _creates_databases(configured) else None


def find_configured_broker() -> tuple[str, str] | None:
    """The broker of GUANJIA_AMQP_URL if it answers and lets that user create virtual hosts.

    They are created through its management interface: GUANJIA_TEST_RABBITMQ_API, else port 15672 of the
    same host. Tests never enter a virtual host that is not their own, so without it another broker is taken.
    """
    configured = _read_setting("AMQP_URL")
    if not configured or not _is_reachable(configured, 5672):
        return None
    api = os.environ.get("GUANJIA_TEST_RABBITMQ_API") or f"http://{urlsplit(configured).hostname}:15672"
    return (configured, api) if _is_administrator(configured, api) else None


def hide_settings() -> None:
    """Take guanjia's settings out of the environment, so that no test acts on what the developer runs.

    The two that name servers stay known here under names of their own.
    """
    for name in ("DATABASE_URL", "AMQP_URL"):
        if value := os.environ.get(f"GUANJIA_{name}"):
            os.environ.setdefault(f"GUANJIA_TEST_{name}", value)
    for name in [name for name in os.environ if name.startswith("GUANJIA_")]:
        if not name.startswith("GUANJIA_TEST"):
            del os.environ[name]


def _read_setting(name: str) -> str:
    return os.environ.get(f"GUANJIA_TEST_{name}") or os.environ.get(f"GUANJIA_{name}") or ""


def strip_driver(url: str) -> str:
    """`url` without the name of a driver."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.split('+')[0]}://{rest}"


@functools.cache
def _creates_databases(url: str) -> bool:
    async def check_rights() -> bool:
        connection = await asyncpg.connect(strip_driver(url), timeout=5)
        try:
            rights = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            return bool(await connection.fetchval(rights))
        finally:
            await connection.close()

    try:
        return run_blocking(check_rights())
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False


@functools.cache
def _is_reachable(url: str, default_port: int) -> bool:
    parts = urlsplit(url)
    return is_listening(parts.port or default_port, parts.hostname or "127.0.0.1")


@functools.cache
def _is_administrator(url: str, api: str) -> bool:
    parts = urlsplit(url)
    try:
        with httpx.Client(timeout=5, trust_env=False) as http:
            who = http.get(f"{api}/api/whoami", auth=(parts.username or "guest", parts.password or "guest"))
    except httpx.HTTPError:
        return False
    return who.status_code == 200 and "administrator" in str(who.json().get("tags"))


def _request_server(server_name: str) -> str:
    """Ask the supervisor; its answer begins with ok or with what went wrong."""
    address = os.environ.get(SOCKET)
    if address is None:
        raise ChildFailed("no supervisor: run inside `run_supervisor()`, as pytest does by tests/conftest.py")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LONGEST_START)
        _connect(connection, address)
        connection.sendall(f"{server_name}\n".encode())
        reply = connection.makefile().read()
    verdict, _, rest = reply.partition(" ")
    if verdict != "ok":
        raise ChildFailed(reply)
    return rest


def _connect(connection: socket.socket, address: str) -> None:
    def attempt() -> bool:
        connection.connect(address)
        return True

    eventually_now(attempt, within=20)


class Supervisor:
    """Starts a server when it is first asked for; ends them all when its standard input closes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres: Postgres | None = None
        self.rabbitmq: RabbitMQ | None = None

    def serve(self) -> None:
        with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
            listener.bind(str(self.folder / "ask"))
            listener.listen(64)
            selector.register(listener, selectors.EVENT_READ)
            selector.register(sys.stdin, selectors.EVENT_READ)
            while not any(key.fileobj is sys.stdin for key, _ in selector.select()):
                with contextlib.suppress(OSError):
                    self.reply(listener.accept()[0])

    def reply(self, connection: socket.socket) -> None:
        with connection:
            server_name = connection.makefile().readline().strip()
            try:
                reply_text = f"ok {self.start_server(server_name)}"
            except Exception as error:
                reply_text = f"{type(error).__name__}: {error}"
            connection.sendall(reply_text.encode())

    def start_server(self, server_name: str) -> str:
        if server_name == "postgres":
            if self.postgres is None:
                server = Postgres(self.folder / "postgres")
                server.start()
                self.postgres = server
            return self.postgres.url
        if self.rabbitmq is None:
            cluster = RabbitMQ(self.folder / "rabbitmq")
            cluster.start()
            self.rabbitmq = cluster
        return f"{self.rabbitmq.url} {self.rabbitmq.api}"

    def close(self) -> None:
        for server in (self.rabbitmq, self.postgres):
            if server:
                server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    """The supervisor process: runs until its standard input is closed or it is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = Supervisor(Path(sys.argv[1]))
    try:
        supervisor.serve()
    finally:
        supervisor.close()


if __name__ == "__main__":
    main()
