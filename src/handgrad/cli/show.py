"""Tables for the terminal, by rich."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table

from ..files import to_json
from ..text import aligned, column_title, figure_text, figures_from, is_right, one_line
from .application import say

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import JustifyMethod

    from ..experiments import Run
    from ..experiments.replay import Replay
    from ..experiments.sweep import Sweep, Trial

Rows: TypeAlias = Sequence[Sequence[object]]


def console() -> Console:
    """Standard output; wide enough for any table where it is no terminal."""
    output = Console(highlight=False, markup=False, emoji=False)  # what runs are called is text, nothing else
    if not output.is_terminal:
        output.width = 240
    return output


def print_json(data: object) -> None:
    """Print what was found as one JSON document."""
    print(to_json(plain(data), indent=1))


def plain(value: Any) -> Any:
    """Named tuples as objects, arrays as lists, paths and the like as texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


SHORT = 32  # letters of a name that is not folded
NARROW = 60  # columns of a terminal below which figures may be folded, too
MANY_ROWS = 100  # for longer tables rich takes seconds


def table(columns: Sequence[str], rows: Rows, title: str = "", optional: Collection[str] = ()) -> None:
    """Print a table; the texts of columns that start with '>' stand to the right, optional ones where they fit."""
    lines = [[text(value) for value in row] for row in rows]
    if len(rows) > MANY_ROWS:
        print("\n".join([title, *aligned(columns, lines)]))
        return
    output, kept = console(), list(range(len(columns)))
    is_narrow = span(grid_of(columns, lines), output).maximum > output.width
    while True:
        grid = grid_of([columns[i] for i in kept], [[line[i] for i in kept] for line in lines], is_narrow)
        left = [i for i in kept if column_title(columns[i]) in optional]
        if span(grid, output).minimum <= output.width:
            break
        if not left:
            for column in grid.columns[: 1 if output.width >= NARROW else None]:
                column.no_wrap = False
            break
        kept.remove(left[-1])
    grid.title = title or None
    with output.capture() as held:
        output.print(grid)
    output.out("\n".join(map(str.rstrip, held.get().split("\n"))), end="")


def span(grid: Table, output: Console) -> Measurement:
    """The least and the largest width of a table."""
    return Measurement.get(output, output.options.update(width=1000), grid)


def grid_of(columns: Sequence[str], rows: Sequence[Sequence[str]], is_narrow: bool = False) -> Table:
    """The table as rich draws it: figures, and short names in the first column, stay whole where there is room."""
    grid = Table(title_justify="left", title_style="bold", box=SIMPLE_HEAD, collapse_padding=True)
    is_short = all(len(row[0]) <= SHORT for row in rows)
    for column in columns:
        title, is_figure = column_title(column), is_right(column)
        justify: JustifyMethod = "right" if is_figure else "left"
        if is_figure and is_narrow:
            title = title.replace(" ", "\n")
        is_whole = is_figure or (is_short and not grid.columns)
        grid.add_column(title, justify=justify, overflow="fold", no_wrap=is_whole)
    for row in rows:
        grid.add_row(*row)
    return grid


def text(value: object) -> str:
    """A cell of a table."""
    return one_line(figure_text(value))


def results_table(title: str, results: Mapping[str, Mapping[str, float]], rows: Mapping[str, int]) -> None:
    """Loss and other figures of each split."""
    figures = list(dict.fromkeys(name for values in results.values() for name in values))
    lines = [
        (split, f"{rows.get(split, 0):,}", *(f"{values[f]:.4f}" if f in values else "" for f in figures))
        for split, values in results.items()
    ]
    table(figures_from(1, ["split", "rows", *figures]), lines, title)


def words(key: str) -> str:
    """'validation loss' for validation.loss."""
    return key.replace(".", " ").replace("_", " ")


def runs_table(folder: Path, rows: Sequence[tuple[Run, dict[str, Any]]], columns: Iterable[str]) -> None:
    """One line per run: where in the folder, how it stands, its test and validation figures, the columns asked for."""
    usual = [key for key in ("test.accuracy", "test.r2", "validation.loss") if any(key in row for _, row in rows)]
    keys = list(dict.fromkeys([*usual, *columns]))
    lines = [
        (run.path.relative_to(folder), *(row.get(key) for key in ("status", "epochs", "seconds", *keys)))
        for run, row in rows
    ]
    titles = ["run", "status", "epochs", "seconds", *map(words, keys)]
    table(figures_from(2, titles), lines, optional=titles[1:4])


def replay_tables(replay: Replay) -> None:
    """One training step: its layers, then its parameters."""
    figures = ", ".join(f"{name} {value:.6g}" for name, value in replay.figures.items())
    say(
        f"step {replay.step} (epoch {replay.epoch}), learning rate {replay.learning_rate:.4g}, "
        f"{len(replay.rows)} rows: {', '.join(map(str, replay.rows[:8]))}{' ...' if len(replay.rows) > 8 else ''}"
    )
    say(f"before its update: {figures}")
    layers = [(r.name, r.output_shape, r.mean, r.std, f"{r.zeros:.0%}", r.dy_norm, r.dx_norm) for r in replay.layers]
    table(
        figures_from(2, ["layer", "output", "mean", "std", "zeros", "|dy|", "|dx|"]), layers, "layers", ["mean", "std"]
    )
    columns = figures_from(1, ["parameter", "norm", "gradient", "update", "update/norm"])
    table(columns, replay.parameters, "parameters", ["update"])


def sweep_rows(sweep: Sweep) -> tuple[list[str], Rows]:
    """Columns and rows of a sweep: the best first, then what is left by number."""
    keys = list(sweep.axes)
    rows = []
    for trial in [*sweep.ranked(), *(trial for trial in sweep.trials if trial["value"] is None)]:
        settings = [trial["settings"].get(key) for key in keys]
        rows.append((sweep.folder(trial).name, *settings, trial["status"], trial["value"]))
    return ["trial", *(f">{words(key)}" for key in keys), "status", f">{words(sweep.record['metric'])}"], rows


def sweep_table(sweep: Sweep) -> None:
    """The trials of a sweep."""
    table(*sweep_rows(sweep))


class LiveSweep:
    """A table that follows a sweep in a terminal; elsewhere a line for each trial that ends."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.live: Live | None = None

    def __enter__(self) -> LiveSweep:
        if console().is_terminal:
            self.live = Live(self.picture(), console=console(), transient=True)
            self.live.start()
        return self

    def __exit__(self, *problem: object) -> None:
        if self.live is not None:
            self.live.stop()

    def picture(self) -> Table:
        """As many of the best trials as fit on the screen."""
        columns, rows = sweep_rows(self.sweep)
        shown = rows[: max(5, console().height - 6)]
        return grid_of(columns, [[text(cell) for cell in row] for row in shown], is_narrow=True)

    def report(self, sweep: Sweep, trial: Trial) -> None:
        """Show that a trial has ended."""
        if self.live is not None:
            self.live.update(self.picture())
        else:
            settings = "  ".join(f"{key}={value}" for key, value in trial["settings"].items())
            value = "" if trial["value"] is None else f"  {sweep.record['metric']} {trial['value']:.4g}"
            print(f"{trial['number']:03d}  {trial['status']}  {settings}{value}", flush=True)
