"""handgrad runs, evaluate, replay, predict: what to do with runs that are there."""

import click

RUN = click.argument("run", metavar="RUN")


@click.command()
@click.argument("folder", default="experiments")
@click.option("--where", "conditions", multiple=True, metavar="KEY=VALUE", help="Only these: name=iris, test.r2>0.9.")
@click.option("--sort", metavar="KEY", help="The best first: test.accuracy, validation.loss, optimizer.learning_rate.")
@click.option("--best", metavar="KEY", help="Only the best run by this key.")
@click.option("--show", "columns", multiple=True, metavar="KEY", help="One more column: optimizer.learning_rate.")
def runs(
    folder: str, conditions: tuple[str, ...], sort: str | None, best: str | None, columns: tuple[str, ...]
) -> None:
    """List the runs below a folder."""
    from ..experiments import listing
    from .show import runs_table, warn

    found, damaged = listing.find_runs(folder)
    rows = listing.select(found, conditions, best or sort, columns)
    runs_table(rows[:1] if best else rows, dict.fromkeys([*columns, *filter(None, [best or sort])]))
    for line in damaged:
        warn(line)


@click.command()
@RUN
def evaluate(run: str) -> None:
    """Measure a run's model again on its data."""
    from ..experiments import Run, predictions
    from .show import results_table

    found = Run(run)
    results_table(found.name, predictions.evaluate(found), found.record["data"].get("rows") or {})


@click.command()
@RUN
@click.option("--step", required=True, type=int, help="The step, counted from 1.")
def replay(run: str, step: int) -> None:
    """Recompute one training step and show it layer by layer."""
    from ..experiments import Run
    from ..experiments.replay import replay as recompute
    from .show import replay_tables

    replay_tables(recompute(Run(run), step))


@click.command()
@RUN
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", default="predictions.csv", help="Where to write Id, Category.")
def predict(run: str, source: str, output: str) -> None:
    """Predict the examples of INPUT (.csv, .npz or IDX images) with a run's model."""
    from ..experiments import Run, predictions

    found, name = predictions.predict(Run(run), source)
    predictions.write_predictions(output, found, name)
    print(f"{len(found)} predictions in {output}")


@click.command("export-tensorboard")
@RUN
@click.option("--out", metavar="DIR", help="The folder that gets the event files; RUN/tensorboard unless given.")
def export_tensorboard(run: str, out: str | None) -> None:
    """Write a run's figures as event files: tensorboard --logdir DIR shows them."""
    from pathlib import Path

    from ..experiments import Run, recorder

    folder = out or Path(run) / "tensorboard"
    count = recorder.export_tensorboard(Run(run), folder)
    print(f"{count} numbers in {folder}; see them by: tensorboard --logdir {folder}")
