"""Before the tests: are servers, browser, proxy and Prometheus there? Install what is missing, or fail.

With the word `pictures`: only what `make screenshots` needs, the browser and a Chinese font.

Servers named by the settings are enough; else installed binaries; else, as root on Debian or Ubuntu, they
are installed without their system services being started. Exit code 1 with one line when nothing helps.
"""

import contextlib
import functools
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.install import Stages, follow_installation
from tests.support import browser, postgres, rabbitmq, servers

BROWSER = "chromium-headless-shell"
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
APT_STAGES: Stages = {
    "{count} fetched, now {package}": re.compile(r"Get:\d+ \S+ \S+ \S+ (\S+) \S+ \S+ \["),
    "{count} unpacked, now {package}": re.compile(r"Unpacking ([^\s:]+)"),
    "{count} set up, now {package}": re.compile(r"Setting up ([^\s:]+)"),
}


def missing(pictures: bool = False) -> list[str]:
    """Debian's names of the packages without which some test, or a picture, could not be made."""
    wanted = for_pictures() if pictures else for_tests()
    return [package for package, found in wanted.items() if not found]


def for_pictures() -> dict[str, object]:
    """Package → whether it is there, of those that `make screenshots` needs."""
    listing = shutil.which("fc-list")
    return {
        BROWSER: browser.find_chromium(),
        "fontconfig": listing,
        "fonts-noto-cjk": browser.has_chinese_font(),
    }


def for_tests() -> dict[str, object]:
    """Package → whether it or something in its place is there, of those that tests need."""
    return {
        "rabbitmq-server": rabbitmq.find_scripts() or servers.find_configured_broker(),
        "postgresql": postgres.find_binaries() or servers.find_configured_postgres(),
        BROWSER: browser.find_chromium(),
        "libatomic1": browser.driver_runs(),
        "nginx": shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"),
        "openssl": shutil.which("openssl"),
        "wrk": shutil.which("wrk"),
        "prometheus": shutil.which("prometheus") and shutil.which("promtool"),
    }


def install(packages: list[str]) -> bool:
    """Install with apt. False where that is not possible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"installing {', '.join(packages)} and what they need", flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    apt = functools.partial(follow_installation, stages=APT_STAGES, env=env)
    quiet = ["-q", "-o=Dpkg::Use-Pty=0"]
    with _no_services_started():
        apt(["apt-get", "update", *quiet])
        return apt(["apt-get", "install", "-y", "--no-install-recommends", *quiet, *packages]) == 0


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
    pictures = sys.argv[1:] == ["pictures"]
    lacking = missing(pictures)
    if lacking and install(lacking):
        lacking = missing(pictures)
    if lacking:
        hint = "install them, run this as root on Debian or Ubuntu, or name running servers by the settings"
        print(f"missing (Debian's names): {', '.join(lacking)}: {hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
