"""handgrad compare."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", metavar="RUN|SWEEP|FOLDER...", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), default="comparison.html", show_default=True,
              help="Where to write the page.")
def compare(runs, output):
    """Write one HTML page that compares runs: settings that differ, results, curves, seeds together."""
    from ..experiments.gather import gather_several
    from ..reports import save_comparison

    views = gather_several(runs)
    print(f"{len(views)} runs compared: {save_comparison(views, output)}")
