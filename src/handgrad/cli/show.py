"""Tables for the terminal, by rich."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ..text import aligned, column_title, figure_text, is_right, one_line


def console():
    """Standard output; wide enough for any table where it is no terminal."""
    plain = {"highlight": False, "markup": False, "emoji": False}  # what runs are called is text, nothing else
    output = Console(**plain)
    return output if output.is_terminal else Console(**plain, width=240)


def warn(line):
    print(f"handgrad: {one_line(line)}", file=sys.stderr)


MANY_ROWS = 100  # for longer tables rich takes seconds


def table(title, columns, rows):
    """Print a table; the texts of columns that start with '>' stand to the right."""
    if len(rows) > MANY_ROWS:
        print("\n".join([title or "", *aligned(columns, [[text(value) for value in row] for row in rows])]))
    else:
        console().print(grid_of(title, columns, rows))


def grid_of(title, columns, rows):
    grid = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        grid.add_column(column_title(column), justify="right" if is_right(column) else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(text, row))
    return grid


def text(value):
    return one_line(figure_text(value))


def results_table(title, results, rows):
    """Loss and other figures of each split."""
    figures = list(dict.fromkeys(name for values in results.values() for name in values))
    table(
        title,
        ["split", ">rows", *(f">{figure}" for figure in figures)],
        [
            (split, f"{rows.get(split, 0):,}", *(f"{values[f]:.4f}" if f in values else "" for f in figures))
            for split, values in results.items()
        ],
    )


def runs_table(rows, columns):
    """One line per run: where, how it stands, its test and validation figures, and the columns asked for."""
    usual = [key for key in ("test.accuracy", "test.r2", "validation.loss") if any(key in row for _, row in rows)]
    keys = list(dict.fromkeys([*usual, *columns]))
    table(
        None,
        ["run", "status", ">epochs", ">seconds", *(f">{key}" for key in keys)],
        [
            (run.path, row["status"], row["epochs"], row["seconds"], *(row.get(key) for key in keys))
            for run, row in rows
        ],
    )


def replay_tables(replay):
    """One training step: its layers, then its parameters."""
    figures = "  ".join(f"{name} {value:.6g}" for name, value in replay.figures.items())
    print(
        f"step {replay.step} (epoch {replay.epoch}), learning rate {replay.learning_rate:.4g}, "
        f"{len(replay.rows)} rows: {', '.join(map(str, replay.rows[:8]))}{' ...' if len(replay.rows) > 8 else ''}"
    )
    print(f"before its update: {figures}")
    table(
        "layers",
        ["layer", "output", ">mean", ">std", ">zeros", ">|dy|", ">|dx|"],
        [(r.name, r.output_shape, r.mean, r.std, f"{r.zeros:.0%}", r.dy_norm, r.dx_norm) for r in replay.layers],
    )
    table("parameters", ["parameter", ">norm", ">gradient", ">update", ">update/norm"], replay.parameters)


def sweep_rows(sweep):
    """Columns and rows of a sweep: the best first, then what is left by number."""
    keys = list(sweep.axes)
    ranked = sweep.ranked()
    rest = [trial for trial in sweep.trials if trial.get("value") is None]
    rows = [
        (
            f"{trial['number']:03d}",
            *(trial["settings"].get(key) for key in keys),
            trial.get("status", "waiting"),
            trial.get("value"),
        )
        for trial in [*ranked, *rest]
    ]
    return ["trial", *(f">{key}" for key in keys), "status", f">{sweep.record['metric']}"], rows


def sweep_table(sweep):
    columns, rows = sweep_rows(sweep)
    table(None, columns, rows)


class LiveSweep:
    """A table that follows a sweep in a terminal; elsewhere a line for each trial that ends."""

    def __init__(self, sweep):
        self.sweep, self.live = sweep, None

    def __enter__(self):
        if console().is_terminal:
            self.live = Live(self.picture(), console=console(), transient=True)
            self.live.start()
        return self

    def __exit__(self, *problem):
        if self.live is not None:
            self.live.stop()

    def picture(self):
        columns, rows = sweep_rows(self.sweep)
        return grid_of(None, columns, rows[: max(5, console().height - 6)])

    def report(self, sweep, trial):
        if self.live is not None:
            self.live.update(self.picture())
        else:
            settings = "  ".join(f"{key}={value}" for key, value in trial["settings"].items())
            value = "" if trial.get("value") is None else f"  {sweep.record['metric']} {trial['value']:.4g}"
            print(f"{trial['number']:03d}  {trial['status']}  {settings}{value}", flush=True)
