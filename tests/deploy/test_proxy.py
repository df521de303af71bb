"""The proxy by itself: every path of the product is passed to the service that has it, and to no other."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from guanjia.serve import SERVICES, Process
from shared.settings import PROJECT, Settings
from tests.deploy.caddy import CADDYFILE, proxy, tool
from tests.deploy.compose import OURS
from tests.support.children import free_loopback

NAMES = (*OURS, "grafana")


class Told(BaseHTTPRequestHandler):
    """Says who was asked for what."""

    who = ""

    def do_GET(self) -> None:
        told = {"who": self.who, "path": self.path, "headers": dict(self.headers)}
        body = json.dumps(told).encode()
        self.send_response(503 if self.path == "/readyz" and self.who in SICK else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET
    do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


SICK: set[str] = set()
"""Which services say that they are not ready."""


@contextmanager
def listening(name: str, address: str, port: int) -> Iterator[None]:
    handler = type(f"Told_{name}", (Told,), {"who": name})
    server = ThreadingHTTPServer((address, port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The proxy in front of five that only say who they are."""
    folder, net = tmp_path_factory.mktemp("proxy"), free_loopback()
    (folder / "openapi.json").write_text('{"who": "all"}')
    copies = {name: [f"{net}.{place}.1"] for place, name in enumerate(NAMES, 1)}
    with ExitStack() as stack:
        for name, (address,) in copies.items():
            stack.enter_context(listening(name, address, 3000 if name == "grafana" else 8000))
        url = stack.enter_context(proxy(folder, f"{net}.9.1", copies, folder))
        yield stack.enter_context(httpx.Client(base_url=url, trust_env=False))


def owned(folder: Path) -> list[tuple[str, str, str]]:
    """(service, method, path) of every endpoint and page there is."""
    settings = Settings(database_url="", amqp_url="", data_dir=folder, bootstrap_key="key")
    found = []
    for service in Process(list(SERVICES), settings).services:
        found += [(service.name, endpoint.method, endpoint.path) for endpoint in service.endpoints()]
        found += [(service.name, "GET", getattr(route, "path", "")) for route in service.pages()]
    return found


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "0193-x.y", path)


def test_every_endpoint_and_page_is_passed_to_its_service(origin: httpx.Client, tmp_path: Path) -> None:
    paths = owned(tmp_path)
    assert len(paths) > 20
    wrong = []
    for service, method, path in paths:
        told = origin.request(method, filled(path)).json()
        if (told["who"], told["path"]) != (service, filled(path)):
            wrong.append((method, path, service, told["who"]))
    assert wrong == []


def test_every_path_of_the_published_document_is_among_them(tmp_path: Path) -> None:
    document = json.loads((PROJECT / "docs" / "openapi.json").read_text())
    known = {path.replace(":path}", "}") for _, _, path in owned(tmp_path)}
    assert set(document["paths"]) <= known


@pytest.mark.parametrize(
    "path", ["/", "/sign-in?next=/rates", "/static/guanjia.css", "/board/cases?lang=en", "/nobody/has/this"]
)
def test_what_all_have_or_nobody_has_is_answered_by_dispatch(origin: httpx.Client, path: str) -> None:
    told = origin.get(path).json()
    assert (told["who"], told["path"]) == ("dispatch", path)


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/%6detrics", "/v1/../metrics", "//metrics", "/metrics?a"]
)
def test_metrics_are_not_passed_on(origin: httpx.Client, path: str) -> None:
    answer = origin.request("GET", httpx.URL(f"{str(origin.base_url).rstrip('/')}{path}"))
    assert answer.status_code == 404
    assert b"who" not in answer.content


def test_the_origin_has_one_document_one_life_and_one_readiness(origin: httpx.Client) -> None:
    assert origin.get("/openapi.json").json() == {"who": "all"}
    assert origin.get("/livez").json() == {"status": "ok", "service": "all"}
    assert origin.get("/readyz").status_code == 200


@pytest.mark.parametrize("sick", OURS)
def test_the_origin_is_ready_only_when_all_four_are(origin: httpx.Client, sick: str) -> None:
    SICK.add(sick)
    try:
        answer = origin.get("/readyz")
        assert (answer.status_code, answer.json()["who"]) == (503, sick)
    finally:
        SICK.clear()


def test_grafana_is_below_its_own_path(origin: httpx.Client) -> None:
    told = origin.get("/grafana/d/guanjia-rates").json()
    assert (told["who"], told["path"]) == ("grafana", "/grafana/d/guanjia-rates")


def test_the_caller_cannot_say_whom_it_is(origin: httpx.Client) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}
    told = origin.get("/v1/people", headers=forged).json()["headers"]
    assert "203.0.113.9" not in told["X-Forwarded-For"]
    assert told["X-Forwarded-Proto"] == "http"
    assert told["Host"] == f"{origin.base_url.host}:8000"


def test_with_a_name_it_serves_that_name_over_tls() -> None:
    argv = [tool("caddy"), "adapt", "--config", str(CADDYFILE)]
    env = os.environ | {"GUANJIA_SITE": "tower.example"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    served = json.loads(done.stdout)["apps"]["http"]["servers"].values()
    assert sorted(server["listen"] for server in served) == [["127.0.0.1:8001"], [":443"]]


def test_the_configuration_is_formatted_as_the_proxy_itself_would() -> None:
    done = subprocess.run([tool("caddy"), "fmt", str(CADDYFILE)], capture_output=True, text=True)
    assert done.stdout == CADDYFILE.read_text(encoding="utf-8")
