"""What the Dockerfile promises, read from the file itself and from the folder it would copy."""

import json
import subprocess
import sys
from pathlib import Path

from shared.service import VERSION
from shared.settings import PROJECT
from tests.deploy.compose import OURS, load_services, read_dockerfile, read_image_environment
from tests.deploy.image import is_let_through, lay_out_image, list_copied


def list_instructions(word: str) -> list[str]:
    return [rest for name, rest in read_dockerfile() if name == word]


def test_it_does_not_run_as_root() -> None:
    assert list_instructions("USER")[-1] == "10001:10001"
    words = [name for name, _ in read_dockerfile()]
    assert words.index("USER") > len(words) - 1 - words[::-1].index("COPY")


def test_all_that_is_installed_is_fixed_by_its_hash() -> None:
    installs = [
        line
        for run in list_instructions("RUN")
        for line in run.split("&&")
        if " install --no-cache-dir" in line
    ]
    assert len(installs) == 2
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)


def test_its_health_check_is_the_one_of_the_compose_file() -> None:
    (check,) = list_instructions("HEALTHCHECK")
    assert json.loads(check.split("CMD", 1)[1]) == load_services()["intake"]["healthcheck"]["test"][1:]


def test_what_it_sets_agrees_with_the_compose_file() -> None:
    environment = load_services()["kpi"]["environment"]
    for key in ("GUANJIA_HOST", "GUANJIA_PORT"):
        assert read_image_environment()[key] == environment[key]
    assert load_services()["kpi"]["image"].endswith(f":{VERSION}")


def test_it_holds_the_program_and_nothing_else(tmp_path: Path) -> None:
    lay_out_image(tmp_path)
    files = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True).stdout.split()
    program = ("shared/", "services/", "guanjia/", "properties/")
    expected = {path for path in tracked if path.startswith(program) and (PROJECT / path).exists()}
    assert expected - files == set()
    assert not [path for path in files if path.endswith((".pyc", ".db", ".env", "secret"))]
    assert sum((tmp_path / path).stat().st_size for path in files) < 5_000_000


def test_nothing_else_reaches_the_builder() -> None:
    assert all(is_let_through(source) for source, _ in list_copied())
    assert not [
        path
        for path in (".git/config", ".env", "data/secret", "tests/conftest.py", ".venv/x")
        if is_let_through(path)
    ]


def test_each_of_the_four_is_a_command_of_the_same_image() -> None:
    for name in OURS:
        assert load_services()[name]["command"] == ["guanjia", "serve", name]


def test_secrets_are_made_once_and_told_ones_take_their_place(tmp_path: Path) -> None:
    def make_secrets(**given_secrets: str) -> dict[str, str]:
        argv = [sys.executable, str(PROJECT / "deploy" / "make_secrets.py"), str(tmp_path)]
        subprocess.run(argv, env=given_secrets, check=True)
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        return {file.relative_to(tmp_path).as_posix(): file.read_text() for file in files}

    first = make_secrets()
    assert make_secrets() == first
    assert len({first[f"postgres/{name}"] for name in (*OURS, "superuser")}) == 5
    assert len({first[f"{name}/guanjia_bootstrap_key"] for name in OURS}) == 1
    given_secrets = make_secrets(GUANJIA_BOOTSTRAP_KEY="gj_mine", GRAFANA_PASSWORD="of mine")
    assert {given_secrets[f"{name}/guanjia_bootstrap_key"] for name in OURS} == {"gj_mine"}
    assert given_secrets["grafana/admin_password"] == "of mine"
    assert {name for name in given_secrets if given_secrets[name] != first[name]} == {
        *(f"{name}/guanjia_bootstrap_key" for name in OURS),
        "grafana/admin_password",
    }
