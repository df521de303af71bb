"""Before the tests: are servers, browser, proxy and Prometheus there? Install what is missing, or fail.

Servers named by the settings are enough; else installed binaries; else, as root on Debian or Ubuntu, they
are installed without their system services being started. Exit code 1 with one line when nothing helps.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support import browser, postgres, rabbitmq, servers

SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """Debian's names of the packages without which some test could not run."""
    wanted = {
        "rabbitmq-server": rabbitmq.scripts() or servers.named_broker(),
        "postgresql": postgres.binaries() or servers.named_postgres(),
        "chromium-headless-shell": browser.executable(),
        "nginx": shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"),
        "prometheus": shutil.which("prometheus") and shutil.which("promtool"),
    }
    return [package for package, found in wanted.items() if not found]


def install(packages: list[str]) -> bool:
    """Install with apt. False where that is not possible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"installing {' '.join(packages)} for the tests ...", flush=True)
    quiet, env = ["-qq", "-o=Dpkg::Use-Pty=0"], os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_services_started():
        subprocess.run(["apt-get", "update", *quiet], env=env, stdout=subprocess.DEVNULL)
        argv = ["apt-get", "install", "-y", "--no-install-recommends", *quiet, *packages]
        return subprocess.run(argv, env=env, stdout=subprocess.DEVNULL).returncode == 0


@contextlib.contextmanager
def _no_services_started() -> Iterator[None]:
    """Debian asks this file whether a package may start its service; one that is there already stays."""
    if SERVICE_POLICY.exists():
        yield
        return
    SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
    SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        SERVICE_POLICY.unlink()


def main() -> int:
    lacking = missing()
    if lacking and install(lacking):
        lacking = missing()
    if lacking:
        print(f"the tests need {', '.join(lacking)}: install them, or name running servers", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
