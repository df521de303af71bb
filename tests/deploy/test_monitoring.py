"""Prometheus's rules and Grafana's dashboards, checked by the tools and schemas of their makers."""

import re
import subprocess
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.kpi.domain.rates import RATES
from shared.settings import PROJECT
from tests.deploy.compose import OURS, read_yaml
from tests.deploy.monitoring import DASHBOARDS, VARIABLES, list_queries, load_dashboards
from tests.deploy.proxy import find_program

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the kit would have us use its newest kind of board
    from guanjia.dashboards.documents import build_dashboards
    from tests.deploy.schema import find_misfits

PROMETHEUS = PROJECT / "deploy" / "prometheus"
PROVISIONING = PROJECT / "deploy" / "grafana" / "provisioning"


def promtool(*words: str, cwd: Path = PROMETHEUS) -> str:
    done = subprocess.run([find_program("promtool"), *words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_valid_and_scrapes_every_service_by_its_name(tmp_path: Path) -> None:
    text = (PROMETHEUS / "prometheus.yml").read_text().replace("/etc/prometheus", str(PROMETHEUS))
    (tmp_path / "prometheus.yml").write_text(text)
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))
    jobs = {job["job_name"] for job in read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]}
    assert set(OURS) < jobs


def test_the_rules_are_valid_and_say_what_their_own_tests_expect() -> None:
    assert "SUCCESS" in promtool("check", "rules", "rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml")


def test_every_rule_is_heard_in_some_test() -> None:
    rules = {
        rule["alert"] for group in read_yaml(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]
    }
    tests = read_yaml(PROMETHEUS / "rules.test.yml")["tests"]
    tested = {
        case["alertname"] for test in tests for case in test.get("alert_rule_test", []) if case["exp_alerts"]
    }
    assert rules == tested


def test_the_dashboards_are_those_that_the_code_makes() -> None:
    assert {
        file.name: file.read_text(encoding="utf-8") for file in DASHBOARDS.iterdir()
    } == build_dashboards()


@pytest.mark.parametrize("name", sorted(load_dashboards()))
def test_a_dashboard_is_what_grafanas_own_schema_knows(name: str) -> None:
    assert find_misfits(load_dashboards()[name]) == []


def test_every_variable_and_source_that_is_used_is_there() -> None:
    sources = read_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    uids = {source["uid"] for source in sources}
    assert {source["uid"] for board in load_dashboards().values() for source in _sources(board)} == uids
    assert not [str(query) for query in list_queries() if "$" in query.expr]
    for board in load_dashboards().values():
        variables = {f"${variable['name']}" for variable in board.get("templating", {}).get("list", [])}
        assert variables <= set(VARIABLES)


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    for name, board in load_dashboards().items():
        assert max(Counter(panel["id"] for panel in board["panels"]).values()) == 1
        cells: Counter[tuple[int, int]] = Counter()
        for position in (panel["gridPos"] for panel in board["panels"]):
            columns = range(position["x"], position["x"] + position["w"])
            cells.update((x, y) for x in columns for y in range(position["y"], position["y"] + position["h"]))
        assert max(cells.values()) == 1, name
        assert max(x for x, _ in cells) < 24, name


def test_each_rate_is_shown_against_its_target() -> None:
    exprs = [query.expr for query in list_queries() if query.board == "rates"]
    for kpi in RATES:
        query = "".join(expr for expr in exprs if f'kpi="{kpi}"' in expr)
        assert re.findall(r"guanjia_\w+", query) == ["guanjia_kpi_ratio", "guanjia_kpi_target_ratio"]


def test_the_provisioned_folder_is_where_the_stack_puts_the_dashboards() -> None:
    (provider,) = read_yaml(PROVISIONING / "dashboards" / "guanjia.yml")["providers"]
    text = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in text
    assert f"{provider['options']['path']}/rates.json" in text


def _sources(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [source for inner in value for source in _sources(inner)]
    if not isinstance(value, dict):
        return []
    own = [value["datasource"]] if isinstance(value.get("datasource"), dict) else []
    return own + [source for inner in value.values() for source in _sources(inner)]
