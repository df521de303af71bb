"""`guanjia import` against a real server: real times, bad rows set aside, nothing doubled by a kill."""

import csv
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from guanjia.importer.client import ImportStopped
from guanjia.importer.log_import import ImportCounts, import_log
from tests.support.children import end_process, plain_environment, spawn
from tests.support.imports import LOG, MAPPING
from tests.support.processes import KEY, Processes, ServiceProcess
from tests.support.properties import TOWER, write_property
from tests.support.waiting import eventually_now


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[ServiceProcess]:
    """All services in one process, a property whose history nobody but the log writes."""
    properties = tmp_path / "properties"
    write_property(properties, "tower", TOWER + "\n[dispatch]\nautomatic = false\n")
    group = Processes(tmp_path, properties)
    try:
        yield group.start("all")
    finally:
        group.close()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Mapping, data, and the folder of journal and bad rows."""
    mapping, data = tmp_path / "mapping.toml", tmp_path / "log.csv"
    mapping.write_text(MAPPING, encoding="utf-8")
    data.write_text(LOG, encoding="utf-8")
    return mapping, data, tmp_path / "out"


def list_cases_by_number(serving: ServiceProcess) -> dict[str, Any]:
    """Every case with its history, by the number that the log gave it."""
    with httpx.Client(
        base_url=serving.url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=20
    ) as http:
        cases: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"property": "tower", "limit": "200", **({"cursor": cursor} if cursor else {})}
            page = http.get("/v1/cases", params=query).raise_for_status().json()
            cases += [http.get(f"/v1/cases/{item['id']}").raise_for_status().json() for item in page["items"]]
            cursor = page["next"]
    return {case["summary"].removeprefix("Incident "): case for case in cases}


def list_steps(case: dict[str, Any]) -> list[tuple[str, str]]:
    """The actions of a history with the times at which they happened."""
    return [(entry["action"], entry["at"]) for entry in case["history"] if entry["from"]]


async def run_import(files: tuple[Path, Path, Path], serving: ServiceProcess) -> ImportCounts:
    mapping, data, out = files
    return await import_log(mapping, data, url=serving.url, key=KEY, out=out, report=lambda _: None)


async def test_a_case_gets_the_history_that_the_log_tells_with_its_real_times(
    files: tuple[Path, Path, Path], serving: ServiceProcess
) -> None:
    counts = await run_import(files, serving)
    assert (counts.rows, counts.cases, counts.done) == (19, 4, 4)
    case = list_cases_by_number(serving)["A1"]
    assert case["state"] == "following_up"
    assert case["raised_at"] == "2016-03-01T00:00:00Z"
    assert list_steps(case) == [
        ("assign", "2016-03-01T00:05:00Z"),
        ("accept", "2016-03-01T00:05:00Z"),
        ("arrive", "2016-03-01T00:05:00Z"),
        ("wait", "2016-03-01T01:00:00Z"),
        ("resume", "2016-03-01T05:00:00Z"),
        ("complete", "2016-03-01T05:00:00Z"),
        ("inspect", "2016-03-01T06:00:00Z"),
        ("complete", "2016-03-01T08:00:00Z"),
        ("inspect", "2016-03-02T08:00:00Z"),
    ]
    deadline = next(deadline for deadline in case["deadlines"] if deadline["clock"] == "complete")
    assert deadline["paused_seconds"] == 4 * 3600


async def test_another_reason_for_waiting_is_a_wait_of_its_own(
    files: tuple[Path, Path, Path], serving: ServiceProcess
) -> None:
    await run_import(files, serving)
    case = list_cases_by_number(serving)["A5"]
    assert case["state"] == "waiting"
    assert [action for action, _ in list_steps(case)][-3:] == ["wait", "resume", "wait"]
    assert case["history"][-1]["data"]["reason"] == "contractor"


async def test_rows_that_do_not_fit_are_set_aside_with_the_reason(
    files: tuple[Path, Path, Path], serving: ServiceProcess
) -> None:
    counts = await run_import(files, serving)
    with (files[2] / "bad.csv").open(encoding="utf-8", newline="") as file:
        bad = {int(row["row"]): row["reason"] for row in csv.DictReader(file)}
    assert sorted(bad) == [10, 11, 12, 13, 14, 17]
    assert bad[17] == "there is no way from following_up to on_site"
    assert counts.bad == 6


async def test_an_import_run_again_changes_nothing(
    files: tuple[Path, Path, Path], serving: ServiceProcess
) -> None:
    await run_import(files, serving)
    before = list_cases_by_number(serving)
    again = await run_import(files, serving)
    assert (again.done, again.skipped, again.actions) == (0, 4, 0)
    (files[2] / "journal.jsonl").unlink()  # even without the journal: everything has a name of its own
    await run_import(files, serving)
    assert list_cases_by_number(serving) == before


async def test_a_demand_that_is_refused_sets_aside_all_rows_of_its_case(
    files: tuple[Path, Path, Path], serving: ServiceProcess
) -> None:
    files[0].write_text(MAPPING.replace('property = "tower"', 'property = "nowhere"'), encoding="utf-8")
    counts = await run_import(files, serving)
    assert counts.bad == 19
    assert list_cases_by_number(serving) == {}


async def test_an_import_without_a_server_stops_and_says_why(files: tuple[Path, Path, Path]) -> None:
    mapping, data, out = files
    with pytest.raises(ImportStopped, match="ConnectError"):
        await import_log(
            mapping, data, url="http://127.0.0.1:9", key=KEY, out=out, report=lambda _: None, patience=0.5
        )


def test_an_import_that_was_killed_goes_on_without_doubling(
    files: tuple[Path, Path, Path], serving: ServiceProcess, tmp_path: Path
) -> None:
    mapping, data, out = files
    data.write_text(make_log(120), encoding="utf-8")
    argv = [str(Path(sys.executable).with_name("guanjia")), "import", str(data), "--mapping", str(mapping)]
    argv += ["--url", serving.url, "--out", str(out), "--at-once", "4"]
    env = plain_environment() | {"GUANJIA_KEY": KEY}
    for finished in (10, 40, 80):
        killed = spawn(argv, env=env, log=tmp_path / "import.log", cwd=tmp_path)
        wait_until_done(out, finished, killed)
        end_process(killed, signal.SIGKILL)
    child = spawn(argv, env=env, log=tmp_path / "import.log", cwd=tmp_path)
    assert child.wait(120) == 0, (tmp_path / "import.log").read_text()
    cases = list_cases_by_number(serving)
    assert len(cases) == 120
    for case in cases.values():
        assert [action for action, _ in list_steps(case)] == [
            "assign",
            "accept",
            "arrive",
            "complete",
            "inspect",
        ]


def make_log(cases: int) -> str:
    """A log of so many plain cases."""
    header = "number,state,opened,changed,place,who\n"
    return header + "".join(
        f"M{n},{state},2016-03-01 08:00,2016-03-0{day} 09:00,lobby,{n}\n"
        for n in range(cases)
        for day, state in enumerate(("Active", "Resolved", "Closed"), start=1)
    )


def wait_until_done(out: Path, cases: int, child: "subprocess.Popen[bytes]") -> None:
    """Wait until the journal says that so many cases are done, or the import has ended."""
    journal = out / "journal.jsonl"

    def is_far_enough() -> bool:
        done = journal.read_bytes().count(b'"case"') if journal.exists() else 0
        return done >= cases or child.poll() is not None

    eventually_now(is_far_enough, within=60)
