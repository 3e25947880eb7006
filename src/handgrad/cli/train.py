"""handgrad train, handgrad resume."""

import os
import sys
from pathlib import Path

import click

from .show import results_table


@click.command()
@click.argument("source", metavar="NAME|FILE.csv|CONFIG.toml")
@click.option("--target", help="The column of the table to predict: its name, or its number from 1.")
@click.option("--epochs", type=int, help="How many times to go through the training rows.")
@click.option("--seed", type=int, help="The seed of weights, shuffling, dropout and augmentation.")
@click.option("--out", default="experiments", show_default=True, help="The folder that gets NAME/RUN.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key, such as optimizer.learning_rate=0.01."
)
@click.option("--engine", help="What does the work: numpy, or torch.")
@click.option("--device", help="Where the torch engine works: cpu, cuda or mps.")
def train(source, target, epochs, seed, out, overrides, engine, device):
    """Train a ready example (iris, digits, ...), a table, or what a configuration describes."""
    from .. import experiments

    if device is not None and engine not in (None, "torch"):
        raise click.UsageError(f"--device {device} is for the torch engine, not for --engine {engine}: leave one out")
    engine = "torch" if device is not None else engine
    given = {"epochs": epochs, "seed": seed, "engine": engine, "engine.device": device}
    extra = [f"{key}={value}" for key, value in given.items() if value is not None]
    configuration = experiments.configure(source, target, [*extra, *overrides])
    name = configuration.engine["name"]
    if "TORCHELASTIC_RUN_ID" in os.environ and name != "torch":
        raise click.UsageError(
            f"torchrun is for the torch engine; by '{name}' each process would train anew: add --engine torch"
        )
    command = ["handgrad", *sys.argv[1:]]
    return conclude(experiments.train(configuration, out, progress=True, command=command))


@click.command()
@click.argument("run")
def resume(run):
    """Go on with an interrupted or killed run, to the very bits that it would have reached; or with a sweep."""
    from .. import experiments

    if (Path(run) / "sweep.json").is_file():
        from ..experiments.sweep import Sweep
        from .sweep import go_on

        return go_on(Sweep(run))
    return conclude(experiments.resume(run, progress=True))


def conclude(run):
    """Print how a run ended; returns the exit code."""
    if run is None:  # another process of this training has the run, and prints
        return 0
    if run.status == "interrupted":  # training has said how to go on
        return 130
    from ..experiments.gather import gather
    from ..reports import save_report

    title = f"{run.name}, {run.record['epochs']} epochs, {run.record['seconds']:.1f} s"
    results_table(title, run.results, run.record["data"]["rows"])
    print(f"run:    {run.path}")
    print(f"report: {save_report(gather(run), run.path / 'report.html')}")
    print(last_line(run))
    return 0


def last_line(run):
    """The result in one line: 'test accuracy: 0.967'."""
    split = next(name for name in ("test", "validation", "train") if name in run.results)
    figures = run.results[split]
    figure = next(name for name in ("accuracy", "r2", "loss") if name in figures)
    return f"{split} {figure}: {figures[figure]:.3f}"
