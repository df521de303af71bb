"""What the programs of `make bench` print: a row for each figure, beside its baseline and its goal."""

from rich.console import Console
from rich.table import Table


class Report:
    """Rows in the order in which they were measured; each is printed at once, the whole table at the end."""

    def __init__(self) -> None:
        self._table = Table(
            "goal", "what", "figure", "CPU each", "memory", "beside the baseline", "aim", title="make bench"
        )
        self._rows: list[tuple[str, ...]] = []
        self._console = Console(width=170)

    def heading(self, words: str) -> None:
        """Say what is being done."""
        self._console.print(words, style="bold")

    def row(
        self,
        goal: int,
        what: str,
        figure: str,
        *,
        cpu: str = "",
        memory: str = "",
        beside: str = "",
        aim: str = "",
    ) -> None:
        """Add what was measured for `goal`: figure, CPU per operation, memory, ratio, what is aimed at."""
        cells = (str(goal), what, figure, cpu, memory, beside, aim)
        self._table.add_row(*cells)
        self._rows.append(cells)
        self._console.print("  ".join(cell for cell in cells if cell), style="dim")

    def print(self) -> None:
        """The whole table."""
        self._console.print(self._table)

    def markdown(self) -> str:
        """The same as a Markdown table."""
        heads = [str(column.header) for column in self._table.columns]
        lines = [heads, ["---"] * len(heads), *self._rows]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
