"""The command itself, as a process: refused, interrupted, killed, and run again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guanjia.simulation.simulated_property import PROPERTY
from tests.support.children import end_process, free_port, plain_environment, spawn
from tests.support.waiting import eventually_now

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `guanjia simulate …` on an empty data folder."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {"GUANJIA_DATA_DIR": str(tmp_path / "data"), "GUANJIA_PORT": str(free_port())}

    def run(*arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
        argv = [str(Path(sys.executable).with_name("guanjia")), "simulate", *arguments]
        env = plain_environment() | environment | settings | {"PATH": os.environ["PATH"]}
        started.append(spawn(argv, env=env, log=tmp_path / "log", cwd=tmp_path))
        return started[-1]

    yield run
    for child in started:
        end_process(child, signal.SIGKILL)


def read_log(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8")


def is_simulating(folder: Path) -> bool:
    return any(file.stat().st_size > 300_000 for file in folder.glob("data/simulating/*/intake.db"))


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_interrupted_it_leaves_the_data_as_they_were_and_runs_again(
    tmp_path: Path, start: Start, sig: signal.Signals
) -> None:
    child = start("--days", "30")
    eventually_now(lambda: is_simulating(tmp_path), within=60)
    child.send_signal(sig)
    assert child.wait(20) != 0
    assert not (tmp_path / "data" / "properties").exists()
    assert (tmp_path / "data" / "simulating").exists() == (sig == signal.SIGKILL)
    assert "Traceback" not in read_log(tmp_path)
    assert start("--days", "1").wait(90) == 0, read_log(tmp_path)
    assert not (tmp_path / "data" / "simulating").exists()
    assert start("--days", "1").wait(30) == 1
    assert "--remove" in read_log(tmp_path)
    assert start("--remove").wait(30) == 0
    assert PROPERTY in read_log(tmp_path)


def test_two_at_once_are_refused(tmp_path: Path, start: Start) -> None:
    child = start("--days", "30")
    eventually_now(lambda: is_simulating(tmp_path), within=60)
    for arguments in (["--days", "1"], ["--remove"]):
        assert start(*arguments).wait(30) == 1
        assert "at this moment" in read_log(tmp_path)
    assert child.poll() is None


def test_it_is_refused_while_something_serves_there(tmp_path: Path, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as serving:
        port = str(serving.getsockname()[1])
        assert start("--days", "1", GUANJIA_PORT=port).wait(30) == 1
        assert "stop it first" in read_log(tmp_path)
        assert start("--remove", GUANJIA_PORT=port).wait(30) == 1
