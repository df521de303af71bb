"""Proves what README promises a new machine: `make run` serves and ends cleanly, and `make test` passes.

    python -m tests.deploy.fresh [TESTS ...]

Both are run on the checkout's HEAD in a bare root (`tests/deploy/bare_root.py`) that holds Python, make and
git and is removed afterwards. With TESTS only those are run. As root only. It says how long everything took.
"""

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from shared.settings import PROJECT
from tests.deploy.bare_root import BareRoot, own_namespaces
from tests.support.children import free_port, is_listening
from tests.support.ready import install

CHECKOUT = "/root/guanjia"
LONGEST_START, LONGEST_END = 900.0, 30.0
"""Seconds until `make run`, which installs first, must serve, and until it must have ended after Ctrl-C."""
CLEAN_ENDS = (0, -signal.SIGINT)
"""make's exit codes after Ctrl-C: it ends by the same signal when what it started has ended."""


class NotProved(Exception):
    """What a new machine would have failed at."""


def main(tests: list[str]) -> int:
    """The whole proof; 1 with one line where it can't be made, or what a new machine fails at."""
    if os.geteuid() != 0:
        return complain("make fresh needs root, to make a root of its own")
    if not shutil.which("debootstrap") and not install(["debootstrap"]):
        return complain("make fresh needs debootstrap: install it")
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda *_: sys.exit(1))
    try:
        with bare_root() as root:
            prove(root, tests)
    except (NotProved, OSError, LookupError, subprocess.CalledProcessError) as error:
        return complain(f"not proved: {error}")
    except KeyboardInterrupt:
        return complain("interrupted")
    return 0


def complain(text: str) -> int:
    """One line to the errors; the exit code."""
    print(text, file=sys.stderr)
    return 1


@contextlib.contextmanager
def bare_root() -> Iterator[BareRoot]:
    """A root that is gone afterwards, with all that was mounted and started in it."""
    root = BareRoot(Path(tempfile.mkdtemp(prefix="guanjia-fresh-")))
    root.path.chmod(0o755)
    try:
        with own_namespaces():
            yield root
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("removing the bare root", flush=True)
        root.remove()


def prove(root: BareRoot, tests: list[str]) -> None:
    """Build the root, run both commands in it, say what each took. NotProved where one fails."""
    head = subprocess.check_output(["git", "-C", str(PROJECT), "log", "-1", "--format=%h %s"], text=True)
    print(f"making a bare {platform.freedesktop_os_release()['PRETTY_NAME']} for {head.strip()}", flush=True)
    began = time.monotonic()
    root.build()
    clone = ["git", "clone", "--quiet", str(PROJECT), str(root.path / CHECKOUT.lstrip("/"))]
    subprocess.run(clone, check=True)
    built = time.monotonic()
    print("\n$ make run", flush=True)
    served, ended = try_run(root)
    print(f"\n$ make test {' '.join(tests)}", flush=True)
    testing = time.monotonic()
    argv = root.argv(["make", "test", *tests_argument(tests)], CHECKOUT)
    if code := subprocess.run(argv, env=root.environment).returncode:
        raise NotProved(f"make test ended with {code}")
    tested = time.monotonic() - testing
    print(
        f"\na bare root stood after {built - began:.0f} s, make run served after {served:.0f} s and ended "
        f"{ended:.1f} s after Ctrl-C, make test passed after {tested:.0f} s"
    )


def tests_argument(tests: list[str]) -> list[str]:
    """How make is told which tests to run; nothing for all of them."""
    return [f"TESTS={' '.join(tests)}"] if tests else []


def try_run(root: BareRoot) -> tuple[float, float]:
    """Seconds until `make run` served and, after Ctrl-C, until it had ended. NotProved where it does not."""
    port, log = free_port(), root.path / "tmp/make-run.log"
    argv = root.argv(["env", f"GUANJIA_PORT={port}", "make", "run"], CHECKOUT)
    with log.open("wb") as output, log.open("rb") as said:
        child = subprocess.Popen(argv, env=root.environment, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        began = time.monotonic()
        while not serves(port):
            sys.stdout.write(said.read().decode(errors="replace"))
            sys.stdout.flush()
            if child.poll() is not None or time.monotonic() - began > LONGEST_START:
                raise NotProved("make run does not serve")
            time.sleep(0.2)
        served = time.monotonic()
        os.killpg(child.pid, signal.SIGINT)
        code = child.wait(LONGEST_END)
        text = said.read().decode(errors="replace")
        print(text, flush=True)
        if "Traceback" in text or is_listening(port) or code not in CLEAN_ENDS:
            raise NotProved(f"make run does not end cleanly at Ctrl-C (exit code {code})")
    return served - began, time.monotonic() - served


def serves(port: int) -> bool:
    """Whether the services are ready and show their first page there."""
    with contextlib.suppress(httpx.HTTPError), httpx.Client(trust_env=False, follow_redirects=True) as http:
        replies = [http.get(f"http://127.0.0.1:{port}{path}") for path in ("/readyz", "/")]
        return all(reply.status_code == 200 for reply in replies)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
