"""handgrad writeup."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", metavar="RUN|SWEEP|FOLDER...", nargs=-1, required=True)
@click.option("-f", "--format", "kind", type=click.Choice(["latex", "markdown", "html"]), default="markdown",
              show_default=True, help="LaTeX has its pictures beside it; the others are one file.")
@click.option("--heading-level", type=click.IntRange(1, 3), default=1, show_default=True, help="Of its sections.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it; writeup.tex, .md or .html.")
@click.option("--code", multiple=True, metavar="MODULE|FILE.py[:NAME,NAME]",
              help="Code to show with the checks of its gradients: handgrad.functional.linear, my_layers.py:Dense.")
@click.option("--seed", default=0, show_default=True, help="Of the gradient checks.")
def writeup(runs, kind, heading_level, output, code, seed):
    """Write up runs: code and its gradient checks, the settings tried, the best run, what each part contributes."""
    from ..teaching import write_up

    print(f"write-up: {write_up(runs, output, kind, heading_level, code, seed)}")
