"""A private RabbitMQ, one node or a cluster, from the installed server, on 127.0.0.1 only.

The broker and its port mapper are children of this process and end with it.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import httpx

from tests.support.children import (
    ChildFailed,
    end_process,
    free_port,
    is_listening,
    plain_environment,
    read_tail,
    spawn,
)
from tests.support.waiting import eventually_now

LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
USER = PASSWORD = "guanjia_tests"


def find_scripts() -> Path | None:
    """The folder of the server's own scripts; the packagers' wrappers change the user and are of no use."""
    packaged = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), reverse=True)
    on_path = shutil.which("rabbitmq-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    folders = [*packaged, *([Path(on_path).resolve().parent] if on_path else [])]
    required = ("rabbitmq-server", "rabbitmq-env", "rabbitmqctl")
    return next((p for p in folders if all((p / name).exists() for name in required)), None)


class Node:
    """One broker of a cluster: its number, ports and process."""

    def __init__(self, cluster: "RabbitMQ", number: int) -> None:
        self.cluster, self.number = cluster, number
        self.port, self.api_port, self.dist_port = free_port(), free_port(), free_port()
        self.name = f"gj{cluster.epmd_port}n{number}@localhost"
        self.folder = cluster.folder / f"node{number}"
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def launch(self) -> None:
        if not self.alive:
            # -noinput: without it the stock script keeps a shell in front of the broker
            argv = [str(_require_scripts() / "rabbitmq-server"), "-noinput"]
            folder = self.cluster.folder
            self.child = spawn(
                argv, env=self.environment(), log=folder / f"node{self.number}.out", cwd=folder
            )

    def wait(self, within: float = 120) -> None:
        """Until the AMQP handshake is answered, not just the port open."""
        eventually_now(self._answers_handshake, within=within)

    def kill(self) -> None:
        if self.child:
            end_process(self.child, signal.SIGKILL)

    def signal(self, sig: int) -> None:
        if self.child and self.alive:
            self.child.send_signal(sig)

    def run_ctl(self, *args: str) -> str:
        """rabbitmqctl on this node. ChildFailed with its words when it fails."""
        argv = [str(_require_scripts() / "rabbitmqctl"), *args]
        done = subprocess.run(
            argv, env=self.environment(), capture_output=True, text=True, timeout=90, cwd=self.cluster.folder
        )
        if done.returncode:
            raise ChildFailed(f"rabbitmqctl {' '.join(args)}: {(done.stderr or done.stdout)[-800:]}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        root = self.cluster.folder
        return {k: v for k, v in plain_environment().items() if k in ("PATH", "LANG", "TMPDIR")} | {
            "HOME": str(root / "home"),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.cluster.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_CONF_ENV_FILE": str(root / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder),
            "RABBITMQ_MNESIA_DIR": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.folder / "feature_flags"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{LOOPBACK} +S 2:2 +sbwt none",
            "RABBITMQ_CTL_ERL_ARGS": f"{LOOPBACK} +S 1:1",
            "RABBITMQ_ALLOW_INPUT": "1",
        }

    def configure(self) -> None:
        (self.folder / "log").mkdir(parents=True, exist_ok=True)
        nodes = self.cluster.nodes
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"default_user = {USER}",
            f"default_pass = {PASSWORD}",
            "disk_free_limit.absolute = 50MB",
            "vm_memory_high_watermark.relative = 0.2",
            "net_ticktime = 15",
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {self.api_port}",
        ]
        if len(nodes) > 1:
            lines += ["cluster_partition_handling = pause_minority"]
            lines += ["cluster_formation.peer_discovery_backend = classic_config"]
            lines += [f"cluster_formation.classic_config.nodes.{n.number} = {n.name}" for n in nodes]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "advanced.config").write_text("[].\n")

    def _answers_handshake(self) -> bool:
        if not self.alive:
            raise ChildFailed(
                f"RabbitMQ did not come up:\n{read_tail(self.cluster.folder / f'node{self.number}.out')}"
            )
        with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
            connection.settimeout(2)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"


class RabbitMQ:
    """A cluster of `size` nodes; one is the common case."""

    def __init__(self, folder: Path, size: int = 1) -> None:
        self.folder, self.epmd_port = folder, free_port()
        self.epmd: subprocess.Popen[bytes] | None = None
        self.nodes: list[Node] = []
        self.nodes += [Node(self, number) for number in range(1, size + 1)]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def api(self) -> str:
        """The management interface, through which virtual hosts come and go."""
        return self.nodes[0].api

    def start(self) -> None:
        self._prepare()
        self._start_port_mapper()
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()
        if len(self.nodes) > 1:
            self.nodes[0].run_ctl("await_online_nodes", str(len(self.nodes)))
        eventually_now(lambda: is_listening(self.nodes[0].api_port), within=60)

    def restart(self) -> None:
        """Those that are down, up again on the same data."""
        self._start_port_mapper()
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()

    def stop(self) -> None:
        """Nothing is kept, so nothing needs a goodbye: kill the brokers, then their port mapper."""
        for node in self.nodes:
            node.kill()
        if self.epmd:
            end_process(self.epmd)

    def _prepare(self) -> None:
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(0o600)
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        for node in self.nodes:
            node.configure()

    def _start_port_mapper(self) -> None:
        if self.epmd and self.epmd.poll() is None:
            return
        bundled = next(iter(sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))), None)
        program = shutil.which("epmd") or bundled
        if program is None:
            raise ChildFailed("no epmd found (it comes with Erlang)")
        argv = [str(program), "-address", "127.0.0.1", "-port", str(self.epmd_port)]
        self.epmd = spawn(
            argv, env=self.nodes[0].environment(), log=self.folder / "epmd.out", cwd=self.folder
        )
        eventually_now(lambda: is_listening(self.epmd_port), within=20)


def make_vhost(api: str, user: str, password: str, name: str) -> None:
    """A virtual host of that name, the user allowed everything in it."""
    with httpx.Client(base_url=api, auth=(user, password), timeout=20, trust_env=False) as http:
        http.put(f"/api/vhosts/{name}").raise_for_status()
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        http.put(f"/api/permissions/{name}/{user}", json=rights).raise_for_status()


def drop_vhost(api: str, user: str, password: str, name: str) -> None:
    with httpx.Client(base_url=api, auth=(user, password), timeout=20, trust_env=False) as http:
        http.delete(f"/api/vhosts/{name}").raise_for_status()


def _require_scripts() -> Path:
    scripts_folder = find_scripts()
    if scripts_folder is None:
        raise ChildFailed("RabbitMQ is not installed")
    return scripts_folder
