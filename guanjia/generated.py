"""The documents that are made from the code: pictures of the workflows, OpenAPI, AsyncAPI, what every event holds."""

import tempfile
from pathlib import Path

import msgspec

from guanjia.serve import SERVICES, Process
from services.dispatch.workflow import render_workflows
from shared import asyncapi, openapi
from shared.service import VERSION
from shared.settings import PROJECT, Settings

DOCS = PROJECT / "docs"


def documents() -> dict[str, str]:
    """File name below `docs/` → what it should hold."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url="", amqp_url="", data_dir=Path(folder), bootstrap_key="docs")
        process = Process(list(SERVICES), settings)
        endpoints = [endpoint for service in process.services for endpoint in service.endpoints()]
    return {
        "workflows.md": render_workflows(),
        "openapi.json": _json(openapi.document("Guanjia", VERSION, endpoints)),
        "asyncapi.json": _json(asyncapi.document(VERSION)),
    }


def outdated() -> list[str]:
    """Those whose file does not hold what it should."""
    return [
        name for name, text in documents().items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != text
    ]  # fmt: skip


def write() -> None:
    """Write all of them."""
    DOCS.mkdir(exist_ok=True)
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")


def _json(document: object) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
