"""What to do with runs that are there: list, measure, replay, predict, report, compare, watch, judge, write up."""

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .application import say, warn
from .options import AS_JSON

PATH = click.Path(path_type=Path)


def given(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """An argument, if it is not empty: to Python '' is the working folder, to a shell a variable that was not set."""
    if value == "" or (isinstance(value, tuple) and "" in value):
        raise click.BadParameter("is empty; name a folder")
    return value


RUNS = click.argument("runs", metavar="RUN|SWEEP|FOLDER...", nargs=-1, required=True, callback=given)
RUN = click.argument("run", metavar="RUN", callback=given)


@click.command()
@click.argument("folder", default="experiments", callback=given)
@click.option(
    "--where", "conditions", multiple=True, metavar="KEY=VALUE", help="Only runs with name=iris, test.r2>0.9."
)
@click.option(
    "--sort", metavar="KEY", help="Sort, the best first: test.accuracy, validation.loss, optimizer.learning_rate."
)
@click.option("--best", metavar="KEY", help="Show only the best run by this key.")
@click.option("--show", "columns", multiple=True, metavar="KEY", help="Show one more column: optimizer.learning_rate.")
@AS_JSON
def runs(
    folder: str,
    conditions: tuple[str, ...],
    sort: str | None,
    best: str | None,
    columns: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the runs below a folder."""
    from ..experiments.gather import find_runs, select
    from .show import print_json, runs_table

    found, damaged = find_runs(folder)
    rows = select(found, conditions, best or sort, columns)
    rows = rows[:1] if best else rows
    if as_json:
        print_json([{"path": run.path, **row} for run, row in rows])
    else:
        runs_table(Path(folder), rows, dict.fromkeys([*columns, *filter(None, [best or sort])]))
    for line in damaged:
        warn(line)


@click.command()
@RUN
@click.option("--prompt", metavar="TEXT", required=True, help="The text to go on from.")
@click.option("--tokens", default=500, help="How many characters, or bytes, to write.")
@click.option("--temperature", default=1.0, help="Below 1 for likelier texts; 0 for the likeliest token each time.")
@click.option("--seed", default=0, help="The seed of what is drawn.")
def generate(run: str, prompt: str, tokens: int, temperature: float, seed: int) -> None:
    """Continue a text with the model of a run that was trained on one."""
    from ..experiments import generate as pieces

    written = pieces(run, prompt, tokens, temperature, seed)
    for piece in itertools.chain([prompt], written):
        print(piece, end="", flush=True)
    print()


@click.command()
@RUN
@AS_JSON
def evaluate(run: str, as_json: bool) -> None:
    """Measure a run's model again on its data."""
    from ..experiments import Run
    from ..experiments import replay as again
    from .show import print_json, results_table

    found = Run(run)
    results = again.evaluate(found)
    if as_json:
        print_json(results)
    else:
        results_table(found.name, results, found.record["data"].get("rows") or {})


@click.command()
@RUN
@click.option("--step", required=True, type=int, help="The step, counted from 1.")
@AS_JSON
def replay(run: str, step: int, as_json: bool) -> None:
    """Recompute one training step and show it layer by layer."""
    from ..experiments import Run
    from ..experiments.replay import replay as recompute
    from .show import print_json, replay_tables

    found = recompute(Run(run), step)
    if as_json:
        print_json(found)
    else:
        replay_tables(found)


@click.command()
@RUN
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", metavar="FILE", default="predictions.csv", help="Where to write the predictions.")
@click.option(
    "--format",
    type=click.Choice(["table", "kaggle"]),
    default="table",
    help="Id, target and probabilities; or Id, Category as whole numbers.",
)
def predict(run: str, source: str, output: str, format: str) -> None:
    """Predict INPUT (.csv, .npz, .npy, IDX images; or `test`, the run's own test rows) with a run's model."""
    from ..datasets.predictions import write_predictions
    from ..experiments import Run
    from ..experiments import replay as again
    from ..experiments.run_folder import check_output

    trained = Run(run)
    check_output(output, [source, *trained.paths])
    found = again.predict(trained, source)
    for note in found.notes:
        warn(note)
    write_predictions(output, found, format)
    say(f"{len(found.values)} prediction{'s' if len(found.values) != 1 else ''} in {output}")
    if format == "kaggle" and found.numbers_stand_for_names:
        say(f"Category: {', '.join(f'{k} is {name}' for k, name in enumerate(found.class_names))}")


@click.command()
@RUN
@click.option("-o", "--output", required=True, metavar="FILE", help="What to write; its ending says which format.")
@click.option("--verify", is_flag=True, help="Compute with the file itself, too, where what runs it is there.")
@AS_JSON
def export(run: str, output: str, verify: bool, as_json: bool) -> int:
    """Write a run's network for use without handgrad: .onnx, .py, .c, .js, .html. Raw inputs give probabilities."""
    from ..exchange.runs import export_run
    from ..experiments import Run
    from .show import print_json

    receipt = export_run(Run(run), output, verify)
    if as_json:
        print_json({"ok": receipt.ok, **vars(receipt)})
    else:
        print(receipt)
    return 0 if receipt.ok else 1


@click.command("export-tensorboard")
@RUN
@click.option("--out", metavar="DIR", help="The folder that gets the event files; RUN/tensorboard unless given.")
def export_tensorboard(run: str, out: str | None) -> None:
    """Write a run's figures as event files: tensorboard --logdir DIR shows them."""
    from ..experiments import Run, recorder

    folder = out or Path(run) / "tensorboard"
    count = recorder.export_tensorboard(Run(run), folder)
    say(f"{count} numbers in {folder}; see them by: tensorboard --logdir {folder}")


# What runs look like and amount to ------------------------------------------------------------------------------------


@click.command()
@RUN
@click.option("-o", "--output", metavar="FILE", type=PATH, help="Where to write it; RUN/report.html unless given.")
def report(run: str, output: Path | None) -> None:
    """Write one HTML page that shows a run and opens anywhere."""
    from ..experiments import Run
    from ..experiments.gather import gather
    from ..experiments.run_folder import check_output
    from ..reports import save_report

    found = Run(run)
    output = check_output(output or found.path / "report.html", found.paths)
    view = gather(found)
    for note in view.notes:
        warn(note)
    say(f"report: {save_report(view, output)}")


@click.command()
@RUNS
@click.option("-o", "--output", metavar="FILE", type=PATH, default="comparison.html", help="Where to write the page.")
def compare(runs: tuple[str, ...], output: Path) -> None:
    """Write one HTML page that compares runs: settings that differ, results, curves, seeds together."""
    from ..experiments.gather import gather_record, several
    from ..experiments.run_folder import check_output
    from ..reports import save_comparison

    found = several(runs)
    check_output(output, [path for run in found for path in run.paths])
    views = [gather_record(run) for run in found]
    say(f"{len(views)} {'run' if len(views) == 1 else 'runs'} compared: {save_comparison(views, output)}")


@click.command()
@click.argument("folder", metavar="RUN|FOLDER", default="experiments", callback=given)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 is any free one.")
def watch(folder: str, port: int) -> None:
    """Show runs in the browser while they train. For this machine only, and read only."""
    from ..experiments.gather import LiveRuns
    from ..reports.watch import WatchServer

    source = LiveRuns(folder, may_come=folder == "experiments")  # before the first run
    with WatchServer(source, port) as server:
        place = f"run/{source.root.name}" if source.is_run else ""
        say(f"watching {folder} on {server.url}{place} (Ctrl-C ends)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


@click.command()
@RUNS
@AS_JSON
def judge(runs: tuple[str, ...], as_json: bool) -> None:
    """Say of each run whether it underfits, overfits or generalizes, and from which figures."""
    from ..experiments.gather import judge_run, runs_at
    from .show import print_json

    found = [run for path in runs for run in runs_at(path)]
    if as_json:
        print_json([{"path": run.path, **asdict(judge_run(run))} for run in found])
        return
    for run in found:
        if len(found) > 1:
            print(run.path)
        print(judge_run(run))


@click.command()
@RUNS
@click.option(
    "-f",
    "--format",
    "kind",
    type=click.Choice(["latex", "markdown", "html"]),
    default="markdown",
    help="LaTeX and Markdown have their pictures beside them; HTML is one file.",
)
@click.option(
    "--heading-level", "--heading_level", type=click.IntRange(1, 3), default=1, help="The level of its headings."
)
@click.option("-o", "--output", metavar="FILE", type=PATH, help="Where to write it; writeup.tex, .md or .html.")
@click.option(
    "--code",
    multiple=True,
    metavar="MODULE|FILE.py[:NAME,NAME]",
    help="Code to show with the checks of its gradients: my_layers.py:Dense; or a course: your own bodies for cs189.",
)
@click.option("--seed", default=0, help="The seed of the gradient checks.")
@click.option("--title", default="", help="What stands above it; the runs' names unless given.")
@click.option("--author", default="", help="Who wrote it.")
def writeup(
    runs: tuple[str, ...], kind: str, heading_level: int, output: Path | None, code: tuple[str, ...], **told: Any
) -> None:
    """Write up runs: code and its gradient checks, the settings tried, the best run, what each part contributes."""
    from ..teaching import write_up

    say(f"write-up: {write_up(runs, output, kind, heading_level, code, **told)}")
