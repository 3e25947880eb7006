"""What trains: train, resume and sweep."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..text import duration
from .application import say, warn
from .options import AS_JSON, overrides_of, ready, settings
from .show import LiveSweep, print_json, results_table, sweep_table, words

if TYPE_CHECKING:
    from ..experiments import Run
    from ..experiments.sweep import Sweep


@click.command()
@click.argument("source", metavar="NAME|FILE.csv|FOLDER|CONFIG.toml", shell_complete=ready)
@settings()
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change any key: penalty.strength=0.01.")
@click.option("--out", metavar="DIR", default="experiments", help="The folder that gets NAME/RUN.")
@AS_JSON
def train(source: str, overrides: tuple[str, ...], out: str, as_json: bool, **given: Any) -> int:
    """Train a ready example (iris, digits, ...), a table, or what a configuration describes."""
    from .. import experiments

    if given["device"] is not None:
        if given["engine"] not in (None, "torch"):
            what = f"--device {given['device']} is for the torch engine, not for --engine {given['engine']}"
            raise click.UsageError(f"{what}: leave one out")
        given["engine"] = "torch"
    configuration = experiments.configure(source, overrides=overrides_of(given, overrides))
    name = configuration.engine["name"]
    if "TORCHELASTIC_RUN_ID" in os.environ and name != "torch":
        what = f"torchrun is for the torch engine; by '{name}' each process would train anew"
        raise click.UsageError(f"{what}: add --engine torch")
    command = ["handgrad", *sys.argv[1:]]
    tell = warn if as_json else say
    report = partial(report_so_far, tell=tell)
    run = experiments.train(configuration, out, None if as_json else True, command, tell=tell, report=report)
    return conclude(run, as_json)


@click.command()
@click.argument("run", metavar="RUN|SWEEP")
@AS_JSON
def resume(run: str, as_json: bool) -> int:
    """Go on with an interrupted or killed run, to the very bits that it would have reached; or with a sweep."""
    from .. import experiments

    if (Path(run) / "sweep.json").is_file():
        from ..experiments.sweep import Sweep

        return go_on(Sweep(run), as_json)
    if experiments.Run(run).status == "finished":
        warn("this run had finished: nothing was left to do")
    report = partial(report_so_far, tell=warn if as_json else say)
    return conclude(experiments.resume(run, None if as_json else True, report), as_json)


@click.command()
@click.argument("source", metavar="NAME|FILE.csv|FOLDER|CONFIG.toml", shell_complete=ready)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUES", help="Vary a key: KEY=1,2, KEY=log(1e-4,1,5).")
@click.option("--random", type=click.IntRange(min=1), metavar="N", help="N random combinations instead of all.")
@click.option("--optuna", type=click.IntRange(min=1), metavar="N", help="N trials chosen by Optuna.")
@click.option("--metric", default="validation.loss", help="What to compare by.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes at a time; as many as threads unless given.")
@click.option("--seed", type=int, default=0, help="The seed of the random choice of settings.")
@settings("--seed")
@click.option("--out", metavar="DIR", default="experiments", help="The folder that gets NAME/SWEEP.")
@AS_JSON
def sweep(
    source: str,
    settings: tuple[str, ...],
    random: int | None,
    optuna: int | None,
    metric: str,
    jobs: int | None,
    seed: int,
    out: str,
    as_json: bool,
    **given: Any,
) -> int:
    """Train one configuration with many settings, several at a time; every combination, random ones, or by Optuna."""
    from ..experiments import configure
    from ..experiments.sweep import start_sweep

    base = configure(source, overrides=overrides_of(given)).as_table()
    begun = start_sweep(
        base, settings, out, random=random, optuna=optuna, metric=metric, seed=seed, command=["handgrad", *sys.argv[1:]]
    )
    return go_on(begun, as_json, jobs)


def conclude(run: Run, as_json: bool) -> int:
    """Print how a run ended; returns the exit code."""
    if run.status == "interrupted":  # training has said how to go on
        return 130
    from ..experiments.gather import fields, gather, judge_run
    from ..reports import save_report
    from ..reports.view import best_epoch

    page = save_report(gather(run), run.path / "report.html")
    if as_json:
        print_json({"path": run.path, "report": page, **fields(run)})
        return 0
    epochs = run.record["epochs"]
    title = f"{run.name}, {epochs} epoch{'s' if epochs != 1 else ''}, {duration(run.record['seconds'])}"
    if run.restored_epoch not in (None, epochs):
        say(f"early stopping restored the parameters of epoch {run.restored_epoch}, the best of {epochs}")
    elif (best := best_epoch(run.history())) not in (None, epochs):
        say(f"by the loss on validation rows epoch {best} of {epochs} was the best; the last is kept")
    results_table(title, run.results, run.record["data"]["rows"])
    with contextlib.suppress(ValueError):  # nothing to judge by
        if (judgement := judge_run(run)).verdict == "underfitting":
            say(f"{judgement.verdict}: {'; '.join(judgement.reasons)}")
    print(f"run:    {run.path}")
    print(f"report: {page}")
    print(last_line(run))
    return 0


def report_so_far(folder: Path, tell: Callable[[str], object]) -> None:
    """Write the report of a run that has not finished, from its record: quick, since it may be asked to end."""
    from ..experiments import Run
    from ..experiments.gather import gather, gather_record
    from ..reports import save_report

    run = Run(folder)
    page = save_report(gather(run) if run.status == "failed" else gather_record(run), folder / "report.html")
    if run.status != "running":
        tell(f"report: {page}")


def last_line(run: Run) -> str:
    """The result in one line: 'test accuracy: 0.967'."""
    split = next(name for name in ("test", "validation", "train") if name in run.results)
    figures = run.results[split]
    figure = next(name for name in ("accuracy", "r2", "loss") if name in figures)
    return f"{split} {figure}: {figures[figure]:.3f}"


def go_on(sweep: Sweep, as_json: bool, jobs: int | None = None) -> int:
    """Run what is left of a sweep under a live table; returns the exit code: 1 when every trial failed."""
    from ..experiments.sweep import run_sweep

    try:
        if as_json:
            run_sweep(sweep, jobs)
        else:
            say(f"sweep: {sweep.path}, {sweep.record['count']} trials")
            with LiveSweep(sweep) as live:
                run_sweep(sweep, jobs, live.report)
            sweep_table(sweep)
    except KeyboardInterrupt:
        warn(f"interrupted; go on with: handgrad resume {sweep.path}")
        return 130
    failed = [trial for trial in sweep.trials if trial["status"] == "failed"]
    for trial in failed:
        warn(f"{sweep.folder(trial).name} failed: {trial['error']}")
    if interrupted := [trial for trial in sweep.trials if trial["status"] == "interrupted"]:
        warn(f"{len(interrupted)} trials were interrupted; go on with: handgrad resume {sweep.path}")
        return 130
    if (best := next(iter(sweep.ranked()), None)) is None:
        return 1
    from ..experiments.gather import gather_several
    from ..reports import save_comparison

    metric = sweep.record["metric"]
    page = save_comparison(gather_several([sweep.path]), sweep.path / "comparison.html", words(metric))
    if as_json:
        print_json({"path": sweep.path, "comparison": page, "metric": metric, "trials": list(sweep.ranked())})
    else:
        say(f"comparison: {page}")
        say(f"best {metric}: {best['value']:.4g} by {sweep.folder(best)}")
    return 0
