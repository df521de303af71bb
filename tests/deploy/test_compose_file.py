"""What docker-compose.yml promises, read from the file itself."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.settings import PROJECT, Settings
from tests.deploy.compose import FILE, OURS, list_mounts, load_compose, load_services

LONG_RUNNING = sorted(set(load_services()) - {"secrets"})


def test_it_is_what_the_compose_specification_allows() -> None:
    checker = str(Path(sys.executable).with_name("check-jsonschema"))
    argv = [checker, "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_has_all_that_the_stack_is_made_of() -> None:
    assert set(LONG_RUNNING) == {*OURS, "postgres", "rabbitmq", "proxy", "prometheus", "grafana"}


def test_one_command_without_any_setting_is_enough() -> None:
    variables = re.findall(r"\$\{?([^}\s]*)", FILE.read_text(encoding="utf-8"))
    assert [variable for variable in variables if ":-" not in variable] == []


def test_no_secret_is_in_the_file() -> None:
    for name, service in load_services().items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASS|KEY|SECRET|TOKEN|DATABASE_URL|AMQP_URL", key):
                is_reference = key.endswith(("_FILE", "_DIR")) and str(value).startswith("/run/secrets/")
                assert is_reference or value == "", (name, key)
    assert "@" not in FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_each_is_watched_comes_back_and_keeps_its_logs_small(name: str) -> None:
    service = load_services()[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", OURS)
def test_each_of_the_four_can_be_scaled_and_holds_nothing(name: str) -> None:
    service = load_services()[name]
    assert not {"container_name", "ports", "hostname"} & set(service)
    assert all(mount.read_only for mount in list_mounts(service))
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_only_the_proxy_is_reached_from_outside_and_unless_told_from_this_machine_alone() -> None:
    assert [name for name, service in load_services().items() if "ports" in service] == ["proxy"]
    assert load_services()["proxy"]["ports"] == ["127.0.0.1:8000:8000"]


def test_they_start_in_order() -> None:
    for name in OURS:
        conditions = load_services()[name]["depends_on"]
        assert {key: need["condition"] for key, need in conditions.items()} == {
            "secrets": "service_completed_successfully",
            "postgres": "service_healthy",
            "rabbitmq": "service_healthy",
        }
    assert set(load_services()["proxy"]["depends_on"]) == set(OURS)


def test_data_is_in_named_volumes_and_each_secret_reaches_its_reader_alone() -> None:
    readers: dict[str, list[str]] = {}
    for name, service in load_services().items():
        for mount in list_mounts(service):
            if mount.is_bind:
                assert (PROJECT / mount.source).exists(), mount
                assert mount.read_only, mount
            else:
                readers.setdefault(mount.source, []).append(name)
    assert set(readers) == set(load_compose()["volumes"])
    for volume, names in readers.items():
        reader = volume.removeprefix("secrets-")
        assert names == (["secrets", reader] if volume.startswith("secrets-") else [reader])


def test_every_image_of_others_has_its_version_named() -> None:
    images: dict[str, Any] = {name: service["image"] for name, service in load_services().items()}
    assert all(re.search(r":[v]?\d+", image) for image in images.values()), images
    assert {images[name] for name in (*OURS, "secrets")} == {"guanjia:0.1.0"}


def test_every_setting_that_is_told_is_one_of_the_products() -> None:
    settings = {f"GUANJIA_{name.upper()}" for name in Settings.model_fields} | {"GUANJIA_SECRETS_DIR"}
    names = {
        key for name in OURS for key in load_services()[name]["environment"] if key.startswith("GUANJIA_")
    }
    assert names <= settings
