"""The whole stack of docker-compose.yml on real servers, each service twice: it comes up, is lived in, shows
what happens in every panel, outlives a copy, and ends in good order. In the order of this file."""

import math
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import httpx
import pytest

from guanjia.simulation.simulated_property import PROPERTY, write_property
from services.kpi.domain.rates import RATES
from shared.settings import PROJECT
from tests.deploy.compose import OURS, load_services
from tests.deploy.monitoring import (
    MAY_BE_ZERO,
    PanelQuery,
    list_queries,
    load_dashboards,
    read_target_health,
    read_values,
)
from tests.deploy.proxy import find_program
from tests.deploy.stack import COPIES, KEY, Stack
from tests.deploy.tower_activity import SimulatedMonth, TowerActivity
from tests.support.blocking import run_blocking
from tests.support.children import end_process
from tests.support.stores import fetch_rows
from tests.support.waiting import eventually_now


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with TemporaryDirectory(prefix="guanjia-stack-", ignore_cleanup_errors=True) as folder_name:
        folder = Path(folder_name)
        folder.chmod(0o755)  # the database's own account must get through
        shutil.copytree(PROJECT / "properties", folder / "properties")
        write_property(folder / "properties")
        month = SimulatedMonth(folder / "month")
        try:
            with Stack(folder, folder / "properties").run_all() as running:
                month.copy_to_postgres(running.database_url)
                yield running
        finally:
            end_process(month.child, signal.SIGKILL)


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the one origin, as admin."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def activity(stack: Stack, http: httpx.Client) -> TowerActivity:
    """What happened once everything was up and watched."""
    eventually_now(lambda: set(chain(*read_target_health(stack.prometheus).values())) == {"up"}, within=30)
    activity = TowerActivity(http)
    activity.perform()
    return activity


def test_every_copy_is_healthy_as_the_file_asks(stack: Stack) -> None:
    assert all(stack.is_healthy(name, address) for name, address in stack.children)
    assert len(stack.children) == COPIES * len(OURS)


