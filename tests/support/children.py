"""Child processes that end with the test that started them, even when that test is killed."""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


class ChildFailed(RuntimeError):
    """A child process ended or did not come up; the message holds the end of its log."""


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on, below the range the kernel gives to outgoing connections."""
    while True:
        port = random.randint(15_000, 31_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def free_loopback() -> str:
    """The first half of loopback addresses nobody uses (Linux: all of 127/8), as `127.93`.

    On addresses of their own, several processes can listen on the very same port, as containers do.
    """
    while True:
        net = f"127.{random.randint(2, 250)}"
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((f"{net}.9.1", 8000))
            return net


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def _die_with_parent(sig: int) -> Callable[[], None] | None:
    """Have the kernel send `sig` to the child when the parent is gone (Linux; elsewhere: nothing)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path,
    user: int | None = None,
    group: int | None = None,
    on_parents_death: int = signal.SIGKILL,
) -> "subprocess.Popen[bytes]":
    """Start a child in a session of its own, its words appended to `log`.

    Only from a main thread: the kernel takes the end of the starting thread for the parent's end.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=[] if user is not None else None,
            preexec_fn=_die_with_parent(on_parents_death),
        )


def end_process(child: "subprocess.Popen[bytes]", sig: int = signal.SIGTERM, within: float = 20.0) -> int:
    """Signal this very child (never its number, should somebody else have it now) and wait for its end.

    Killed when it has not ended in time. The exit code, negative for a signal.
    """
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.send_signal(sig)
        try:
            child.wait(within)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()


def read_tail(log: Path, chars: int = 1500) -> str:
    """The end of a log, for error messages."""
    return log.read_text(errors="replace")[-chars:] if log.exists() else "(no log)"


def plain_environment() -> dict[str, str]:
    """This process's environment without the settings of guanjia and of pytest."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("GUANJIA_", "PYTEST_", "OTEL_"))}
