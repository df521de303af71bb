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
from tests.deploy.proxy import run_proxy
from tests.support.children import free_loopback

NAMES = (*OURS, "grafana")
GONE_ADDRESS = "{}.1.9"
"""A copy of intake that its name still leads to, and that is no more."""


class EchoHandler(BaseHTTPRequestHandler):
    """Says who was asked for what."""

    service_name = ""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply_body = {"who": self.service_name, "path": self.path, "headers": dict(self.headers)}
        body = json.dumps(reply_body).encode()
        self.send_response(503 if self.path == "/readyz" and self.service_name in NOT_READY else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET
    do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


NOT_READY: set[str] = set()
"""Which services say that they are not ready."""


@contextmanager
def run_echo_server(name: str, address: str, port: int) -> Iterator[None]:
    handler = type(f"Echo_{name}", (EchoHandler,), {"service_name": name})
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
    folder, network = tmp_path_factory.mktemp("proxy"), free_loopback()
    (folder / "openapi.json").write_text('{"who": "all"}')
    write_certificate(folder / "tls", f"{network}.9.1")
    copies = {name: [f"{network}.{number}.1"] for number, name in enumerate(NAMES, 1)}
    copies["intake"].insert(0, GONE_ADDRESS.format(network))
    with ExitStack() as stack:
        for name, addresses in copies.items():
            stack.enter_context(run_echo_server(name, addresses[-1], 3000 if name == "grafana" else 8000))
        url = stack.enter_context(run_proxy(folder, f"{network}.9.1", copies, folder))
        yield stack.enter_context(httpx.Client(base_url=url, trust_env=False))


def write_certificate(folder: Path, address: str) -> None:
    """What an operator mounts to have TLS, as docs/deploy.md tells."""
    folder.mkdir()
    key, certificate = folder / "server.key", folder / "server.crt"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tower"]
    argv += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    configuration = (
        f"listen {address}:8443 ssl;\nssl_certificate {certificate};\nssl_certificate_key {key};\n"
    )
    (folder / "listen.conf").write_text(configuration)


def list_paths(folder: Path) -> list[tuple[str, str, str]]:
    """(service, method, path) of every endpoint and page there is."""
    settings = Settings(database_url="", amqp_url="", data_dir=folder, bootstrap_key="key")
    paths = []
    for service in Process(list(SERVICES), settings).services:
        paths += [(service.name, endpoint.method, endpoint.path) for endpoint in service.endpoints()]
        paths += [(service.name, "GET", getattr(route, "path", "")) for route in service.pages()]
    return paths


def fill_placeholders(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "0193-x.y", path)


def test_every_endpoint_and_page_is_passed_to_its_service(origin: httpx.Client, tmp_path: Path) -> None:
    paths = list_paths(tmp_path)
    assert len(paths) > 20
    wrong = []
    for service, method, path in paths:
        reply_body = origin.request(method, fill_placeholders(path)).json()
        if (reply_body["who"], reply_body["path"]) != (service, fill_placeholders(path)):
            wrong.append((method, path, service, reply_body["who"]))
    assert wrong == []


def test_every_path_of_the_published_document_is_among_them(tmp_path: Path) -> None:
    document = json.loads((PROJECT / "docs" / "openapi.json").read_text())
    paths_known = {path.replace(":path}", "}") for _, _, path in list_paths(tmp_path)}
    assert set(document["paths"]) <= paths_known


@pytest.mark.parametrize(
    "path", ["/", "/sign-in?next=/rates", "/static/guanjia.css", "/board/cases?lang=en", "/nobody/has/this"]
)
def test_what_all_have_or_nobody_has_is_answered_by_dispatch(origin: httpx.Client, path: str) -> None:
    reply_body = origin.get(path).json()
    assert (reply_body["who"], reply_body["path"]) == ("dispatch", path)


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/%6detrics", "/v1/../metrics", "//metrics", "/metrics?a"]
)
def test_metrics_are_not_passed_on(origin: httpx.Client, path: str) -> None:
    reply = origin.request("GET", httpx.URL(f"{str(origin.base_url).rstrip('/')}{path}"))
    assert reply.status_code == 404
    assert b"who" not in reply.content


def test_the_origin_has_one_document_one_life_and_one_readiness(origin: httpx.Client) -> None:
    assert origin.get("/openapi.json").json() == {"who": "all"}
    assert origin.get("/livez").json() == {"status": "ok", "service": "all"}
    assert origin.get("/readyz").status_code == 200


@pytest.mark.parametrize("service", OURS)
def test_the_origin_is_ready_only_when_all_four_are(origin: httpx.Client, service: str) -> None:
    NOT_READY.add(service)
    try:
        reply = origin.get("/readyz")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
        assert (reply.headers["content-type"], reply.json()["status"]) == ("application/problem+json", 503)
    finally:
        NOT_READY.clear()


def test_grafana_is_below_its_own_path(origin: httpx.Client) -> None:
    assert origin.get("/grafana").headers["location"] == "/grafana/"
    reply_body = origin.get("/grafana/d/guanjia-rates").json()
    assert (reply_body["who"], reply_body["path"]) == ("grafana", "/grafana/d/guanjia-rates")


def test_the_caller_cannot_say_whom_it_is(origin: httpx.Client) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}
    reply_body = origin.get("/v1/people", headers=forged).json()["headers"]
    assert "203.0.113.9" not in reply_body["X-Forwarded-For"]
    assert (reply_body["X-Forwarded-Proto"], reply_body.get("X-Forwarded-Host")) == ("http", None)
    assert reply_body["Host"] == f"{origin.base_url.host}:8000"


@pytest.mark.parametrize("size", [0, 300, 900_000, 3_000_000])
def test_a_copy_that_is_gone_is_passed_over_whatever_is_sent(origin: httpx.Client, size: int) -> None:
    for _ in range(4):
        assert origin.post("/v1/events", content=b"x" * size).json()["who"] == "intake"


def test_with_a_certificate_mounted_it_serves_tls_as_well(origin: httpx.Client) -> None:
    reply = httpx.get(f"https://{origin.base_url.host}:8443/v1/people", verify=False, trust_env=False)
    assert reply.json()["headers"]["X-Forwarded-Proto"] == "https"


def test_what_residents_ask_for_is_in_no_log(
    origin: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert origin.get("/f/a-very-secret-word").json()["who"] == "survey"
    logs = tmp_path_factory.getbasetemp().glob("proxy*/nginx.log")
    assert not [log for log in logs if "a-very-secret-word" in log.read_text()]
