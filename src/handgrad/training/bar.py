"""The bar of a training on a terminal, by rich: epoch, bar, time and speed always, figures as far as they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text


class Fitting:
    """Texts side by side, as many of the first as the line has room for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts: Sequence[str] = texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        line = ""
        for text in self.texts:
            longer = f"{line}  {text}" if line else text
            if len(longer.rstrip()) > options.max_width:
                break
            line = longer
        yield Text(line, no_wrap=True, overflow="crop")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(0, len("  ".join(self.texts)))


class Speed(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} steps/s" if speed and speed >= 10 else f"{speed:.2g} steps/s" if speed else "")


class Figures(ProgressColumn):
    """The newest figures."""

    def render(self, task: Task) -> Fitting:
        return Fitting(task.fields["figures"])


class RunBar(Progress):
    """One line that follows a training to its end, and above it the lines that are kept."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(12),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True)),
            Speed(Column(no_wrap=True)),
            Figures(Column(ratio=1, no_wrap=True)),
            console=console,
            expand=True,
        )
        self.training = self.add_task("", total=None, figures=())

    def show(self, epoch: str, done: int, total: int, figures: Sequence[str]) -> None:
        """Show which epoch it is, how many steps of all are done, and the newest figures."""
        self.update(self.training, description=epoch, completed=done, total=total, figures=figures)

    def keep(self, texts: Sequence[str]) -> None:
        """Print a line above the bar."""
        self.console.print(Fitting(texts))


def visible_bar() -> RunBar | None:
    """A bar on stderr where that is a terminal or a notebook's, else None."""
    console = Console(stderr=True, highlight=False)
    return RunBar(console) if console.is_terminal or console.is_jupyter else None
