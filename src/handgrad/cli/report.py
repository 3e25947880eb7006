"""handgrad report."""

from pathlib import Path

import click


@click.command()
@click.argument("run", metavar="RUN")
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="Where to write it; RUN/report.html unless given.")
def report(run, output):
    """Write one HTML page that shows a run and opens anywhere."""
    from ..experiments import Run
    from ..experiments.gather import gather
    from ..reports import save_report
    from .show import warn

    run = Run(run)
    view = gather(run)
    for note in view.notes:
        warn(note)
    print(f"report: {save_report(view, output or run.path / 'report.html')}")
