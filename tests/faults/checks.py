"""Clean books: after a campaign nothing is lost, doubled or invented, and the rates equal a recount."""

import asyncio
import itertools
import re
import time
from collections import Counter
from datetime import datetime
from typing import Any

from tests.faults.lives import PROPERTY, Clients, Life

SYSTEM_ACTIONS = {"raise", "assign", "lapse", "escalate", "close"}


async def settled(clients: Clients, within: float = 60) -> float:
    """Wait until no outbox holds anything and every demand is accounted for; the seconds that it took."""
    began = time.monotonic()
    while True:
        try:
            waiting = await _waiting(clients)
        except (OSError, KeyError) as error:
            waiting = {"error": repr(error)}
        if not waiting:
            return time.monotonic() - began
        assert time.monotonic() - began < within, f"not settled within {within} s: {waiting}"
        await asyncio.sleep(0.2)


async def _waiting(clients: Clients) -> dict[str, Any]:
    """What still stands in the gauges that must come to 0."""
    found = {}
    for name, door in clients.doors.items():
        text = (await door.get("/metrics")).text
        for metric in ("guanjia_outbox_pending", "guanjia_demands_unaccounted"):
            for labels, value in re.findall(rf"^{metric}(\S*) (\S+)$", text, re.M):
                if float(value):
                    found[f"{name} {metric}{labels}"] = float(value)
    return found


async def check(clients: Clients, lives: list[Life]) -> dict[str, int]:
    """Raise AssertionError where the books are not clean; else what was counted."""
    cases = await everything(clients, "dispatch", "/v1/cases", {"property": PROPERTY})
    full = {case["id"]: await _full(clients, case["id"]) for case in cases}
    reworks = {case["id"]: case for case in full.values() if case["rework_of"]}
    opened = Counter(case["id"] for case in cases)
    assert max(opened.values()) == 1, "a case is listed twice"
    wanted = {life.demand for life in lives}
    assert not wanted - set(full), f"lost: {sorted(wanted - set(full))[:5]}"
    assert not set(full) - wanted - set(reworks), "invented cases"
    for life in lives:
        check_history(full[life.demand], life)
    await check_reworks(lives, reworks)
    await check_followups(clients, lives, reworks)
    await check_rates(clients, lives, list(reworks.values()))
    await check_dead_letters(clients)
    return {"demands": len(lives), "cases": len(full), "reworks": len(reworks)}


def check_history(case: dict[str, Any], life: Life) -> None:
    """No gap in the history, each step begins where the one before ended, each action was taken once."""
    history = case["history"]
    assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1)), f"gaps in {case['id']}"
    for before, after in itertools.pairwise(history):
        assert after["from"] == before["to"], f"{case['id']}: {before['to']} then {after['from']}"
    done = Counter(entry["action"] for entry in history if entry["action"] not in SYSTEM_ACTIONS)
    assert done == Counter(life.asked), f"{case['id']}: asked {Counter(life.asked)}, done {done}"
    if life.over:
        assert case["state"] == "closed" and not case["open"], f"{case['id']} is {case['state']}"
        closings = sum(entry["action"] == "close" for entry in history)
        assert closings == 1, f"{case['id']} was closed {closings} times"


async def check_reworks(lives: list[Life], reworks: dict[str, Any]) -> None:
    """One rework for every dissatisfied answer."""
    unhappy = Counter(life.demand for life in lives if life.rating is not None and life.rating <= 2)
    assert Counter(case["rework_of"] for case in reworks.values()) == unhappy


async def check_followups(clients: Clients, lives: list[Life], reworks: dict[str, Any]) -> None:
    """One follow-up for every life that is over, with one answer."""
    found = await everything(clients, "survey", "/v1/followups", {"property": PROPERTY})
    of = Counter(followup["case"] for followup in found)
    assert of == Counter(life.demand for life in lives if "inspect" in life.asked and life.over), "follow-ups"
    for followup in found:
        assert [attempt["outcome"] for attempt in followup["attempts"]] == ["answered"], followup


async def check_rates(clients: Clients, lives: list[Life], reworks: list[dict[str, Any]]) -> None:
    """The figures of kpi equal a count of what was asked for, and of reworks that nobody touched in time."""
    inspected = [life for life in lives if "inspect" in life.asked]
    rated = [life for life in lives if life.rating is not None]
    timely = _done(lives, "complete")
    wanted = {
        "repair_timeliness": (timely, timely),
        "repair_pass": (sum(life.first_inspection for life in inspected), len(inspected)),
        "repair_satisfaction": (sum(life.rating in (4, 5) for life in rated), len(rated)),
    }
    query = {"property": PROPERTY, "window": "rolling_30d"}
    deadline = time.monotonic() + 30
    while True:
        answer = await clients.ask("kpi", "GET", "/v1/kpis", expect={200}, params=query)
        told = {item["kpi"]: (item["numerator"], item["denominator"]) for item in answer["items"]}
        got = {name: told[name] for name in wanted}
        wanted["repair_timeliness"] = (timely, timely + _missed(reworks, answer["items"][0]["end"]))
        if got == {name: (str(top), str(bottom)) for name, (top, bottom) in wanted.items()}:
            return
        assert time.monotonic() < deadline, f"rates {got}, recounted {wanted}"
        await asyncio.sleep(0.2)


async def check_dead_letters(clients: Clients) -> None:
    for name, door in clients.doors.items():
        text = (await door.get("/metrics")).text
        dead = {q: v for q, v in re.findall(r"^guanjia_dead_letters(\S*) (\S+)$", text, re.M) if float(v)}
        assert not dead, f"dead letters at {name}: {dead}"


async def everything(
    clients: Clients, service: str, path: str, query: dict[str, str]
) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        more = {**query, "limit": "200", **({"cursor": cursor} if cursor else {})}
        answer = await clients.ask(service, "GET", path, expect={200}, params=more)
        found += answer["items"]
        cursor = answer["next"]
    return found


async def _full(clients: Clients, case: str) -> dict[str, Any]:
    answer: dict[str, Any] = await clients.ask("dispatch", "GET", f"/v1/cases/{case}", expect={200})
    return answer


def _missed(reworks: list[dict[str, Any]], now: str) -> int:
    """Those of which a deadline had passed unmet by then; nobody works on them in a campaign."""
    return sum(
        any(datetime.fromisoformat(d["due_at"]) <= datetime.fromisoformat(now) for d in case["deadlines"])
        for case in reworks
    )


def _done(lives: list[Life], action: str) -> int:
    return sum(action in life.asked for life in lives)
