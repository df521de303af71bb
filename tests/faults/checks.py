"""After a campaign nothing is lost, doubled or invented, and the rates equal a recount."""

import asyncio
import itertools
import re
import time
from collections import Counter
from datetime import datetime
from typing import Any

from tests.faults.repairs import PROPERTY, Repair, ServiceClients
from tests.support.waiting import eventually

SYSTEM_ACTIONS = {"raise", "assign", "lapse", "escalate", "close"}


async def wait_until_settled(clients: ServiceClients, within: float = 60) -> float:
    """Wait until no outbox holds anything and every demand is accounted for; the seconds that it took."""
    started = time.monotonic()
    while True:
        try:
            unsettled = await _read_unsettled(clients)
        except (OSError, KeyError) as error:
            unsettled = {"error": repr(error)}
        if not unsettled:
            return time.monotonic() - started
        assert time.monotonic() - started < within, f"not settled within {within} s: {unsettled}"
        await asyncio.sleep(0.2)


async def _read_unsettled(clients: ServiceClients) -> dict[str, Any]:
    """What still stands in the gauges that must come to 0."""
    unsettled = {}
    for name, client in clients.http.items():
        text = (await client.get("/metrics")).text
        for metric in ("guanjia_outbox_pending", "guanjia_demands_unaccounted"):
            for labels, value in re.findall(rf"^{metric}(\S*) (\S+)$", text, re.M):
                if float(value):
                    unsettled[f"{name} {metric}{labels}"] = float(value)
    return unsettled


async def check_results(clients: ServiceClients, repairs: list[Repair]) -> dict[str, int]:
    """Raise AssertionError where the books are not clean; else what was counted."""
    cases = await list_all(clients, "dispatch", "/v1/cases", {"property": PROPERTY})
    cases_by_id = {case["id"]: await _get_case(clients, case["id"]) for case in cases}
    reworks = {case["id"]: case for case in cases_by_id.values() if case["rework_of"]}
    listed = Counter(case["id"] for case in cases)
    assert max(listed.values()) == 1, "a case is listed twice"
    expected = {repair.demand for repair in repairs}
    assert not expected - set(cases_by_id), f"lost: {sorted(expected - set(cases_by_id))[:5]}"
    assert not set(cases_by_id) - expected - set(reworks), "invented cases"
    for repair in repairs:
        check_history(cases_by_id[repair.demand], repair)
    await check_reworks(repairs, reworks)
    await check_followups(clients, repairs, reworks)
    await check_demands(clients, repairs, cases_by_id)
    await check_rates(clients, repairs, list(reworks.values()))
    await check_evidence(clients, repairs)
    await check_dead_letters(clients)
    return {"demands": len(repairs), "cases": len(cases_by_id), "reworks": len(reworks)}


def check_history(case: dict[str, Any], repair: Repair) -> None:
    """No gap in the history, each step begins where the one before ended, each action was taken once."""
    history = case["history"]
    assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1)), f"gaps in {case['id']}"
    for before, after in itertools.pairwise(history):
        assert after["from"] == before["to"], f"{case['id']}: {before['to']} then {after['from']}"
    done = Counter(entry["action"] for entry in history if entry["action"] not in SYSTEM_ACTIONS)
    assert done == Counter(repair.actions), f"{case['id']}: asked {Counter(repair.actions)}, done {done}"
    if repair.closed:
        assert case["state"] == "closed" and not case["open"], f"{case['id']} is {case['state']}"
        closings = sum(entry["action"] == "close" for entry in history)
        assert closings == 1, f"{case['id']} was closed {closings} times"


async def check_reworks(repairs: list[Repair], reworks: dict[str, Any]) -> None:
    """One rework for every dissatisfied answer."""
    unhappy = Counter(repair.demand for repair in repairs if repair.rating is not None and repair.rating <= 2)
    assert Counter(case["rework_of"] for case in reworks.values()) == unhappy


async def check_followups(clients: ServiceClients, repairs: list[Repair], reworks: dict[str, Any]) -> None:
    """One follow-up for every life that is over, with one answer."""
    follow_ups = await list_all(clients, "survey", "/v1/followups", {"property": PROPERTY})
    by_case = Counter(followup["case"] for followup in follow_ups)
    assert by_case == Counter(
        repair.demand for repair in repairs if "inspect" in repair.actions and repair.closed
    ), "follow-ups"
    for followup in follow_ups:
        assert [attempt["outcome"] for attempt in followup["attempts"]] == ["answered"], followup


