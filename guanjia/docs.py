"""The files that are made from the code: workflows as pictures, the property file's reference, OpenAPI,
AsyncAPI, Grafana's dashboards.
"""

import tempfile
from pathlib import Path

import msgspec

from guanjia.process import SERVICES, Process
from guanjia.property_reference import PAGE, render_reference
from services.dispatch.domain.workflow.mermaid import render_workflows
from shared.http import openapi
from shared.messages import asyncapi
from shared.service import VERSION
from shared.settings import PROJECT, Settings

DASHBOARDS = "deploy/grafana/dashboards"


def build_documents() -> dict[str, str]:
    """File name below the project's folder → what it should hold."""
    from guanjia.dashboards.documents import (
        build_dashboards,  # the kit that makes them is there for development only
    )

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url="", amqp_url="", data_dir=Path(folder), bootstrap_key="docs")
        process = Process(list(SERVICES), settings)
        endpoints = [endpoint for service in process.services for endpoint in service.endpoints()]
    return {
        PAGE: render_reference(),
        "docs/workflows.md": render_workflows(),
        "docs/openapi.json": _json(openapi.build_document("Guanjia", VERSION, endpoints)),
        "docs/asyncapi.json": _json(asyncapi.build_document(VERSION)),
    } | {f"{DASHBOARDS}/{name}": text for name, text in build_dashboards().items()}


def find_outdated() -> list[str]:
    """Those whose file does not hold what it should."""
    return [
        name for name, text in build_documents().items()
        if not (PROJECT / name).exists() or (PROJECT / name).read_text(encoding="utf-8") != text
    ]  # fmt: skip


def write_documents() -> None:
    """Write all of them."""
    for name, text in build_documents().items():
        (PROJECT / name).parent.mkdir(parents=True, exist_ok=True)
        (PROJECT / name).write_text(text, encoding="utf-8")


def _json(document: object) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
