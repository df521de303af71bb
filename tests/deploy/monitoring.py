"""The dashboards' queries and Prometheus's answers to them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from guanjia.simulation.simulated_property import PROPERTY
from shared.settings import PROJECT

DASHBOARDS = PROJECT / "deploy" / "grafana" / "dashboards"
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "10m",
    "$property": PROPERTY,
    "$window": "rolling_30d",
}

MAY_BE_ZERO = {
    "告警 · alerts firing": "what fires depends on the hour",
    "去向不明 · demands unaccounted for": "0, always: the promise itself",
    "死信 · dead letters": "nothing that was posted is unreadable",
    "死信，按队列 · dead letters by queue": "likewise",
    "最久未发 · oldest event unsent": "events leave at once; at a scrape none waits",
    "最久未发 · age of the oldest of them": "likewise",
    "待发 · events to be sent": "likewise",
    "RabbitMQ 队列 · messages in queues": "they are taken at once",
    "无样本 · no sample": "after a month every rate has a sample",
    "重大管理责任事故发生率 · Major incidents": "none is the target, and none happens in most years",
    "一般管理责任事故发生率 · General incidents": "in most months none that management is responsible for",
    "报修待派 · repairs nobody has": "they are given to somebody at once",
    "逾期回访 · follow-ups overdue": "at some hours none is",
}
"""Panels in which a month of life may well show nothing but zeros, and why."""


@dataclass(frozen=True)
class PanelQuery:
    """A query of a panel, its variables filled in as a reader's choices would."""

    board: str
    panel: str
    expr: str

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}: {self.expr}"


def load_dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard as its file has it."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in DASHBOARDS.glob("*.json")}


def list_queries() -> Iterator[PanelQuery]:
    """Every query of every panel."""
    for name, board in load_dashboards().items():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                expr = target["expr"]
                for variable, value in VARIABLES.items():
                    expr = expr.replace(variable, value)
                yield PanelQuery(name, panel["title"], expr)


def read_values(prometheus: str, query: PanelQuery) -> list[float]:
    """The values that a query has now. Fails where Prometheus does not understand it."""
    reply = httpx.get(f"{prometheus}/api/v1/query", params={"query": query.expr}, trust_env=False)
    assert reply.status_code == 200, f"{query}: {reply.text}"
    return [float(series["value"][1]) for series in reply.json()["data"]["result"]]


def read_target_health(prometheus: str) -> dict[str, list[str]]:
    """Job → the health of its targets."""
    reply = httpx.get(f"{prometheus}/api/v1/targets", trust_env=False).raise_for_status()
    by_job: dict[str, list[str]] = {}
    for target in reply.json()["data"]["activeTargets"]:
        by_job.setdefault(target["labels"]["job"], []).append(target["health"])
    return by_job