async def check_demands(clients: ServiceClients, repairs: list[Repair], cases: dict[str, Any]) -> None:
    """What intake says of every demand comes to what dispatch says of its case."""
    for repair in repairs:
        path, case = f"/v1/demands/{repair.demand}", cases[repair.demand]

        async def get_state(path: str = path) -> tuple[str, str, bool] | None:
            demand = await clients.request("intake", "GET", path, expect={200})
            known = demand["case"]
            return known and (known["number"], known["state"], known["open"])

        await eventually(get_state, (case["number"], case["state"], case["open"]).__eq__, within=20)


async def check_evidence(clients: ServiceClients, repairs: list[Repair]) -> None:
    """The items behind two rates are of the very cases that were inspected and rated, each once."""
    expected = {
        "repair_pass": Counter(repair.demand for repair in repairs if "inspect" in repair.actions),
        "repair_satisfaction": Counter(repair.demand for repair in repairs if repair.rating is not None),
    }
    for kpi, cases in expected.items():
        query = {"property": PROPERTY, "window": "rolling_30d"}
        items = await list_all(clients, "kpi", f"/v1/kpis/{kpi}/evidence", query)
        assert Counter(item["case"] for item in items) == cases, f"items of {kpi}"


async def check_rates(clients: ServiceClients, repairs: list[Repair], reworks: list[dict[str, Any]]) -> None:
    """The figures of kpi equal a count of what was asked for, and of reworks that nobody touched in time."""
    inspected = [repair for repair in repairs if "inspect" in repair.actions]
    rated = [repair for repair in repairs if repair.rating is not None]
    timely = _count_done(repairs, "complete")
    expected = {
        "repair_timeliness": (timely, timely),
        "repair_pass": (sum(repair.first_inspection for repair in inspected), len(inspected)),
        "repair_satisfaction": (sum(repair.rating in (4, 5) for repair in rated), len(rated)),
    }
    query = {"property": PROPERTY, "window": "rolling_30d"}
    deadline = time.monotonic() + 30
    while True:
        reply = await clients.request("kpi", "GET", "/v1/kpis", expect={200}, params=query)
        rates = {item["kpi"]: (item["numerator"], item["denominator"]) for item in reply["items"]}
        rates_now = {name: rates[name] for name in expected}
        expected["repair_timeliness"] = (timely, timely + _count_missed(reworks, reply["items"][0]["end"]))
        if rates_now == {
            name: (str(numerator), str(denominator)) for name, (numerator, denominator) in expected.items()
        }:
            return
        assert time.monotonic() < deadline, f"rates {rates_now}, recounted {expected}"
        await asyncio.sleep(0.2)


async def check_dead_letters(clients: ServiceClients) -> None:
    for name, client in clients.http.items():
        text = (await client.get("/metrics")).text
        dead = {q: v for q, v in re.findall(r"^guanjia_dead_letters(\S*) (\S+)$", text, re.M) if float(v)}
        assert not dead, f"dead letters at {name}: {dead}"


async def list_all(
    clients: ServiceClients, service: str, path: str, query: dict[str, str]
) -> list[dict[str, Any]]:
    """All pages of a list."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page_query = {**query, "limit": "200", **({"cursor": cursor} if cursor else {})}
        reply = await clients.request(service, "GET", path, expect={200}, params=page_query)
        items += reply["items"]
        cursor = reply["next"]
    return items


async def list_steps(clients: ServiceClients) -> set[tuple[str, int]]:
    """Every step of every case: its case and its number."""
    cases = await list_all(clients, "dispatch", "/v1/cases", {"property": PROPERTY})
    details = [await _get_case(clients, case["id"]) for case in cases]
    return {(case["id"], entry["seq"]) for case in details for entry in case["history"]}


async def _get_case(clients: ServiceClients, case: str) -> dict[str, Any]:
    reply: dict[str, Any] = await clients.request("dispatch", "GET", f"/v1/cases/{case}", expect={200})
    return reply


def _count_missed(reworks: list[dict[str, Any]], now: str) -> int:
    """Those of which a deadline had passed unmet by then; nobody works on them in a campaign."""
    return sum(
        any(datetime.fromisoformat(d["due_at"]) <= datetime.fromisoformat(now) for d in case["deadlines"])
        for case in reworks
    )


def _count_done(repairs: list[Repair], action: str) -> int:
    return sum(action in repair.actions for repair in repairs)
