"""handgrad judge."""

import click


@click.command()
@click.argument("runs", metavar="RUN|SWEEP|FOLDER...", nargs=-1, required=True)
def judge(runs):
    """Say of each run whether it underfits, overfits or generalizes, and from which figures."""
    from ..experiments.gather import runs_at
    from ..experiments.judging import judge_run

    found = [run for path in runs for run in runs_at(path)]
    for run in found:
        if len(found) > 1:
            print(run.path)
        print(judge_run(run))
