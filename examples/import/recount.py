"""Recount the rates of an imported log straight from its CSV, sharing no code with guanjia.

    python examples/import/recount.py DATA.csv                              # prints the figures
    python examples/import/recount.py DATA.csv --url URL --key KEY          # and compares with GET /v1/kpis

The two shipped logs are told apart by their columns. Standard library only.
"""

import argparse
import csv
import json
import sys
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

PROPERTIES = Path(__file__).resolve().parent.parent / "properties"
Rows = list[dict[str, str]]
ServiceLevels = dict[str, dict[str, dict[str, dict[str, str]]]]
MOMENTS = {
    "incidents": ("2016-03-31T23:59:59", "2016-12-31T23:59:59", "2017-02-08T18:07:00"),
    "nyc311": ("2020-01-02T23:59:59", "2020-01-31T23:59:59", "2020-07-17T10:49:18"),
}
UNITS = {"m": 60, "h": 3600, "d": 86400}
RATES = ("repair_timeliness", "repair_pass", "repair_follow_up", "follow_up")


@dataclass
class Repair:
    """What counts of one case: its deadlines, completion, first inspection, and its follow-up."""

    raised_at: datetime
    targets: dict[str, timedelta]
    is_repair: bool = True
    work_began_at: datetime | None = None
    waits: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    completed_at: datetime | None = None
    resolved_at: datetime | None = None
    first_inspection: tuple[datetime, bool] | None = None
    passed_at: datetime | None = None

    def first_miss(self) -> datetime | None:
        """When the first deadline passed unmet by the log; None where all were met or still run."""
        misses = []
        for clock, target in self.targets.items():
            due: datetime | None = self.raised_at + target
            met = self.work_began_at
            if clock == "complete":
                due, met = self.due_with_waits(target), self.completed_at
            if due is not None and (met is None or met > due):
                misses.append(due)
        return min(misses, default=None)

    def due_with_waits(self, target: timedelta) -> datetime | None:
        """The due time moved on by every wait that began before it; None while such a wait lasts."""
        due = self.raised_at + target
        for begin, end in self.waits:
            if begin <= due:
                if end is None:
                    return None
                due += end - begin
        return due


def main() -> int:
    """Print the figures; with --url compare them. Exit code 1 where they differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--url", default="")
    parser.add_argument("--key", default="")
    args = parser.parse_args()
    with args.data.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    name, read_cases = (
        ("incidents", read_incidents) if "ident_state" in rows[0] else ("nyc311", read_requests)
    )
    property_file = tomllib.loads((PROPERTIES / name / "property.toml").read_text(encoding="utf-8"))
    zone = ZoneInfo(property_file["timezone"])
    cases = list(read_cases(rows, property_file["service_levels"], zone))
    print(f"{len(rows)} rows, {len(cases)} cases, {sum(case.is_repair for case in cases)} of them repairs")
    differences = 0
    for instant in MOMENTS[name]:
        at = datetime.fromisoformat(instant).replace(tzinfo=zone)
        for window, start in list_windows(at):
            figures = count_rates(cases, start, at)
            served = fetch_rates(args.url, args.key, name, window, at) if args.url else figures
            for rate in RATES:
                differences += print_rate(instant, window, rate, figures[rate], served[rate])
    print("all equal" if args.url and not differences else f"{differences} differ" if differences else "")
    return 1 if differences else 0


def list_windows(at: datetime) -> Iterator[tuple[str, datetime]]:
    """Name and local midnight at which each window begins."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    yield "month", midnight.replace(day=1)
    yield "year", midnight.replace(month=1, day=1)
    yield "rolling_30d", midnight - timedelta(days=29)


def count_rates(cases: list[Repair], start: datetime, at: datetime) -> dict[str, tuple[int, int]]:
    """Numerator and denominator of each rate at that instant."""
    decided = timely = inspected = passed = 0
    due = {True: 0, False: 0}
    for case in cases:
        if case.is_repair:
            miss = case.first_miss()
            moments = [m for m in (case.completed_at, miss) if m is not None]
            if moments and start <= min(moments) <= at:
                decided += 1
                timely += miss is None or (case.completed_at is not None and case.completed_at <= miss)
            if case.first_inspection and start <= case.first_inspection[0] <= at:
                inspected += 1
                passed += case.first_inspection[1]
        if case.passed_at and case.resolved_at and case.passed_at <= at:
            due[case.is_repair] += start <= case.resolved_at + timedelta(hours=24) <= at
    return {
        "repair_timeliness": (timely, decided),
        "repair_pass": (passed, inspected),
        "repair_follow_up": (0, due[True]),
        "follow_up": (0, due[True] + due[False]),
    }


