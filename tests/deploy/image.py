"""The files of the image, laid out as its Dockerfile copies them and .dockerignore lets them through."""

import shutil
from fnmatch import fnmatch
from pathlib import Path

from shared.settings import PROJECT
from tests.deploy.compose import dockerfile


def copied() -> list[tuple[str, str]]:
    """What the Dockerfile takes from the project: (source, where to below the image's /app)."""
    found = []
    for word, rest in dockerfile():
        if word == "COPY" and "--from=" not in rest:
            *sources, target = rest.split()
            found += [(source, target) for source in sources]
    return found


def let_through(path: str) -> bool:
    """Whether .dockerignore lets a path reach the builder: the last line that speaks of it decides."""
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    passed = True
    for line in (line.strip() for line in lines):
        if line and not line.startswith("#") and _speaks_of(line.removeprefix("!"), path):
            passed = line.startswith("!")
    return passed


def _speaks_of(pattern: str, path: str) -> bool:
    parts = Path(path).parts
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern[3:]) for part in parts)
    return any(fnmatch(place, pattern) for place in above)


def lay_out(folder: Path) -> Path:
    """Make `folder` what /app is in the image."""
    for source, target in copied():
        origin = PROJECT / source
        files = [origin] if origin.is_file() else [file for file in origin.rglob("*") if file.is_file()]
        for file in files:
            relative = file.relative_to(PROJECT)
            if not let_through(relative.as_posix()):
                continue
            place = folder / target / (relative.name if origin.is_file() else file.relative_to(origin))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    return folder
