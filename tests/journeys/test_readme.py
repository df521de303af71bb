"""README can be followed by copy and paste: its blocks run as they stand, and print what it shows."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared.properties.loader import read_property
from shared.settings import PROJECT
from tests.support.children import end_process, free_port, plain_environment, read_tail, spawn
from tests.support.waiting import eventually_now

BLOCK = re.compile(
    r"(?P<marker><!-- not run by the test: [^\n]+ -->\n)?```bash\n(?P<commands>.*?)^```\n"
    r"(?:\n```(?:json)?\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN = ["make run\n", "make test\n"]
PEOPLE = sorted(read_property(PROJECT / "properties/guanglong/property.toml").people_by_id)
VARYING = {
    "ID": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "TIME": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "NUMBER": r"BX-\d{6}-[0-9A-Z]{6}",
    "PERSON": "|".join(map(re.escape, PEOPLE)),
    "ORIGIN": r"http://127\.0\.0\.1:\d+",
    "TOKEN": r"(?<=/f/)[\w-]+",
}
"""What differs from run to run; all else that README shows must be printed as it stands."""


@dataclass(frozen=True)
class Server:
    """A running `make run`, and the administrator's key that it has shown."""

    port: int
    key: str

    @property
    def client(self) -> httpx.Client:
        """Speaks to it with that key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, trust_env=False)


@dataclass(frozen=True)
class Block:
    """Commands that README tells to paste, and what it shows to be printed, empty where it shows nothing."""

    commands: str
    output: str


def blocks_to_run() -> list[Block]:
    """Every block of commands but the marked ones, in README's order."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    matches = list(BLOCK.finditer(text))
    assert set(re.findall(r"```(\w*)\n.*?^```$", BLOCK.sub("", text), re.MULTILINE | re.DOTALL)) == {
        "mermaid"
    }
    assert [match["commands"] for match in matches if match["marker"]] == NOT_RUN
    return [Block(match["commands"], match["output"] or "") for match in matches if not match["marker"]]


def mask(text: str) -> str:
    """`text` without what differs from run to run."""
    for name, pattern in VARYING.items():
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """`make run` in the project's folder, as a person starts it, with an own port and data folder."""
    log, port = tmp_path / "log", free_port()
    settings = {
        "GUANJIA_PORT": str(port), "GUANJIA_DATA_DIR": str(tmp_path / "data"),
        "GUANJIA_BOOTSTRAP_KEY": "", "GUANJIA_DATABASE_URL": "", "GUANJIA_AMQP_URL": "",
    }  # fmt: skip
    make = spawn(
        ["make", "run"], env=plain_environment() | settings, log=log, cwd=PROJECT, on_parents_death=15
    )

    def shown_key() -> re.Match[str] | None:
        assert make.poll() is None, read_tail(log)
        return re.search(r"admin key, shown once:\n\s+(gj_\S+)", log.read_text(encoding="utf-8"))

    try:
        shown = eventually_now(shown_key, within=60)
        assert shown is not None
        yield Server(port, shown[1])
    finally:
        end_process(make)


def run_blocks(blocks: list[Block], server: Server) -> list[str]:
    """What each block prints, all of them pasted into one shell; `DEMAND` as the shell has it comes last."""
    mark = "--- next block ---"
    script = "".join(f"{block.commands}echo '{mark}'\n" for block in blocks) + 'echo "$DEMAND"\n'
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        input=f"{server.key}\n",
        capture_output=True,
        text=True,
        timeout=90,
        cwd=PROJECT,
        env=plain_environment() | {"GUANJIA_PORT": str(server.port)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    return ran.stdout.split(f"{mark}\n")


def test_pasting_readme_block_by_block_follows_a_demand_to_its_closed_case_and_the_rates(
    server: Server,
) -> None:
    blocks = blocks_to_run()
    *printed, demand = run_blocks(blocks, server)
    for block, text in zip(blocks, printed, strict=True):
        assert mask(text) == mask(block.output), block.commands
    with server.client as client:
        case = client.get(f"/v1/cases/{demand.strip()}").json()
        assert (case["state"], len(case["reworks"])) == ("closed", 1)
        page = client.get("/v1/kpis/repair_satisfaction/evidence", params={"property": "guanglong"}).json()
        assert (page["figure"]["numerator"], page["figure"]["denominator"]) == ("0", "1")
        assert [item["case"] for item in page["items"]] == [case["id"]]