def parse_duration(text: str) -> timedelta:
    """From "30m", "8h", "2d"."""
    return timedelta(seconds=int(text[:-1]) * UNITS[text[-1]])


def list_targets(levels: ServiceLevels, kind: str, priority: str) -> dict[str, timedelta]:
    """The property's own promises; what is "off" has no clock."""
    texts: dict[str, str] = {}
    for level in ("*", priority):
        texts |= levels.get(kind, {}).get(level, {}).get("clocks", {})
    return {clock: parse_duration(text) for clock, text in texts.items() if text != "off"}


def read_incidents(rows: Rows, levels: ServiceLevels, zone: ZoneInfo) -> Iterator[Repair]:
    """Cases of the incident log: one row per event, the state in ident_state."""
    priorities = {"1": "urgent", "2": "high", "3": "normal", "4": "low"}
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        grouped.setdefault(row["number"], []).append(row)

    def parse_time(text: str) -> datetime:
        return datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=zone)

    for events in grouped.values():
        first = events[0]
        case = Repair(
            parse_time(first["opened_at"]),
            list_targets(levels, "repair", priorities.get(first["priority"], "normal")),
        )
        for event in sorted(events, key=lambda row: parse_time(row["sys_updated_at"])):
            apply_event(case, event["ident_state"], parse_time(event["sys_updated_at"]))
        yield case


def apply_event(case: Repair, state: str, at: datetime) -> None:
    """What one event adds; nothing happens any more once a resolution has stood."""
    if case.passed_at or state == "New":
        return
    case.work_began_at = case.work_began_at or at
    if case.waits and case.waits[-1][1] is None:
        case.waits[-1] = (case.waits[-1][0], at)
    if case.resolved_at and state not in ("Resolved", "Closed"):  # reopened
        case.first_inspection = case.first_inspection or (at, False)
        case.resolved_at = None
    if state.startswith("Awaiting"):
        case.waits.append((at, None))
    if state in ("Resolved", "Closed") and not case.resolved_at:
        case.completed_at, case.resolved_at = case.completed_at or at, at
    if state == "Closed":
        case.first_inspection = case.first_inspection or (at, True)
        case.passed_at = at


def read_requests(rows: Rows, levels: ServiceLevels, zone: ZoneInfo) -> Iterator[Repair]:
    """Cases of the 311 log: one row each, those closed before they were created left out."""
    mapping = tomllib.loads(Path(__file__).with_name("nyc311-2020.toml").read_text(encoding="utf-8"))[
        "demand"
    ]

    def parse_time(text: str) -> datetime:
        return datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=zone)

    def look_up(word: str, kind: str) -> str:
        table = {key.lower(): value for key, value in mapping[word]["table"].items()}
        return str(table.get(kind.lower(), mapping[word]["otherwise"]))

    for row in rows:
        raised_at, closed = parse_time(row["created_date"]), parse_time(row["closed_date"])
        if closed >= raised_at:
            kind, priority = (
                look_up("kind", row["complaint_type"]),
                look_up("priority", row["complaint_type"]),
            )
            case = Repair(raised_at, list_targets(levels, kind, priority), kind == "repair")
            apply_event(case, "Closed", closed)
            yield case


def fetch_rates(
    url: str, key: str, property_id: str, window: str, at: datetime
) -> dict[str, tuple[int, int]]:
    """The same figures as guanjia tells them."""
    query = urllib.parse.urlencode({"property": property_id, "window": window, "at": at.isoformat()})
    request = urllib.request.Request(f"{url}/v1/kpis?{query}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        document = json.load(reply)
    items = document["items"] if isinstance(document, dict) else document
    return {
        item["kpi"]: (int(item["numerator"]), int(item["denominator"]))
        for item in items
        if item["kpi"] in RATES
    }


def print_rate(
    instant: str, window: str, rate: str, recounted: tuple[int, int], served: tuple[int, int]
) -> int:
    """Print one figure; 1 where the two differ."""
    share = f"{recounted[0] / recounted[1]:.4f}" if recounted[1] else "no sample"
    same = recounted == served
    other = "" if same else f" NOT {served}"
    print(f"{instant}  {window:<12} {rate:<18} {recounted[0]:>5} / {recounted[1]:<5} {share:<10}{other}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
