"""What an import has done so far, on disk: a killed one goes on where it was. And the file of bad rows."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec
from msgspec import Struct


class JournalLine(Struct, omit_defaults=True):
    """One line: the fingerprint of the input, a case that is done, or a row that was refused.

    Of a refused row: why, and the state in which its case was left ("" where it was never opened).
    """

    input: str | None = None
    case: str | None = None
    row: int | None = None
    reason: str = ""
    state: str = ""


class Journal:
    """Appended line by line; one that belongs to another input is begun anew.

    It only saves time: everything is posted under names that are the same in every run.
    """

    def __init__(self, file: Path, mapping: Path, data: Path) -> None:
        self.file = file
        self.input = _fingerprint(mapping, data)
        self.done: set[str] = set()
        self.refused: dict[int, JournalLine] = {}
        self._file: BinaryIO | None = None

    def __enter__(self) -> "Journal":
        self.file.parent.mkdir(parents=True, exist_ok=True)
        lines = _read_lines(self.file)
        continuing = bool(lines) and lines[0].input == self.input
        self._file = self.file.open("ab" if continuing else "wb")
        if continuing and not self.file.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")
        if not continuing:
            self._append(JournalLine(input=self.input))
        for line in lines if continuing else []:
            self._remember(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def record_case(self, case: str) -> None:
        """The case is as the log says: never look at it again."""
        self._append(JournalLine(case=case))

    @property
    def reasons(self) -> dict[int, str]:
        """Why rows were refused."""
        return {row: line.reason for row, line in self.refused.items()}

    def record_refusal(self, row: int, reason: str, state: str) -> None:
        """The row was not taken; it is not tried again, lest it fit at a later place by chance."""
        self._append(JournalLine(row=row, reason=reason, state=state))

    def _append(self, line: JournalLine) -> None:
        if self._file:
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()
        self._remember(line)

    def _remember(self, line: JournalLine) -> None:
        if line.case is not None:
            self.done.add(line.case)
        if line.row is not None:
            self.refused[line.row] = line


def write_bad_rows(
    file: Path, columns: Sequence[str], rows: Mapping[int, Sequence[str]], bad: Mapping[int, str]
) -> None:
    """The rows that were not taken, as they were, with number and reason; replaces the file whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    with new.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["row", "reason", *columns])
        writer.writerows([number, bad[number], *rows[number]] for number in sorted(bad))
    new.replace(file)


def _read_lines(file: Path) -> list[JournalLine]:
    """What was written, without a line that a kill cut off."""
    lines: list[JournalLine] = []
    for text in file.read_bytes().splitlines() if file.exists() else []:
        try:
            lines.append(msgspec.json.decode(text, type=JournalLine))
        except msgspec.MsgspecError:
            continue
    return lines


def _fingerprint(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
