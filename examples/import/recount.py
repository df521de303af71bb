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
Levels = dict[str, dict[str, dict[str, dict[str, str]]]]
MOMENTS = {
    "incidents": ("2016-03-31T23:59:59", "2016-12-31T23:59:59", "2017-02-08T18:07:00"),
    "nyc311": ("2020-01-02T23:59:59", "2020-01-31T23:59:59", "2020-07-17T10:49:18"),
}
UNITS = {"m": 60, "h": 3600, "d": 86400}
RATES = ("repair_timeliness", "repair_pass", "repair_follow_up", "follow_up")


@dataclass
class Repair:
    """What counts of one case: its deadlines, completion, first inspection, and its follow-up."""

    raised: datetime
    targets: dict[str, timedelta]
    is_repair: bool = True
    worked: datetime | None = None
    waits: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    completed: datetime | None = None
    done: datetime | None = None
    inspected: tuple[datetime, bool] | None = None
    passed_at: datetime | None = None

    def first_miss(self) -> datetime | None:
        """When the first deadline passed unmet by the log; None where all were met or still run."""
        misses = []
        for clock, target in self.targets.items():
            due: datetime | None = self.raised + target
            met = self.worked
            if clock == "complete":
                due, met = self.due_with_waits(target), self.completed
            if due is not None and (met is None or met > due):
                misses.append(due)
        return min(misses, default=None)

    def due_with_waits(self, target: timedelta) -> datetime | None:
        """The due time moved on by every wait that began before it; None while such a wait lasts."""
        due = self.raised + target
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
    name, read = ("incidents", incidents) if "ident_state" in rows[0] else ("nyc311", requests)
    rules = tomllib.loads((PROPERTIES / name / "property.toml").read_text(encoding="utf-8"))
    zone = ZoneInfo(rules["timezone"])
    cases = list(read(rows, rules["service_levels"], zone))
    print(f"{len(rows)} rows, {len(cases)} cases, {sum(case.is_repair for case in cases)} of them repairs")
    wrong = 0
    for moment in MOMENTS[name]:
        at = datetime.fromisoformat(moment).replace(tzinfo=zone)
        for window, start in windows(at):
            figures = count(cases, start, at)
            told = asked(args.url, args.key, name, window, at) if args.url else figures
            for rate in RATES:
                wrong += show(moment, window, rate, figures[rate], told[rate])
    print("all equal" if args.url and not wrong else f"{wrong} differ" if wrong else "")
    return 1 if wrong else 0


def windows(at: datetime) -> Iterator[tuple[str, datetime]]:
    """Name and local midnight at which each window begins."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    yield "month", midnight.replace(day=1)
    yield "year", midnight.replace(month=1, day=1)
    yield "rolling_30d", midnight - timedelta(days=29)


def count(cases: list[Repair], start: datetime, at: datetime) -> dict[str, tuple[int, int]]:
    """Numerator and denominator of each rate at that instant."""
    decided = timely = inspected = good = 0
    due = {True: 0, False: 0}
    for case in cases:
        if case.is_repair:
            miss = case.first_miss()
            moments = [m for m in (case.completed, miss) if m is not None]
            if moments and start <= min(moments) <= at:
                decided += 1
                timely += miss is None or (case.completed is not None and case.completed <= miss)
            if case.inspected and start <= case.inspected[0] <= at:
                inspected += 1
                good += case.inspected[1]
        if case.passed_at and case.done and case.passed_at <= at:
            due[case.is_repair] += start <= case.done + timedelta(hours=24) <= at
    return {
        "repair_timeliness": (timely, decided),
        "repair_pass": (good, inspected),
        "repair_follow_up": (0, due[True]),
        "follow_up": (0, due[True] + due[False]),
    }


def seconds(text: str) -> timedelta:
    """From "30m", "8h", "2d"."""
    return timedelta(seconds=int(text[:-1]) * UNITS[text[-1]])


def clocks(levels: Levels, kind: str, priority: str) -> dict[str, timedelta]:
    """The property's own promises; what is "off" has no clock."""
    told: dict[str, str] = {}
    for level in ("*", priority):
        told |= levels.get(kind, {}).get(level, {}).get("clocks", {})
    return {clock: seconds(text) for clock, text in told.items() if text != "off"}


def incidents(rows: Rows, levels: Levels, zone: ZoneInfo) -> Iterator[Repair]:
    """Cases of the incident log: one row per event, the state in ident_state."""
    priorities = {"1": "urgent", "2": "high", "3": "normal", "4": "low"}
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        grouped.setdefault(row["number"], []).append(row)

    def when(text: str) -> datetime:
        return datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=zone)

    for events in grouped.values():
        first = events[0]
        case = Repair(
            when(first["opened_at"]), clocks(levels, "repair", priorities.get(first["priority"], "normal"))
        )
        for event in sorted(events, key=lambda row: when(row["sys_updated_at"])):
            follow(case, event["ident_state"], when(event["sys_updated_at"]))
        yield case


def follow(case: Repair, state: str, at: datetime) -> None:
    """What one event adds; nothing happens any more once a resolution has stood."""
    if case.passed_at or state == "New":
        return
    case.worked = case.worked or at
    if case.waits and case.waits[-1][1] is None:
        case.waits[-1] = (case.waits[-1][0], at)
    if case.done and state not in ("Resolved", "Closed"):  # reopened
        case.inspected = case.inspected or (at, False)
        case.done = None
    if state.startswith("Awaiting"):
        case.waits.append((at, None))
    if state in ("Resolved", "Closed") and not case.done:
        case.completed, case.done = case.completed or at, at
    if state == "Closed":
        case.inspected = case.inspected or (at, True)
        case.passed_at = at


def requests(rows: Rows, levels: Levels, zone: ZoneInfo) -> Iterator[Repair]:
    """Cases of the 311 log: one row each, those closed before they were created left out."""
    mapping = tomllib.loads(Path(__file__).with_name("nyc311-2020.toml").read_text(encoding="utf-8"))[
        "demand"
    ]

    def when(text: str) -> datetime:
        return datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=zone)

    def said(word: str, kind: str) -> str:
        table = {key.lower(): value for key, value in mapping[word]["table"].items()}
        return str(table.get(kind.lower(), mapping[word]["otherwise"]))

    for row in rows:
        raised, closed = when(row["created_date"]), when(row["closed_date"])
        if closed >= raised:
            kind, priority = said("kind", row["complaint_type"]), said("priority", row["complaint_type"])
            case = Repair(raised, clocks(levels, kind, priority), kind == "repair")
            follow(case, "Closed", closed)
            yield case


def asked(url: str, key: str, property_id: str, window: str, at: datetime) -> dict[str, tuple[int, int]]:
    """The same figures as guanjia tells them."""
    query = urllib.parse.urlencode({"property": property_id, "window": window, "at": at.isoformat()})
    request = urllib.request.Request(f"{url}/v1/kpis?{query}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        told = json.load(answer)
    items = told["items"] if isinstance(told, dict) else told
    return {
        item["kpi"]: (int(item["numerator"]), int(item["denominator"]))
        for item in items
        if item["kpi"] in RATES
    }


def show(moment: str, window: str, rate: str, mine: tuple[int, int], theirs: tuple[int, int]) -> int:
    """Print one figure; 1 where the two differ."""
    share = f"{mine[0] / mine[1]:.4f}" if mine[1] else "no sample"
    same = mine == theirs
    other = "" if same else f" NOT {theirs}"
    print(f"{moment}  {window:<12} {rate:<18} {mine[0]:>5} / {mine[1]:<5} {share:<10}{other}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
