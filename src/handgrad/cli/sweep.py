"""handgrad sweep."""

import sys

import click


@click.command()
@click.argument("source", metavar="NAME|FILE.csv|CONFIG.toml")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUES",
    help="What varies: optimizer.learning_rate=0.01,0.1 or optimizer.learning_rate=log(1e-4,1e-1,5).",
)
@click.option("--random", type=click.IntRange(min=1), metavar="N", help="N random combinations instead of all.")
@click.option("--optuna", type=click.IntRange(min=1), metavar="N", help="N trials chosen by Optuna.")
@click.option("--metric", default="validation.loss", show_default=True, help="What to compare by.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes at a time; as many as threads unless given.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of the random choice of settings.")
@click.option("--target", help="The column of a table to predict.")
@click.option("--epochs", type=int, help="How many times to go through the training rows.")
@click.option("--out", default="experiments", show_default=True, help="The folder that gets NAME/SWEEP.")
def sweep(source, settings, random, optuna, metric, jobs, seed, target, epochs, out):
    """Train one configuration with many settings, several at a time; every combination, random ones, or by Optuna."""
    from ..experiments import configure
    from ..experiments.sweep import start_sweep

    base = configure(source, target, [] if epochs is None else [f"epochs={epochs}"]).as_table()
    begun = start_sweep(
        base, settings, out, random=random, optuna=optuna, metric=metric, seed=seed, command=["handgrad", *sys.argv[1:]]
    )
    return go_on(begun, jobs)


def go_on(sweep, jobs=None):
    """Run what is left of a sweep under a live table; returns the exit code: 1 when every trial failed."""
    from ..experiments.sweep import run_sweep
    from .show import LiveSweep, sweep_table, warn

    print(f"sweep: {sweep.path}, {sweep.record['count']} trials")
    try:
        with LiveSweep(sweep) as live:
            run_sweep(sweep, jobs, live.report)
    except KeyboardInterrupt:
        warn(f"interrupted; go on with: handgrad resume {sweep.path}")
        return 130
    sweep_table(sweep)
    failed = [trial for trial in sweep.trials if trial.get("status") == "failed"]
    for trial in failed:
        warn(f"{sweep.folder(trial).name} failed: {trial['error']}")
    interrupted = [trial for trial in sweep.trials if trial.get("status") == "interrupted"]
    if interrupted:
        warn(f"{len(interrupted)} trials were interrupted; go on with: handgrad resume {sweep.path}")
        return 130
    best = sweep.ranked()
    if not best:
        return 1
    from ..experiments.gather import gather_several
    from ..reports import save_comparison

    print(f"comparison: {save_comparison(gather_several([sweep.path]), sweep.path / 'comparison.html')}")
    print(f"best {sweep.record['metric']}: {best[0]['value']:.4g} by {sweep.folder(best[0])}")
    return 0
