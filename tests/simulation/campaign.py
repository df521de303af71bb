"""Long simulated spans, lived again and again: the same to the byte, whole, counted right, and at what cost.

    python -m tests.simulation.campaign --days 365 [--seed 7] [--times 2] [--until 2026-11-23T04:00:00+00:00]

Prints what every fifteen days took. Ends with all of it proven, or an AssertionError.
"""

import argparse
import gc
import tempfile
import time
from datetime import datetime
from fractions import Fraction
from pathlib import Path

from guanjia.simulation.life import Lived
from services.kpi.domain.windows import WINDOWS
from shared.telemetry import configure_logging
from tests.simulation.spans import UNTIL, Taken, live
from tests.unit.kpi.oracle import recount

EVERY = 15
TOLD_TOO_LATE = {f"{action}: urn:guanjia:problem:not-valid" for action in ("depart", "arrive", "complete")}
"""An engineer out of reach tells it later; where something was noted meanwhile, it is told anew as of now."""


class Costs:
    """Says every fifteen days what these took: CPU seconds, memory now, size of the databases."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._days, self._cpu = folder, 0, time.process_time()

    def __call__(self, lived: Lived) -> None:
        self._days += 1
        if self._days % EVERY == 0:
            cpu, self._cpu = time.process_time() - self._cpu, time.process_time()
            size = sum(file.stat().st_size for file in self._folder.glob("*.db")) / 1e6
            now = f"{_megabytes():6.0f} MB {size:6.0f} MB of data {lived.counts.get('cases', 0):6} cases"
            print(f"{lived.now:%Y-%m-%d} {cpu:6.1f} s {now}", flush=True)


def _megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def prove(lived: Taken, until: datetime) -> None:
    """Whole, and counted right: by the product from scratch, and by the slow independent recount."""
    assert lived.left == {}
    assert {name.partition(" ")[2] for name in lived.refused} <= {"urn:guanjia:problem:not-valid"}, (
        lived.refused
    )
    assert len(lived.demands) == lived.counts["demands"] == len(set(lived.demands))
    assert set(lived.demands) <= set(lived.cases)
    assert len(lived.cases) == lived.counts["cases"]
    assert lived.recounted == lived.rates
    for window in WINDOWS:
        shown = {kpi: (Fraction(good), Fraction(all_)) for kpi, good, all_ in lived.rates[window]}
        assert shown == recount(lived.world, until, window), window


def campaign(seed: int, days: float, until: datetime, times: int) -> Taken:
    """Live the same span `times` times; what it was."""
    runs: list[Taken] = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="guanjia-campaign-") as place:
            began, cpu = time.monotonic(), time.process_time()
            runs.append(live(Path(place), seed, days, until, Costs(Path(place))))
            took, cpu = time.monotonic() - began, time.process_time() - cpu
        print(f"{took:.0f} s, {cpu:.0f} s of CPU, {dict(runs[-1].counts)}, refused {dict(runs[-1].refused)}")
        prove(runs[-1], until)
        assert runs[-1].rates == runs[0].rates
        assert runs[-1].counts == runs[0].counts
    return runs[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--until", type=datetime.fromisoformat, default=UNTIL)
    told = parser.parse_args()
    configure_logging("ERROR")
    gc.set_threshold(50_000, 20, 50)  # as the command does
    lived = campaign(told.seed, told.days, told.until, told.times)
    for window, rates in lived.rates.items():
        print(f"\n{window}")
        for kpi, good, all_ in rates:
            share = f"{100 * float(good) / float(all_):.3f} %" if float(all_) else "-"
            print(f"  {kpi:24}{good:>16}{all_:>16}  {share}")


if __name__ == "__main__":
    main()
