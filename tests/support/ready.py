"""Before the tests: are servers, browser, proxy and Prometheus there? Install what is missing, or fail.

With the word `pictures`: only what `make screenshots` needs, the browser and a Chinese font.

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

BROWSER = "chromium-headless-shell"
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")


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
        "nginx": shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"),
        "prometheus": shutil.which("prometheus") and shutil.which("promtool"),
    }


def install(packages: list[str]) -> bool:
    """Install with apt. False where that is not possible."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"installing {' '.join(packages)} ...", flush=True)
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
    pictures = sys.argv[1:] == ["pictures"]
    lacking = missing(pictures)
    if lacking and install(lacking):
        lacking = missing(pictures)
    if lacking:
        print(f"{', '.join(lacking)} missing: install, or name running servers", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