def test_the_origin_is_ready_and_shows_its_document_and_its_pages(http: httpx.Client) -> None:
    assert http.get("/readyz").status_code == 200
    assert http.get("/openapi.json").text == (PROJECT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert http.get("/asyncapi").json()["asyncapi"]
    assert (http.get("/sign-in").status_code, http.get("/metrics").status_code) == (200, 404)
    assert http.get("/", headers={"Authorization": ""}).headers["location"] == "/sign-in?next=%2F"


def test_a_demand_goes_through_all_four_services(activity: TowerActivity, http: httpx.Client) -> None:
    assert [entry["action"] for entry in activity.get_case(activity.closed)["history"]][-2:] == [
        "inspect",
        "close",
    ]
    assert activity.get_case(activity.assigned)["state"] == "dispatched"
    rates = http.get("/v1/kpis", params={"property": PROPERTY, "window": "rolling_30d"}).json()["items"]
    assert [rate["kpi"] for rate in rates] == list(RATES)


def test_each_service_reaches_its_own_tables_alone_and_needs_its_password(stack: Stack) -> None:
    file = stack.containers.make_volume("secrets-intake") / "guanjia_database_url"
    url = file.read_text()
    assert run_blocking(fetch_rows(url, "SELECT count(*) AS n FROM intake.outbox"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        run_blocking(fetch_rows(url, "SELECT 1 FROM dispatch.cases"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        run_blocking(fetch_rows(url.replace("intake:", "intake:0"), "SELECT 1"))


def test_services_need_no_place_to_write(stack: Stack) -> None:
    assert not (stack.folder / "must-not-be-written").exists()


def test_the_stream_of_changes_comes_through_the_proxy_at_once(
    activity: TowerActivity, http: httpx.Client
) -> None:
    with ThreadPoolExecutor(1) as other, http.stream("GET", "/v1/cases/stream", timeout=20) as stream:
        lines = stream.iter_lines()
        noted = {"action": "note", "data": {"text": "seen"}}
        posted = other.submit(http.post, f"/v1/cases/{activity.waiting}/actions", json=noted)
        assert any(activity.waiting in line for line in lines)
        assert posted.result().status_code == 200, posted.result().text


@pytest.mark.parametrize("name", OURS)
def test_metrics_are_clean(stack: Stack, activity: TowerActivity, name: str) -> None:
    text = httpx.get(f"http://{stack.copies[name][0]}:8000/metrics", trust_env=False).text
    done = subprocess.run(
        [find_program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_copy_of_every_service_and_the_broker_are_scraped(
    stack: Stack, activity: TowerActivity
) -> None:
    expected = {name: ["up"] * COPIES for name in OURS} | {"rabbitmq": ["up"], "prometheus": ["up"]}
    assert eventually_now(lambda: read_target_health(stack.prometheus) == expected, within=20)


def test_every_query_of_every_panel_has_an_answer(stack: Stack, activity: TowerActivity) -> None:
    panel_queries = list(list_queries())
    assert len(panel_queries) > 60
    assert [
        str(query) for query in _wait_for_all(panel_queries, lambda query: _has_values(stack, query))
    ] == []


def test_what_a_month_of_life_comes_to_is_seen_in_every_panel(stack: Stack, activity: TowerActivity) -> None:
    panel_queries = [
        query
        for query in list_queries()
        if query.panel not in MAY_BE_ZERO and "target_ratio" not in query.expr
    ]
    assert len(panel_queries) > 40
    zero = _wait_for_all(
        panel_queries, lambda query: any(value > 0 for value in read_values(stack.prometheus, query))
    )
    assert [str(query) for query in zero] == []
    assert {
        panel["title"] for board in load_dashboards().values() for panel in board["panels"]
    } >= MAY_BE_ZERO.keys()


def _wait_for_all(
    panel_queries: list[PanelQuery], is_settled: Callable[[PanelQuery], bool]
) -> list[PanelQuery]:
    """What is still not settled when Prometheus has had some time to look."""
    deadline = time.monotonic() + 45
    while (
        remaining := [query for query in panel_queries if not is_settled(query)]
    ) and time.monotonic() < deadline:
        panel_queries = remaining
        time.sleep(1)
    return remaining


def _has_values(stack: Stack, query: PanelQuery) -> bool:
    values = read_values(stack.prometheus, query)
    return bool(values) and not all(math.isnan(value) for value in values)


def test_no_rule_fails_to_be_evaluated_and_no_promise_is_broken(
    stack: Stack, activity: TowerActivity
) -> None:
    reply = httpx.get(f"{stack.prometheus}/api/v1/rules", trust_env=False).json()
    rules = [rule for group in reply["data"]["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    critical = [rule["name"] for rule in rules if rule["labels"]["severity"] == "critical" and rule["alerts"]]
    assert critical == []


def test_what_a_copy_leaves_undone_when_it_is_killed_the_other_does(
    stack: Stack, activity: TowerActivity
) -> None:
    for name in OURS:
        end_process(stack.children[name, stack.copies[name][0]], signal.SIGKILL)
    with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as client:
        paths = [f"{path}?property={PROPERTY}" for path in ("/v1/people", "/v1/cases", "/v1/followups")]
        paths.append(f"/v1/kpis?property={PROPERTY}&window=month")
        codes = {client.get(path).status_code for _ in range(6) for path in paths}
        again = TowerActivity(client)
        again.perform()
    assert codes == {200}


def test_each_leaves_in_good_order_within_the_files_grace(stack: Stack, activity: TowerActivity) -> None:
    leaving = [stack.children[name, stack.copies[name][1]] for name in OURS]
    for child in leaving:
        child.send_signal(signal.SIGTERM)
    grace = float(load_services()["intake"]["stop_grace_period"].removesuffix("s"))
    assert [child.wait(grace) for child in leaving] == [0, 0, 0, 0]


def test_no_word_of_the_secrets_is_in_the_logs(stack: Stack, activity: TowerActivity) -> None:
    volumes = [file for name in OURS for file in stack.containers.make_volume(f"secrets-{name}").iterdir()]
    words = {file.read_text() for file in volumes}
    words |= {file.read_text() for file in stack.containers.make_volume("secrets-postgres").iterdir()}
    for log in (*Path(stack.folder).glob("*.log"), stack.folder / "prometheus" / "log"):
        text = log.read_text(errors="replace")
        assert not [word for word in words if word in text], log
