"""The proxy itself, on the file's own configuration; only names and addresses are those of this machine."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from shared.settings import PROJECT
from tests.deploy.compose import services
from tests.deploy.names import name_server
from tests.support.children import ChildFailed, end, plain_environment, spawn, tail
from tests.support.waiting import eventually_now

CADDYFILE = PROJECT / "deploy" / "caddy" / "Caddyfile"


def tool(name: str) -> str:
    """The path of an installed program; what is missing, `python -m tests.support.ready` gets."""
    found = shutil.which(name)
    assert found, f"{name} is not installed"
    return found


@contextmanager
def proxy(folder: Path, address: str, copies: Mapping[str, Sequence[str]], root: Path) -> Iterator[str]:
    """Runs on `address`:8000 in front of the services' copies; its URL. `root` stands for /srv."""
    with name_server(copies) as port:
        file = folder / "Caddyfile"
        file.write_text(_placed(address, copies, root, port), encoding="utf-8")
        env = plain_environment() | {"HOME": str(folder)} | services()["proxy"]["environment"]
        child = spawn(
            [tool("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"],
            env=env, log=folder / "caddy.log", cwd=folder,
        )  # fmt: skip
        try:
            eventually_now(lambda: _answers(child, folder, f"http://{address}:8001/"), within=20)
            yield f"http://{address}:8000"
        finally:
            end(child)


def _placed(address: str, copies: Mapping[str, Sequence[str]], root: Path, names: int) -> str:
    """The Caddyfile with this machine's addresses, and the name server that stands for Docker's."""
    text = CADDYFILE.read_text(encoding="utf-8")
    text = text.replace("refresh 2s", f"refresh 2s\n\t\t\tresolvers udp/127.0.0.1:{names}")
    text = text.replace("bind 127.0.0.1", f"bind {address}").replace("root * /srv", f"root * {root}")
    text = text.replace("admin off", f"admin off\n\tdefault_bind {address}")
    for name, addresses in copies.items():
        text = re.sub(rf"\b{name}:(\d+)\b", rf"{addresses[0]}:\1", text)
    return text


def _answers(child: "subprocess.Popen[bytes]", folder: Path, url: str) -> bool:
    if child.poll() is not None:
        raise ChildFailed(f"caddy ended:\n{tail(folder / 'caddy.log', 3000)}")
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
