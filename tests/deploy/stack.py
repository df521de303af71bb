"""The stack of docker-compose.yml on this machine without an engine: every process by the file's own command,
environment and mounts. Only hosts are others: each copy of a service has a loopback address of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ruamel.yaml import YAML

from shared.settings import PROJECT
from tests.deploy.compose import OURS, list_mounts, load_services, read_image_environment, read_yaml
from tests.deploy.image import lay_out_image
from tests.deploy.proxy import find_program, run_proxy
from tests.support.blocking import run_blocking
from tests.support.children import (
    ChildFailed,
    end_process,
    free_loopback,
    is_listening,
    plain_environment,
    read_tail,
    spawn,
)
from tests.support.postgres import USER, Postgres, find_binaries
from tests.support.rabbitmq import Node, RabbitMQ
from tests.support.stores import fetch_rows
from tests.support.waiting import eventually_now

KEY = "gj_deploy_test_key_0123456789abcdef0123456789abcdef"
COPIES = 2


class Containers:
    """What each container sees: its mounts, as links below a folder of its own."""

    def __init__(self, folder: Path, binds: dict[str, Path]) -> None:
        self.folder, self.binds = folder, binds
        for name, service in load_services().items():
            for mount in list_mounts(service):
                self._link(name, mount.source, mount.target)

    def make_volume(self, name: str) -> Path:
        """Where a named volume is."""
        path = self.folder / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def find_path(self, service: str, path: str) -> Path:
        """Where the container's `path` is on this machine."""
        return self.folder / "containers" / service / path.lstrip("/")

    def localize(self, service: str, text: str) -> str:
        """`text` with the container's paths in it as those of this machine."""

        def replace_path(match: re.Match[str]) -> str:
            path = self.find_path(service, match[2])
            return match[1] + (str(path) if path.exists() else match[2])

        return re.sub(r"(^|=)(/[\w./-]+)", replace_path, text)

    def _link(self, service: str, source: str, target: str) -> None:
        origin = (
            self.binds.get(source, PROJECT / source) if source.startswith("./") else self.make_volume(source)
        )
        path = self.find_path(service, target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(origin)


class Broker(RabbitMQ):
    """RabbitMQ on the file's own settings and plug-ins; only where it listens is this machine's."""

    def __init__(self, folder: Path, settings: Path, plugins: Path) -> None:
        super().__init__(folder)
        self.settings_file, self.plugins = settings, plugins

    @property
    def node(self) -> Node:
        return self.nodes[0]

    def _prepare(self) -> None:
        super()._prepare()
        (self.folder / "enabled_plugins").write_text(self.plugins.read_text())
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.node.port}",
            "prometheus.tcp.ip = 127.0.0.1",
            f"prometheus.tcp.port = {self.node.api_port}",
            "disk_free_limit.absolute = 50MB",
        ]
        text = self.settings_file.read_text() + "\n".join(lines) + "\n"
        (self.node.folder / "rabbitmq.conf").write_text(text)


