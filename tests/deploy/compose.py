"""docker-compose.yml as Compose reads it: merged, the environment filled in, every service by its name."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from shared.settings import PROJECT

FILE = PROJECT / "docker-compose.yml"
DOCKERFILE = PROJECT / "deploy" / "Dockerfile"
OURS = ("intake", "dispatch", "survey", "kpi")
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(:-(?P<default>[^}]*))?\}")


@dataclass(frozen=True)
class Mount:
    """Something that a container sees at `target`: a named volume, or a file or folder of the project."""

    source: str
    target: str
    read_only: bool

    @property
    def is_bind(self) -> bool:
        return self.source.startswith("./")


def read_yaml(file: Path) -> Any:
    """What a YAML file holds, anchors and merges resolved."""
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def load_compose(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The whole file, its variables taken from `environment`."""
    values = environment or {}

    def fill_in(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill_in(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [fill_in(inner) for inner in value]
        if isinstance(value, str):
            return _VARIABLE.sub(lambda match: values.get(match["name"]) or match["default"] or "", value)
        return value

    filled: dict[str, Any] = fill_in(read_yaml(FILE))
    return filled


def load_services(environment: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Every service of the file."""
    by_name: dict[str, dict[str, Any]] = load_compose(environment)["services"]
    return by_name


def list_mounts(service: Mapping[str, Any]) -> list[Mount]:
    """What a service mounts."""
    parts = [entry.split(":") for entry in service.get("volumes", [])]
    return [Mount(source, target, rest == ["ro"]) for source, target, *rest in parts]


def read_dockerfile() -> list[tuple[str, str]]:
    """The instructions of the image's file: (instruction, its words), continued lines joined."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], " ".join(line.split(None, 1)[1:])) for line in lines]


def read_image_environment() -> dict[str, str]:
    """What the image's last stage sets."""
    last = max(number for number, (instruction, _) in enumerate(read_dockerfile()) if instruction == "FROM")
    words = [rest for instruction, rest in read_dockerfile()[last:] if instruction == "ENV"]
    return dict(pair.split("=", 1) for line in words for pair in shlex.split(line))
