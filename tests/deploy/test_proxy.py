"""The proxy by itself: every path of the product is passed to the service that has it, and to no other."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from guanjia.process import SERVICES, Process
from shared.settings import PROJECT, Settings
from tests.deploy.compose import OURS
from tests.deploy.proxy import proxy
from tests.support.children import free_loopback

NAMES = (*OURS, "grafana")
GONE = "{}.1.9"
"""A copy of intake that its name still leads to, and that is no more."""


class Told(BaseHTTPRequestHandler):
    """Says who was asked for what."""

    who = ""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
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
    secured(folder / "tls", f"{net}.9.1")
    copies = {name: [f"{net}.{place}.1"] for place, name in enumerate(NAMES, 1)}
    copies["intake"].insert(0, GONE.format(net))
    with ExitStack() as stack:
        for name, addresses in copies.items():
            stack.enter_context(listening(name, addresses[-1], 3000 if name == "grafana" else 8000))
        url = stack.enter_context(proxy(folder, f"{net}.9.1", copies, folder))
        yield stack.enter_context(httpx.Client(base_url=url, trust_env=False))


def secured(folder: Path, address: str) -> None:
    """What an operator mounts to have TLS, as docs/deploy.md tells."""
    folder.mkdir()
    key, certificate = folder / "server.key", folder / "server.crt"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tower"]
    argv += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    told = f"listen {address}:8443 ssl;\nssl_certificate {certificate};\nssl_certificate_key {key};\n"
    (folder / "listen.conf").write_text(told)


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
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert (answer.headers["content-type"], answer.json()["status"]) == ("application/problem+json", 503)
    finally:
        SICK.clear()


def test_grafana_is_below_its_own_path(origin: httpx.Client) -> None:
    assert origin.get("/grafana").headers["location"] == "/grafana/"
    told = origin.get("/grafana/d/guanjia-rates").json()
    assert (told["who"], told["path"]) == ("grafana", "/grafana/d/guanjia-rates")


def test_the_caller_cannot_say_whom_it_is(origin: httpx.Client) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}
    told = origin.get("/v1/people", headers=forged).json()["headers"]
    assert "203.0.113.9" not in told["X-Forwarded-For"]
    assert (told["X-Forwarded-Proto"], told.get("X-Forwarded-Host")) == ("http", None)
    assert told["Host"] == f"{origin.base_url.host}:8000"


@pytest.mark.parametrize("size", [0, 300, 900_000, 3_000_000])
def test_a_copy_that_is_gone_is_passed_over_whatever_is_sent(origin: httpx.Client, size: int) -> None:
    for _ in range(4):
        assert origin.post("/v1/events", content=b"x" * size).json()["who"] == "intake"


def test_with_a_certificate_mounted_it_serves_tls_as_well(origin: httpx.Client) -> None:
    answer = httpx.get(f"https://{origin.base_url.host}:8443/v1/people", verify=False, trust_env=False)
    assert answer.json()["headers"]["X-Forwarded-Proto"] == "https"


def test_what_residents_ask_for_is_in_no_log(
    origin: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert origin.get("/f/a-very-secret-word").json()["who"] == "survey"
    logs = tmp_path_factory.getbasetemp().glob("proxy*/nginx.log")
    assert not [log for log in logs if "a-very-secret-word" in log.read_text()]
