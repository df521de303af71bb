"""The proxy itself, on the file's own configuration; only names and addresses are those of this machine."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from shared.settings import PROJECT
from tests.deploy.compose import load_services
from tests.deploy.name_server import run_name_server
from tests.support.children import ChildFailed, end_process, plain_environment, read_tail, spawn
from tests.support.waiting import eventually_now

CONFIGURATION = PROJECT / "deploy" / "nginx" / "nginx.conf"


def find_program(name: str) -> str:
    """The path of an installed program; what is missing, `python -m tests.support.ready` gets."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    assert path, f"{name} is not installed"
    return path


@contextmanager
def run_proxy(folder: Path, address: str, copies: Mapping[str, Sequence[str]], root: Path) -> Iterator[str]:
    """Runs on `address`:8000 in front of the services' copies; its URL. `root` stands for /srv."""
    with run_name_server(copies) as port:
        file = folder / "nginx.conf"
        file.write_text(localize_configuration(folder, address, root, port), encoding="utf-8")
        program, *words = load_services()["proxy"]["command"]
        if os.geteuid() == 0:  # as root it would give its workers to an account that can't read our folders
            words[-1] += " user root;"
        argv = [find_program(program), *words, "-c", str(file), "-p", str(folder)]
        child = spawn(argv, env=plain_environment(), log=folder / "nginx.log", cwd=folder)
        try:
            eventually_now(lambda: _is_serving(child, folder, f"http://{address}:8001/"), within=20)
            yield f"http://{address}:8000"
        finally:
            end_process(child)


def localize_configuration(folder: Path, address: str, root: Path, names: int) -> str:
    """The configuration with this machine's addresses, folders and name server (for Docker's)."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    for there, here in (
        ("resolver 127.0.0.11", f"resolver 127.0.0.1:{names}"),
        ("listen 8000", f"listen {address}:8000"),
        ("127.0.0.1:8001", f"{address}:8001"),
        (" /tmp/", f" {folder}/"),
        ("root /srv", f"root {root}"),
        ("/etc/nginx/tls", str(folder / "tls")),
    ):
        assert there in text, there
        text = text.replace(there, here)
    return text


def _is_serving(child: "subprocess.Popen[bytes]", folder: Path, url: str) -> bool:
    if child.poll() is not None:
        raise ChildFailed(f"the proxy ended:\n{read_tail(folder / 'nginx.log', 3000)}")
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
