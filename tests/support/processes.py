"""Real `guanjia serve …` processes: started on free ports, killed or stopped at will, their logs kept."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support.children import ChildFailed, end_process, free_port, plain_environment, read_tail, spawn
from tests.support.waiting import eventually_now

KEY = "gj_test_admin_key_0123456789abcdef0123456789abcdef"


class ServiceProcess:
    """One `guanjia serve NAME`; the same port and settings again after a restart."""

    def __init__(self, name: str, env: Mapping[str, str], folder: Path) -> None:
        self.name, self.port, self.folder = name, free_port(), folder
        self.log = folder / f"{name}-{self.port}.log"
        self.env = plain_environment() | dict(env) | {"GUANJIA_PORT": str(self.port)}
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def launch(self) -> None:
        """Start it without waiting. In a folder of its own, so that no `.env` of the developer is read."""
        argv = [str(Path(sys.executable).with_name("guanjia")), "serve", self.name]
        self.child = spawn(argv, env=self.env, log=self.log, cwd=self.folder)

    def start(self, within: float = 60) -> "ServiceProcess":
        """Start it and wait until /readyz says yes. ChildFailed with the end of its log where it ended."""
        self.launch()
        self.wait_ready(within)
        return self

    def wait_ready(self, within: float = 60) -> None:
        eventually_now(self._is_ready, within=within, every=0.05)

    def kill(self) -> None:
        """kill -9."""
        if self.child:
            end_process(self.child, signal.SIGKILL)

    def stop(self, within: float = 30) -> int:
        """SIGTERM; the exit code."""
        return end_process(self.child, signal.SIGTERM, within) if self.child else 0

    def read_log(self) -> str:
        """All that it has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _is_ready(self) -> bool:
        if not self.alive:
            raise ChildFailed(f"guanjia serve {self.name} ended:\n{read_tail(self.log, 4000)}")
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


class Processes:
    """Starts services that share one set of settings; ends them all in `close`."""

    def __init__(self, folder: Path, properties: Path, *, database_url: str = "", amqp_url: str = "") -> None:
        self.folder = folder
        self.env = {
            "GUANJIA_DATABASE_URL": database_url,
            "GUANJIA_AMQP_URL": amqp_url,
            "GUANJIA_DATA_DIR": str(folder / "data"),
            "GUANJIA_PROPERTIES_DIR": str(properties),
            "GUANJIA_HOST": "127.0.0.1",
            "GUANJIA_BOOTSTRAP_KEY": KEY,
            "PATH": os.environ.get("PATH", ""),
        }
        self.started: list[ServiceProcess] = []

    def make(self, name: str, **env: str) -> ServiceProcess:
        """A service that is not running yet."""
        serving = ServiceProcess(name, self.env | env, self.folder)
        self.started.append(serving)
        return serving

    def start(self, name: str = "all", **env: str) -> ServiceProcess:
        """A running, ready service: `all`, `intake`, `dispatch`, `survey` or `kpi`."""
        return self.make(name, **env).start()

    def close(self) -> None:
        for serving in self.started:
            with contextlib.suppress(ProcessLookupError):
                serving.kill()


def open_client(serving: ServiceProcess, key: str = KEY) -> httpx.AsyncClient:
    """A client of that process with the given key."""
    return httpx.AsyncClient(
        base_url=serving.url, headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False
    )
