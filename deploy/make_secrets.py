"""Makes what nobody should choose or write down: passwords and keys, once, each where its reader is.

    make_secrets.py FOLDER

FOLDER holds a folder per reader (each a volume that only this reader mounts). What is there already stays as
it is, so that the databases behind it can still be opened. GUANJIA_BOOTSTRAP_KEY and GRAFANA_PASSWORD, where
they are set, take the place of made ones, at every start.
"""

import os
import secrets
import sys
from pathlib import Path

SERVICES = ("intake", "dispatch", "survey", "kpi")


def main(folder: Path) -> None:
    """Write what is missing."""
    key = told_or_kept(folder / "intake" / "guanjia_bootstrap_key", "GUANJIA_BOOTSTRAP_KEY", "gj_")
    told_or_kept(folder / "grafana" / "admin_password", "GRAFANA_PASSWORD")
    kept(folder / "postgres" / "superuser", word())
    broker = kept(folder / "rabbitmq" / "password", word())
    write(folder / "rabbitmq" / "rabbitmq.conf", f"default_user = guanjia\ndefault_pass = {broker}\n")
    for service in SERVICES:
        password = kept(folder / "postgres" / service, word())
        own = folder / service
        write(own / "guanjia_database_url", f"postgresql://{service}:{password}@postgres:5432/guanjia")
        write(own / "guanjia_amqp_url", f"amqp://guanjia:{broker}@rabbitmq:5672/")
        write(own / "guanjia_bootstrap_key", key)


def word() -> str:
    """192 random bits that need no quoting anywhere."""
    return secrets.token_hex(24)


def told_or_kept(file: Path, name: str, prefix: str = "") -> str:
    """The environment's `name` where set, else what `file` holds, else a new word; `file` holds it now."""
    told = os.environ.get(name, "").strip()
    return write(file, told) if told else kept(file, prefix + word())


def kept(file: Path, new: str) -> str:
    """What `file` holds; `new`, written to it, where it is not there yet."""
    return file.read_text(encoding="utf-8") if file.exists() else write(file, new)


def write(file: Path, text: str) -> str:
    """All of it or nothing. Every account may read it: who mounts the volume is who may know it."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return text
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.new")
    with half.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    half.chmod(0o444)
    half.replace(file)
    return text


if __name__ == "__main__":
    main(Path(sys.argv[1]))
