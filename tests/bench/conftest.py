"""The size of the short form, and how a program is run in it."""

import importlib
from collections.abc import Awaitable, Callable

import pytest

from bench.aims import Aim
from bench.report import Report, Row

SHORT = {
    "BENCH_ROUNDS": "1",
    "BENCH_SECONDS": "1",
    "BENCH_PATIENCE": "0",
    "BENCH_AT_ONCE": "8",
    "BENCH_PEERS": "0",
    "BENCH_CASES": "4510",
    "BENCH_DAYS": "2",
    "BENCH_DEMANDS": "24",
    "BENCH_SCRAPES": "10",
    "BENCH_PROPERTIES": "5",
    "BENCH_TIMED": "40",
    "BENCH_OPEN_CASES": "30",
    "BENCH_WATCHERS": "4",
    "BENCH_SOAK_SECONDS": "5",
    "BENCH_SOAK_RATE": "8",
}
VERDICTS = {f"{verdict}{noise}" for verdict in ("met", "missed") for noise in ("", ", within the noise")}
Run = Callable[..., Awaitable[list[Row]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the program of that name in its short form; its rows. Each of `aims` has been judged."""
    for name, value in SHORT.items():
        monkeypatch.setenv(name, value)

    async def run_program(name: str, *aims: Aim) -> list[Row]:
        report = Report()
        await importlib.import_module(f"bench.{name}").measure(report)
        judged = {(row.goal, row.aim) for row in report.rows if row.verdict}
        assert judged == {(aim.goal, str(aim)) for aim in aims}
        assert {row.verdict for row in report.rows if row.aim} <= VERDICTS
        return report.rows

    return run_program


def figure_of(rows: list[Row], words: str) -> str:
    """The figure of the one row that says so."""
    (figure,) = [row.figure for row in rows if words in row.what]
    return figure
