"""A bare Debian or Ubuntu in a folder: this machine's release, installed from its own package sources.

The machine's network settings are carried in: apt's, pip's, proxies, name servers, trusted certificates. What
is mounted and started in it is seen by this program alone and ends with it, killed or not.
"""

import ast
import configparser
import contextlib
import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.install import Stages, follow_installation

INCLUDED = ("python3", "python3-venv", "make", "git")
"""What README says a machine must have."""
STAGES: Stages = {
    "{count} fetched, now {package}": re.compile(r"I: Retrieving ([\w.+-]+) \S"),
    "{count} unpacked, now {package}": re.compile(r"I: Unpacking ([\w.+-]+?)\.\.\."),
    "{count} set up, now {package}": re.compile(r"I: Configuring ([\w.+-]+?)\.\.\."),
}
APT_SETTINGS = ("sources.list", "sources.list.d", "preferences.d", "auth.conf", "auth.conf.d")
APT_KEYS = ("etc/apt/trusted.gpg", "etc/apt/trusted.gpg.d", "etc/apt/keyrings", "usr/share/keyrings")
CERTIFICATES = "usr/local/share/ca-certificates"
NETWORK_VARIABLE = re.compile(
    r"\w+_proxy|PIP_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE", re.IGNORECASE
)
CLONE_NEWNS, CLONE_NEWPID, MNT_DETACH = 0x0002_0000, 0x2000_0000, 2


@contextlib.contextmanager
def own_namespaces() -> Iterator[None]:
    """Inside, this program's mounts are its own, and all that it starts is killed at the end.

    The first process that is started is the parent of all others' orphans, and the kernel ends them all with
    it; it lives as long as its standard input, so that it is gone when this program is killed. OSError where
    this program may not have namespaces.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWPID):
        raise OSError(ctypes.get_errno(), "namespaces can't be made here")
    reaper = subprocess.Popen(["sh", "-c", "cat; :"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        yield
    finally:
        reaper.kill()
        with contextlib.suppress(ChildProcessError):
            while True:  # it is gone only when all are, those included that were started from here
                os.wait()


class BareRoot:
    """The folder `path` as a machine of its own. Only inside `own_namespaces`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        self.mounted: list[Path] = []

    def build(self) -> None:
        """Install it and carry the network settings in. CalledProcessError where debootstrap fails."""
        release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        mirror, components = package_source(release)
        argv = ["debootstrap", "--variant=minbase", f"--components={','.join(components)}"]
        argv += [f"--include={','.join(INCLUDED)}", release, str(self.path), mirror]
        if code := follow_installation(argv, STAGES):
            raise subprocess.CalledProcessError(code, argv)
        self._mount("proc", "proc")
        self._mount("sysfs", "sys", "ro")
        self._mount("tmpfs", "dev/shm")
        self._mount("devpts", "dev/pts", "newinstance,ptmxmode=0666")
        self._carry_network_settings()

    def argv(self, command: Sequence[str], folder: str = "/") -> list[str]:
        """The words that run `command` in it; to be started with `self.environment` alone."""
        return ["chroot", str(self.path), "env", f"--chdir={folder}", *command]

    def remove(self) -> None:
        """Delete it, once nothing of it is mounted any more. OSError where something still is."""
        libc = ctypes.CDLL(None, use_errno=True)
        for place in reversed(self.mounted):
            if libc.umount2(os.fsencode(place), MNT_DETACH):
                raise OSError(ctypes.get_errno(), "can't be unmounted", str(place))
        shutil.rmtree(self.path, ignore_errors=True)

    def _mount(self, kind: str, where: str, options: str = "rw") -> None:
        place = self.path / where
        subprocess.run(["mount", "-t", kind, "-o", options, kind, str(place)], check=True)
        self.mounted.append(place)

    def _carry_network_settings(self) -> None:
        self.environment |= {
            name: value for name, value in os.environ.items() if NETWORK_VARIABLE.fullmatch(name)
        }
        for name in ("etc/resolv.conf", "etc/hosts", CERTIFICATES, *APT_KEYS):
            self._copy(Path("/", name))
        self._carry_apt_settings()
        certificates = self.argv(["update-ca-certificates"])
        subprocess.run(certificates, env=self.environment, check=True, capture_output=True)
        settings = pip_settings()
        with (self.path / "etc/pip.conf").open("w", encoding="utf-8") as file:
            settings.write(file)
        values = [value for section in settings.values() for value in section.values()]
        for path in named_paths([*values, *self.environment.values()]):
            self._carry_path(path)

    def _carry_apt_settings(self) -> None:
        (self.path / "etc/apt/sources.list").unlink(missing_ok=True)
        for name in APT_SETTINGS:
            self._copy(Path("/etc/apt", name))
        network = subprocess.run(
            ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
        )
        (self.path / "etc/apt/apt.conf.d/90network").write_text(network.stdout, encoding="utf-8")

    def _carry_path(self, path: Path) -> None:
        """A file that a setting names is copied, a folder of packages mounted so that it can't be changed."""
        inside = self.path / path.relative_to("/")
        if path.is_file():
            self._copy(path)
        elif not inside.exists():
            inside.mkdir(parents=True)
            subprocess.run(["mount", "--bind", str(path), str(inside)], check=True)
            self.mounted.append(inside)
            subprocess.run(["mount", "-o", "remount,bind,ro", str(inside)], check=True)

    def _copy(self, path: Path) -> None:
        inside = self.path / path.relative_to("/")
        if path.is_dir():
            shutil.copytree(path, inside, dirs_exist_ok=True)
        elif path.is_file():
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, inside)


def package_source(release: str) -> tuple[str, list[str]]:
    """Where this machine's apt takes that release from, and which components of it."""
    columns = "$(RELEASE) $(REPO_URI) $(COMPONENT)"
    argv = ["apt-get", "indextargets", "--format", columns, "Created-By: Packages"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    targets = [(uri, component) for name, uri, component in map(str.split, lines) if name == release]
    if not targets:
        raise LookupError(f"apt has no source of {release}")
    mirror = targets[0][0]
    return mirror, [component for uri, component in targets if uri == mirror]


def pip_settings() -> configparser.RawConfigParser:
    """What this machine's pip is configured by, from all of its files, without the environment."""
    argv = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    settings = configparser.RawConfigParser()
    for name, _, value in (line.partition("=") for line in lines if not line.startswith(":env:")):
        section, _, key = name.partition(".")
        settings.read_dict({section: {key: ast.literal_eval(value)}})
    return settings


def named_paths(values: Sequence[str]) -> list[Path]:
    """The files and folders of this machine that the values of settings name.

    Where one is the address of an index, its parent: the files that its pages name lie beside it.
    """
    words = [word for value in values for word in value.split()]
    indexes = [Path(word.removeprefix("file://")).parent for word in words if word.startswith("file:///")]
    paths = [*indexes, *(Path(word) for word in words if word.startswith("/"))]
    return [path for path in dict.fromkeys(paths) if path.exists()]
