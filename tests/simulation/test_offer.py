"""The offer at the first start: only to a person at a terminal, and only where there is nothing yet."""

from pathlib import Path

import pytest
from rich.prompt import Confirm

from guanjia.cli import simulate
from shared.settings import Settings


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that were asked; all are answered with no."""
    questions: list[str] = []

    def ask(question: str, **_: object) -> bool:
        questions.append(question)
        return False

    monkeypatch.setattr(Confirm, "ask", ask)
    return questions


def make_settings(folder: Path) -> Settings:
    return Settings.model_validate({"data_dir": folder, "database_url": ""})


def set_terminal(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: yes)


def test_a_person_is_asked_at_the_first_start(
    tmp_path: Path, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_terminal(monkeypatch, True)
    simulate.offer_simulation(make_settings(tmp_path))
    assert len(questions) == 1


def test_nobody_is_asked_where_nobody_sits(
    tmp_path: Path, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_terminal(monkeypatch, False)
    simulate.offer_simulation(make_settings(tmp_path))
    assert questions == []


def test_nobody_is_asked_a_second_time(
    tmp_path: Path, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_terminal(monkeypatch, True)
    (tmp_path / "intake.db").touch()
    simulate.offer_simulation(make_settings(tmp_path))
    assert questions == []
