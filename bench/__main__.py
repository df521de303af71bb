"""`make bench`: the product beside its baselines and peers, each goal's program by name, all by default."""

import argparse
import asyncio
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

import uvloop

from bench import environment
from bench.report import Report
from bench.sizes import QUICK
from tests.support.servers import run_supervisor

PROGRAMS = (
    *("intake", "batches", "repairs", "latency", "growth", "scrape", "rebuild", "embedded"),
    *("copies", "board", "disk", "soak"),
)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="program", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--quick", action="store_true", help="one short round of each: does it work?")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    if unknown := set(arguments.programs) - set(PROGRAMS):
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    return arguments


async def _run_programs(names: tuple[str, ...], report: Report) -> list[str]:
    """Run them, each whatever became of those before; the names of those that failed."""
    failed = []
    for name in names:
        started = time.perf_counter()
        report.heading(f"{name} …")
        try:
            await importlib.import_module(f"bench.{name}").measure(report)
        except Exception as error:
            traceback.print_exception(_first_of_group(error))
            failed.append(name)
        report.heading(f"{name}: {time.perf_counter() - started:.0f} s")
    return failed


def _first_of_group(error: Exception) -> Exception:
    """The first of a group that ended together: one tells enough."""
    return _first_of_group(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def main() -> int:
    """Run what was asked for, print the table, write it where asked to. 1 where a program failed."""
    arguments = _parse_arguments()
    if arguments.quick:
        os.environ.update(QUICK)
    report = Report()
    with (
        run_supervisor(),
        environment.run_servers(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        failed = runner.run(_run_programs(tuple(arguments.programs) or PROGRAMS, report))
    report.print()
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown())
    if failed:
        print(f"no result of: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
