"""Refuses a module of which too many expressions are `Any`, by mypy's own report.

    python -m tests.house.typed_expressions REPORT

REPORT is the folder that `mypy --any-exprs-report` wrote.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

LEAST = 97.0
"""Percent of the expressions of a module that have a type."""
PACKAGES = ("shared", "services", "guanjia")


def loose_modules(report: str) -> Iterator[tuple[str, float]]:
    """(module, percent typed) of each module of the product below `LEAST`."""
    for line in report.splitlines():
        cells = line.split()
        if len(cells) == 4 and cells[3].endswith("%") and cells[0].split(".")[0] in PACKAGES:
            percent = float(cells[3].rstrip("%"))
            if percent < LEAST:
                yield cells[0], percent


def main() -> None:
    """Print what is refused; exit 1 where anything is."""
    report = (Path(sys.argv[1]) / "any-exprs.txt").read_text(encoding="utf-8")
    loose = list(loose_modules(report))
    for module, percent in loose:
        print(f"{module}: {percent:.1f} % of its expressions have a type, {LEAST:.0f} % are asked")
    sys.exit(1 if loose else 0)


if __name__ == "__main__":
    main()
