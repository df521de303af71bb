"""Installs what a lock file names, saying every few seconds how far it is.

    .venv/bin/python deploy/install.py LOCK_FILE PURPOSE

Into the environment of the interpreter that runs it. Needs nothing but Python and its pip.
"""

import collections
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

EVERY = 3.0
"""Seconds between two lines about the same installation."""
SHOWN_ON_FAILURE = 20
Stages = Mapping[str, re.Pattern[str]]
"""What is said of a package → the installer's line that shows that it is that far; group 1 is its name."""
PIP_STAGES: Stages = {
    "{count} fetched, now {package}": re.compile(r"Collecting ([\w.-]+?)=="),
    "unpacking them": re.compile(r"Installing (collected packages)"),
}


def follow_installation(argv: Sequence[str], stages: Stages, env: Mapping[str, str] | None = None) -> int:
    """Run an installer to its end, a line in `EVERY` seconds and at each new stage; its exit code.

    What it said last is repeated where it failed, and only there.
    """
    counts: collections.Counter[str] = collections.Counter()
    last_lines: collections.deque[str] = collections.deque(maxlen=SHOWN_ON_FAILURE)
    reported = time.monotonic()
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(argv, env=env, stdout=pipe, stderr=both, text=True, errors="replace") as child:
        try:
            for line in child.stdout or ():
                last_lines.append(line)
                for stage, package in recognize_stage(line, stages):
                    counts[stage] += 1
                    if counts[stage] == 1 or time.monotonic() - reported >= EVERY:
                        print(f"  {stage.format(count=counts[stage], package=package)}", flush=True)
                        reported = time.monotonic()
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        sys.stderr.writelines(last_lines)
    return child.returncode


def recognize_stage(line: str, stages: Stages) -> list[tuple[str, str]]:
    """The stage and the package that a line of the installer is about; nothing for any other line."""
    return [(stage, match[1]) for stage, pattern in stages.items() if (match := pattern.match(line))]


def install_lock_file(lock: Path, purpose: str) -> int:
    """Install exactly what `lock` names, each package checked by its hash; pip's exit code."""
    names = re.findall(r"^[\w.-]+(?:\[.*\])?==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    print(f"installing {purpose}: {len(names)} packages of {lock.name}", flush=True)
    began = time.monotonic()
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar=off"]
    failed = follow_installation([*argv, "--require-hashes", "-r", str(lock)], PIP_STAGES)
    if not failed:
        print(f"  installed in {time.monotonic() - began:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(install_lock_file(Path(sys.argv[1]), sys.argv[2]))