class Stack:
    """All of it, up."""

    def __init__(self, folder: Path, properties: Path) -> None:
        self.folder, self.net = folder, free_loopback()
        self.containers = Containers(folder, {"./properties": properties})
        self.app = lay_out_image(folder / "image")
        self.copies = {
            name: [f"{self.net}.{path}.{copy}" for copy in range(1, COPIES + 1)]
            for path, name in enumerate(OURS, 1)
        }
        self.address = f"{self.net}.9.1"
        self.url = f"http://{self.address}:8000"
        self.prometheus = f"http://{self.net}.9.2:9090"
        self.children: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    @contextmanager
    def run_all(self) -> Iterator["Stack"]:
        """Starts everything in the file's order; ends it all."""
        with ExitStack() as stack:
            self._make_secrets()
            self.postgres = self._start_postgres(stack)
            self.broker = self._start_broker(stack)
            self._rewrite_secrets()
            for name in OURS:
                for address in self.copies[name]:
                    stack.callback(end_process, self.launch(name, address), signal.SIGKILL)
            for name in OURS:
                for address in self.copies[name]:
                    eventually_now(partial(self.is_healthy, name, address), within=120, every=0.3)
            srv = self.containers.find_path("proxy", "/srv")
            stack.enter_context(run_proxy(self.folder, self.address, self.copies, srv))
            stack.callback(end_process, self._start_prometheus(), signal.SIGKILL)
            yield self

    @property
    def database_url(self) -> str:
        """The services' database, for one who may do anything in it."""
        name = load_services()["postgres"]["environment"]["POSTGRES_DB"]
        return urlunsplit(urlsplit(self.postgres.url)._replace(path=f"/{name}"))

    # One container at a time.

    def launch(self, name: str, address: str) -> "subprocess.Popen[bytes]":
        """Start a copy of a service as the file says, at that address."""
        service = load_services({"GUANJIA_PUBLIC_URL": self.url})[name]
        env = plain_environment() | read_image_environment() | service["environment"]
        env = {key: self.containers.localize(name, value) for key, value in env.items()}
        env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(self.app)}
        env |= {"GUANJIA_HOST": address, "GUANJIA_DATA_DIR": str(self.folder / "must-not-be-written")}
        child = spawn(self._argv(name), env=env, log=self.log_file(name, address), cwd=self.app)
        self.children[name, address] = child
        return child

    def log_file(self, name: str, address: str) -> Path:
        """What that copy says."""
        return self.folder / f"{name}-{address}.log"

    def is_healthy(self, name: str, address: str) -> bool:
        """What the file's health check says of a copy."""
        if self.children[name, address].poll() is not None:
            raise ChildFailed(f"{name} ended:\n{read_tail(self.log_file(name, address), 4000)}")
        if not is_listening(8000, address):
            return False
        _, *argv = load_services()[name]["healthcheck"]["test"]
        argv = [word.replace("127.0.0.1", address) for word in argv]
        return subprocess.run([sys.executable, *argv[1:]], capture_output=True, timeout=20).returncode == 0

    def _argv(self, name: str) -> list[str]:
        first, *rest = load_services()[name]["command"]
        program = Path(sys.executable) if first == "python" else Path(sys.executable).with_name(first)
        found_program = str(program) if program.exists() else find_program(first)
        return [found_program, *(self.containers.localize(name, word) for word in rest)]

    def _make_secrets(self) -> None:
        service = load_services({"GUANJIA_BOOTSTRAP_KEY": KEY})["secrets"]
        subprocess.run(self._argv("secrets"), env=plain_environment() | service["environment"], check=True)

    def _rewrite_secrets(self) -> None:
        for name in OURS:
            for file in self.containers.make_volume(f"secrets-{name}").glob("guanjia_*_url"):
                text = file.read_text().replace("@postgres:5432", f"@127.0.0.1:{self.postgres.port}")
                file.unlink()
                file.write_text(text.replace("@rabbitmq:5672", f"@127.0.0.1:{self.broker.node.port}"))

    def _start_postgres(self, stack: ExitStack) -> Postgres:
        service = load_services()["postgres"]
        server = Postgres(self.folder / "postgres", *[w for w in service["command"][1:] if w != "-c"])
        server.start()
        stack.callback(server.stop)
        run_blocking(fetch_rows(server.url, "CREATE ROLE postgres SUPERUSER LOGIN"))
        run_blocking(fetch_rows(server.url, f"CREATE DATABASE {service['environment']['POSTGRES_DB']}"))
        self._prepare_database(server, service["environment"])
        return server

    def _prepare_database(self, server: Postgres, environment: dict[str, str]) -> None:
        """What the server's image does at its first start; then, as there, passwords are asked for."""
        script = self.containers.find_path("postgres", "/docker-entrypoint-initdb.d/roles.sh")
        env = plain_environment() | environment | {"PGHOST": "127.0.0.1", "PGPORT": str(server.port)}
        env["GUANJIA_POSTGRES_SECRETS"] = str(self.containers.find_path("postgres", "/run/secrets/guanjia"))
        env["PATH"] = f"{find_binaries()}:{os.environ['PATH']}"
        subprocess.run([str(script)], env=env, check=True)
        access_rules = (
            f"host all {USER},postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        (server.folder / "data" / "pg_hba.conf").write_text(access_rules)
        run_blocking(fetch_rows(server.url, "SELECT pg_reload_conf()"))

    def _start_broker(self, stack: ExitStack) -> Broker:
        configuration = load_services()["rabbitmq"]["environment"]["RABBITMQ_CONFIG_FILE"]
        plugins = self.containers.find_path("rabbitmq", "/etc/rabbitmq/enabled_plugins")
        broker = Broker(
            self.folder / "rabbitmq", self.containers.find_path("rabbitmq", configuration), plugins
        )
        stack.callback(broker.stop)
        broker.start()
        return broker

    def _start_prometheus(self) -> "subprocess.Popen[bytes]":
        folder = self.folder / "prometheus"
        folder.mkdir()
        listen = self.prometheus.removeprefix("http://")
        argv = [
            self.containers.localize("prometheus", word) for word in load_services()["prometheus"]["command"]
        ]
        argv = [re.sub(r"=.*/prometheus\.yml$", f"={folder / 'prometheus.yml'}", word) for word in argv]
        with (folder / "prometheus.yml").open("w", encoding="utf-8") as out:
            YAML(typ="safe", pure=True).dump(self.make_scrape_configuration(), out)
        argv = [find_program("prometheus"), *argv, f"--web.listen-address={listen}"]
        return spawn(argv, env=plain_environment(), log=folder / "log", cwd=folder)

    def make_scrape_configuration(self) -> dict[str, Any]:
        """prometheus.yml, its hosts those of this machine."""
        configuration: dict[str, Any] = read_yaml(
            self.containers.find_path("prometheus", "/etc/prometheus/prometheus.yml")
        )
        configuration["rule_files"] = [
            self.containers.localize("prometheus", file) for file in configuration["rule_files"]
        ]
        for job in configuration["scrape_configs"]:
            for lookup in job.pop("dns_sd_configs", []):
                targets = [f"{ip}:{lookup['port']}" for name in lookup["names"] for ip in self.copies[name]]
                job["static_configs"] = [{"targets": targets}]
            for group in job["static_configs"]:
                group["targets"] = [self._localize_target(target) for target in group["targets"]]
        return configuration

    def _localize_target(self, target: str) -> str:
        local = {"rabbitmq:15692": f"127.0.0.1:{self.broker.node.api_port}"}
        return local.get(target) or target.replace("localhost:9090", self.prometheus.removeprefix("http://"))
