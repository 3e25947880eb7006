"""Tables for the terminal, by rich."""

from rich.console import Console
from rich.table import Table


def console():
    """Standard output, as wide as need be where it is no terminal."""
    output = Console(soft_wrap=False)
    return output if output.is_terminal else Console(width=160)


def results_table(run):
    """Loss and other figures of each split."""
    record = run.record
    table = Table(title=f"{run.name}, {record['epochs']} epochs, {record['seconds']:.1f} s", title_justify="left")
    figures = list(dict.fromkeys(name for split in run.results.values() for name in split))
    table.add_column("split")
    table.add_column("rows", justify="right")
    for figure in figures:
        table.add_column(figure, justify="right")
    for split, values in run.results.items():
        rows = record["data"]["rows"][split]
        table.add_row(split, f"{rows:,}", *(f"{values[figure]:.4f}" if figure in values else "" for figure in figures))
    console().print(table)
