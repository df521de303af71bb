"""Long spans, simulated again and again: the same to the byte, whole, counted right, and at what cost.

    python -m tests.simulation.campaign --days 365 [--seed 7] [--times 2] [--until 2026-11-23T04:00:00+00:00]

Prints what every fifteen days took. Ends with all of it proven, or an AssertionError.
"""

import argparse
import gc
import tempfile
import time
from datetime import datetime
from pathlib import Path

from guanjia.simulation.simulation import SimulationProgress
from services.kpi.domain.windows import WINDOWS
from shared.telemetry import configure_logging
from tests.simulation.spans import UNTIL, SpanResult, simulate
from tests.unit.kpi.oracle import recount

EVERY = 15


class CostPrinter:
    """Says every fifteen days what these took: CPU seconds, memory now, size of the databases."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._days, self._cpu = folder, 0, time.process_time()

    def __call__(self, progress: SimulationProgress) -> None:
        self._days += 1
        if self._days % EVERY == 0:
            cpu, self._cpu = time.process_time() - self._cpu, time.process_time()
            size = sum(file.stat().st_size for file in self._folder.glob("*.db")) / 1e6
            now = f"{_megabytes():6.0f} MB {size:6.0f} MB of data {progress.counts.get('cases', 0):6} cases"
            print(f"{progress.now:%Y-%m-%d} {cpu:6.1f} s {now}", flush=True)


def _megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def prove_result(result: SpanResult, until: datetime) -> None:
    """Whole, and counted right: by the product from scratch, and by the slow independent recount."""
    assert result.unsettled == {}
    assert {name.partition(" ")[2] for name in result.refused} <= {"urn:guanjia:problem:not-valid"}, (
        result.refused
    )
    assert len(result.demands) == result.counts["demands"] == len(set(result.demands))
    assert set(result.demands) <= set(result.cases)
    assert len(result.cases) == result.counts["cases"]
    assert result.recounted_rates == result.rates
    for window in WINDOWS:
        assert result.fractions(window) == recount(result.history, until, window), window


def campaign(seed: int, days: float, until: datetime, times: int) -> SpanResult:
    """Simulate the same span `times` times; its result."""
    runs: list[SpanResult] = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="guanjia-campaign-") as folder:
            started, cpu = time.monotonic(), time.process_time()
            runs.append(simulate(Path(folder), seed, days, until, CostPrinter(Path(folder))))
            took, cpu = time.monotonic() - started, time.process_time() - cpu
        print(f"{took:.0f} s, {cpu:.0f} s of CPU, {dict(runs[-1].counts)}, refused {dict(runs[-1].refused)}")
        prove_result(runs[-1], until)
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
    options = parser.parse_args()
    configure_logging("ERROR")
    gc.set_threshold(50_000, 20, 50)  # as the command does
    result = campaign(options.seed, options.days, options.until, options.times)
    for window, rates in result.rates.items():
        print(f"\n{window}")
        for kpi, numerator, denominator in rates:
            share = f"{100 * float(numerator) / float(denominator):.3f} %" if float(denominator) else "-"
            print(f"  {kpi:24}{numerator:>16}{denominator:>16}  {share}")


if __name__ == "__main__":
    main()
