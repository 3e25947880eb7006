"""Tables for the terminal, by rich."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def console():
    """Standard output; wide enough for any table where it is no terminal."""
    output = Console(highlight=False)
    return output if output.is_terminal else Console(highlight=False, width=240)


def warn(line):
    print(f"handgrad: {line}", file=sys.stderr)


def table(title, columns, rows):
    """Print a table; the texts of columns that start with '>' stand to the right."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        grid.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(text, row))
    console().print(grid)


def text(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def results_table(title, results, rows):
    """Loss and other figures of each split."""
    figures = list(dict.fromkeys(name for values in results.values() for name in values))
    table(title, ["split", ">rows", *(f">{figure}" for figure in figures)],
          [(split, f"{rows.get(split, 0):,}", *(f"{values[f]:.4f}" if f in values else "" for f in figures))
           for split, values in results.items()])


def runs_table(rows, columns):
    """One line per run: where, how it stands, its test and validation figures, and the columns asked for."""
    usual = [key for key in ("test.accuracy", "test.r2", "validation.loss") if any(key in row for _, row in rows)]
    keys = list(dict.fromkeys([*usual, *columns]))
    table(None, ["run", "status", ">epochs", ">seconds", *(f">{key}" for key in keys)],
          [(run.path, row["status"], row["epochs"], row["seconds"], *(row.get(key) for key in keys))
           for run, row in rows])


def replay_tables(replay):
    """One training step: its layers, then its parameters."""
    figures = "  ".join(f"{name} {value:.6g}" for name, value in replay.figures.items())
    print(f"step {replay.step} (epoch {replay.epoch}), learning rate {replay.learning_rate:.4g}, "
          f"{len(replay.rows)} rows: {', '.join(map(str, replay.rows[:8]))}{' ...' if len(replay.rows) > 8 else ''}")
    print(f"before its update: {figures}")
    table("layers", ["layer", "output", ">mean", ">std", ">zeros", ">|dy|", ">|dx|"],
          [(r.name, r.output_shape, r.mean, r.std, f"{r.zeros:.0%}", r.dy_norm, r.dx_norm) for r in replay.layers])
    table("parameters", ["parameter", ">norm", ">gradient", ">update", ">update/norm"], replay.parameters)
