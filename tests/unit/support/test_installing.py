"""What is said while packages are installed."""

import sys

import pytest

from deploy.install import PIP_STAGES, Stages, follow_installation, recognize_stage
from tests.support.ready import APT_STAGES


@pytest.mark.parametrize(
    ("stages", "line", "stage", "package"),
    [
        (
            PIP_STAGES,
            "Collecting aio-pika==10.2.1 (from -r requirements.lock (line 1))",
            "fetched",
            "aio-pika",
        ),
        (PIP_STAGES, "Collecting uvicorn==0.40.0", "fetched", "uvicorn"),
        (PIP_STAGES, "Installing collected packages: six, wrapt", "unpacking", "collected packages"),
        (
            APT_STAGES,
            "Get:7 http://deb.example bookworm/main amd64 libpq5 amd64 15.1 [190 kB]",
            "fetched",
            "libpq5",
        ),
        (APT_STAGES, "Unpacking libglib2.0-0:amd64 (2.74.6-2) ...", "unpacked", "libglib2.0-0"),
        (APT_STAGES, "Setting up nginx (1.22.1-9) ...", "set up", "nginx"),
    ],
)
def test_the_lines_of_installers_are_understood(stages: Stages, line: str, stage: str, package: str) -> None:
    ((shown, name),) = recognize_stage(f"{line}\n", stages)
    assert stage in shown
    assert name == package


def test_an_installation_is_told_in_few_lines_and_its_failure_in_its_own_words(
    capfd: pytest.CaptureFixture[str],
) -> None:
    script = "for i in range(500): print(f'Collecting package-{i}==1')\nprint('ERROR: no space'); END"
    assert follow_installation([sys.executable, "-c", script.replace("END", "")], PIP_STAGES) == 0
    out, errors = capfd.readouterr()
    assert out.splitlines()[0] == "  1 fetched, now package-0"
    assert len(out.splitlines()) < 10
    assert errors == ""

    assert follow_installation([sys.executable, "-c", script.replace("END", "exit(3)")], PIP_STAGES) == 3
    assert "ERROR: no space" in capfd.readouterr().err
