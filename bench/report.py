"""What the programs of `make bench` print: a row for each figure, beside its baseline and its goal."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.aims import Aim

_HEADS = ("goal", "what", "figure", "CPU each", "memory", "beside", "aim", "verdict")


@dataclass(frozen=True)
class Row:
    """A figure for `goal`, CPU per operation, memory, what it stands beside, the aim, the verdict."""

    goal: int
    what: str
    figure: str
    cpu: str = ""
    memory: str = ""
    beside: str = ""
    aim: str = ""
    verdict: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table shows them."""
        return tuple(str(cell) for cell in astuple(self))


class Report:
    """Rows in the order in which they were measured; each is printed at once, the whole table at the end."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._console = Console(width=190)

    def heading(self, words: str) -> None:
        """Say what is being done."""
        self._console.print(words, style="bold")

    def row(
        self, goal: int, what: str, figure: str, *, cpu: str = "", memory: str = "", beside: str = ""
    ) -> None:
        """Add a figure that nothing is aimed at for."""
        self._add(Row(goal, what, figure, cpu, memory, beside))

    def judge(
        self,
        aim: Aim,
        what: str,
        values: Sequence[float],
        *,
        cpu: str = "",
        memory: str = "",
        beside: str = "",
    ) -> None:
        """Add the median of `values`, one of each round, with their spread, and whether it reaches `aim`."""
        figure = format_spread(values, aim.unit)
        self._add(Row(aim.goal, what, figure, cpu, memory, beside, str(aim), aim.judge(values)))

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        self._console.print("  ".join(cell for cell in row.cells if cell), style="dim", markup=False)

    def print(self) -> None:
        """The whole table, by goals."""
        table = Table(*_HEADS, title="make bench")
        for row in self._ordered():
            table.add_row(*row.cells)
        self._console.print(table)

    def markdown(self) -> str:
        """The same as a Markdown table."""
        lines = [_HEADS, ("---",) * len(_HEADS), *(row.cells for row in self._ordered())]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

    def _ordered(self) -> list[Row]:
        return sorted(self.rows, key=lambda row: row.goal)


def format_spread(values: Sequence[float], unit: str) -> str:
    """Their median, and between what they lie where there are several."""
    middle = f"{format_number(median(values))} {unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({format_number(min(values))} to {format_number(max(values))})"


def format_number(value: float) -> str:
    """Three digits that count."""
    if value and abs(value) < 0.01:
        return f"{value:.1g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
