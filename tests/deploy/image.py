"""The files of the image, laid out as its Dockerfile copies them and .dockerignore lets them through."""

import shutil
from fnmatch import fnmatch
from pathlib import Path

from shared.settings import PROJECT
from tests.deploy.compose import read_dockerfile


def list_copied() -> list[tuple[str, str]]:
    """What the Dockerfile takes from the project: (source, where to below the image's /app)."""
    copied_files = []
    for instruction, rest in read_dockerfile():
        if instruction == "COPY" and "--from=" not in rest:
            *sources, target = rest.split()
            copied_files += [(source, target) for source in sources]
    return copied_files


def is_let_through(path: str) -> bool:
    """Whether .dockerignore lets a path reach the builder: the last line that speaks of it decides."""
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    passed = True
    for line in (line.strip() for line in lines):
        if line and not line.startswith("#") and _matches(line.removeprefix("!"), path):
            passed = line.startswith("!")
    return passed


def _matches(pattern: str, path: str) -> bool:
    parts = Path(path).parts
    prefixes = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern[3:]) for part in parts)
    return any(fnmatch(path, pattern) for path in prefixes)


def lay_out_image(folder: Path) -> Path:
    """Make `folder` what /app is in the image."""
    for source, target in list_copied():
        origin = PROJECT / source
        files = [origin] if origin.is_file() else [file for file in origin.rglob("*") if file.is_file()]
        for file in files:
            relative = file.relative_to(PROJECT)
            if not is_let_through(relative.as_posix()):
                continue
            path = folder / target / (relative.name if origin.is_file() else file.relative_to(origin))
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, path)
    return folder
