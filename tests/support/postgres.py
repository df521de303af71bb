"""A private PostgreSQL from the installed binaries: own folder, own port, 127.0.0.1 only, also as root."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from tests.support.children import ChildFailed, end_process, free_port, plain_environment, read_tail, spawn
from tests.support.waiting import eventually_now

USER = "guanjia_tests"


def find_binaries() -> Path | None:
    """The folder with initdb and postgres of the newest installed version, or None."""
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True
    )
    on_path = shutil.which("initdb")
    folders = [*packaged, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((p for p in folders if (p / "postgres").exists() and (p / "initdb").exists()), None)


class Postgres:
    """One server. Durability against a power cut is off: tests kill processes, not machines."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder, self.port = folder, free_port()
        self.settings = ("fsync=off", "full_page_writes=off", "max_connections=300", *settings)
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Create the cluster if need be, start it and wait until it answers (60 s)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "data").exists():
            self._initialise()
        self._launch()

    def stop(self) -> None:
        if self.child:
            end_process(self.child, signal.SIGINT)

    def kill(self) -> None:
        """The end of the postmaster and all its backends at once, without a goodbye."""
        processes = self._list_processes()
        for sig in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: none sees another die and tidies up
            for pid in processes:
                os.kill(pid, sig)
        if self.child:
            self.child.wait()
        eventually_now(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), within=20)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        for pid in self._list_processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._list_processes():
            os.kill(pid, signal.SIGCONT)

    def _initialise(self) -> None:
        account, binaries_folder = self._find_account(), _require_binaries()
        if account:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        argv = [str(binaries_folder / "initdb"), "-D", str(self.folder / "data"), "-A", "trust", "-U", USER]
        done = subprocess.run(
            [*argv, "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"],
            capture_output=True,
            text=True,
            cwd=self.folder,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode:
            raise ChildFailed(done.stderr[-1500:])

    def _launch(self) -> None:
        account, log = self._find_account(), self.folder / "log"
        argv = [str(_require_binaries() / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        argv += ["-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        argv += [word for setting in self.settings for word in ("-c", setting)]
        self.child = spawn(
            argv,
            env=plain_environment(),
            log=log,
            cwd=self.folder,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            on_parents_death=signal.SIGQUIT,
        )
        eventually_now(self._is_ready, within=60)

    def _is_ready(self) -> bool:
        if self.child is None or self.child.poll() is not None:
            raise ChildFailed(f"postgres did not come up:\n{read_tail(self.folder / 'log')}")
        argv = [
            str(_require_binaries() / "pg_isready"),
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-t",
            "1",
        ]
        return subprocess.run([*argv, "-U", USER, "-d", "postgres"]).returncode == 0

    def _find_account(self) -> pwd.struct_passwd | None:
        """Whom the server runs as when we are root, which PostgreSQL refuses to be."""
        if os.geteuid() != 0:
            return None
        accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
        return accounts.get("postgres") or accounts["nobody"]

    def _list_processes(self) -> list[int]:
        if self.child is None or self.child.poll() is not None:
            return []
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        return [self.child.pid, *(int(pid) for pid in children.read_text().split())]


def _require_binaries() -> Path:
    binaries_folder = find_binaries()
    if binaries_folder is None:
        raise ChildFailed("PostgreSQL is not installed")
    return binaries_folder
