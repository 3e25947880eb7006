"""A write-up of runs: the code, the settings that were tried, the best run, and what each part of it contributed."""

import datetime
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..experiments import Run
from ..experiments.gather import several
from ..experiments.run_folder import SWEEP, check_output
from ..experiments.sweep import Sweep
from ..files import write_text
from ..naming import check_count, look_up
from ..reports import save_curves, save_sweep
from ..reports.comparison import sweep_chart
from ..reports.page import curve_charts
from ..reports.view import RunView, words
from ..text import clipped, duration, figure_text
from . import results
from .document import Block, Code, Heading, Paragraph, Picture, Table, Title
from .formats import render_html, render_latex, render_markdown, write_pictures
from .implementations import implementations
from .results import Entry

MAX_LINES, MAX_COLUMNS = 8, 4  # lines in a picture, and figures in the table of all runs

FORMATS = {"latex": ".tex", "markdown": ".md", "html": ".html"}


def write_up(
    runs: Iterable[str | Path],
    output: str | Path | None = None,
    format: str = "markdown",
    heading_level: int = 1,
    code: Iterable[str] = (),
    seed: int = 0,
    title: str = "",
    author: str = "",
) -> Path:
    """Write a document about runs: every sentence comes from their records.

    Parameters
    ----------
    runs : iterable of str or Path
        Folders of runs, of sweeps, or of any number of runs below them.
    output : str or Path, optional
        Where to write it; by default writeup.tex, .md or .html in the working folder.
    format : {'latex', 'markdown', 'html'}
        LaTeX and Markdown have their pictures beside them; HTML is one file.
    heading_level : int
        The level of its headings, 1 to 3.
    code : iterable of str
        'MODULE', 'FILE.py' or either with ':NAME,NAME': code to show, with the checks of its gradients.
    seed : int
        The seed of the gradient checks.
    title, author : str
        What stands above it, with the date; by default the names of the runs, and nobody. A document that is to be a
        part of another one (heading_level above 1) has none of them.

    Returns
    -------
    Path
        The document's path.

    Raises
    ------
    ValueError
        Where there is no finished run, or no such code.
    """
    suffix = look_up("format", format, FORMATS)
    if check_count("write-up", "heading_level", heading_level) > 3:
        raise ValueError(f"write-up: heading_level must be 1, 2 or 3, got {heading_level}")
    found, code = several(runs), list(code)
    inputs: list[str | Path] = [source.partition(":")[0] for source in code]
    inputs += [path for run in found for path in run.paths]
    output = check_output(output or f"writeup{suffix}", inputs)
    blocks = list(document(found, code, seed))
    if heading_level == 1:
        name = title or f"Write-up: {', '.join(dict.fromkeys(run.name for run in found))}"
        blocks.insert(0, Title(name, author, f"{datetime.date.today()}"))
    if suffix == ".html":
        write_text(output, render_html(blocks, heading_level))
        return output
    write_pictures(blocks, output, ".pdf" if suffix == ".tex" else ".png")
    write_text(output, (render_latex if suffix == ".tex" else render_markdown)(blocks, heading_level, output))
    return output


def document(runs: Iterable[Run], code: Iterable[str] = (), seed: int = 0) -> Iterator[Block]:
    """The blocks of a write-up."""
    found = results.entries(runs)
    if code:
        yield Heading("Implementations")
        yield from implementations(code, seed)
    if len(found) > 1:
        yield Heading("Experiments")
        yield from experiments(found)
    yield Heading("The best run" if len(found) > 1 else "The run")
    yield from one_run(found[0])
    told = {
        "What each setting did": results.setting_sentences(found),
        "What each part contributes": results.component_sentences(found),
    }
    for title, sentences in told.items():
        if sentences:
            yield Heading(title)
        for subject, text in sentences.items():
            yield Heading(subject, 1)
            yield Paragraph(text)
    yield Heading("How to run it again")
    yield from again(found[0].run)


def experiments(found: Sequence[Entry]) -> Iterator[Block]:
    """What was varied, the table with the best first, and the error by each setting that is a number."""
    keys, figure, best = results.varied(found), results.deciding(found), found[0]
    names = ", ".join(keys.values()) or "nothing: they repeat one another"
    data = " and ".join(dict.fromkeys(str(entry.run.record["data"].get("name")) for entry in found))
    reached = f"{figure_text(best.figures.get(figure))}{equals(found, figure)}"
    yield Paragraph(f"{len(found)} runs on {data} differ in {names}. The best by {figure} is {best.name}: {reached}.")
    shared = [f for f in best.figures if all(f in entry.figures for entry in found) and not f.startswith("train")]
    columns = sorted(shared, key=lambda name: name != figure)[:MAX_COLUMNS]
    titles = [f"{'>' * is_number(found, key)}{name}" for key, name in keys.items()]
    are_unique = len({entry.run.id for entry in found}) == len(found)
    rows = []
    for entry in found:
        settings = [results.value_text(entry.settings.get(key)) for key in keys]
        figures = [figure_text(entry.figures[name]) for name in columns]
        rows.append([entry.run.id if are_unique else entry.name, *settings, *figures])
    head = ["run", *titles, *(f">{name}" for name in columns)]
    yield Table(head, rows, f"All runs, the best first by {figure}.", marked=0)
    yield from sweep_pictures(found, keys, figure)


def equals(found: Sequence[Entry], figure: str) -> str:
    """What to say of other runs with the same figure as the best, and of how coarse it is."""
    others = sum(entry.figures.get(figure) == found[0].figures.get(figure) for entry in found[1:])
    rows = (found[0].run.record["data"].get("rows") or {}).get(figure.partition(" ")[0])
    coarse = f"; one of the {rows} rows counts {figure_text(1 / rows)}" if figure.endswith("error") and rows else ""
    return (f" (shared with {others} more; of them it has the lowest loss)" if others else "") + coarse


def sweep_pictures(found: Sequence[Entry], keys: Mapping[str, str], figure: str) -> Iterator[Block]:
    """The figure by each numeric setting that was varied, the other settings as lines, where these are not too many."""
    numeric = [key for key in keys if key != "seed" and is_number(found, key)]
    for number, key in enumerate(numeric[:2], 1):
        others = {k: "seed" if k == "seed" else clipped(keys[k]) for k in keys if k != key}
        points: list[dict[str, Any]] = []
        for entry in found:
            if figure in entry.figures:
                labels = {name: clipped(results.value_text(entry.settings.get(k))) for k, name in others.items()}
                points.append({keys[key]: entry.settings[key], figure: entry.figures[figure], **labels})
        if len({tuple(point[name] for name in others.values() if name != "seed") for point in points}) <= MAX_LINES:
            caption = f"{figure.capitalize()} by {keys[key]}; lower is better."
            draw = partial(save_sweep, points, keys[key], figure_name=figure)
            chart = sweep_chart(points, keys[key], figure, f"sweep-{number}")
            yield Picture(f"sweep-{number}", draw, caption, [chart])


def is_number(found: Sequence[Entry], key: str) -> bool:
    values = [entry.settings.get(key) for entry in found]
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def one_run(entry: Entry) -> Iterator[Block]:
    """What was trained and how, its figures by split, its curves, and how it is judged."""
    measured = entry.run.results
    yield Paragraph(training_sentence(entry))
    splits = [split for split in ("train", "validation", "test") if measured.get(split)]
    names = list(dict.fromkeys(name for split in splits for name in measured[split]))
    num_rows = entry.run.record["data"].get("rows") or {}
    rows = list[list[str]]()
    for split in splits:
        figures = [figure_text(measured[split].get(name)) for name in names]
        rows.append([split, results.value_text(num_rows.get(split)), *figures])
    columns = ["split", ">rows", *(f">{words(name)}" for name in names)]
    yield Table(columns, rows, "Results of the model as it was kept.")
    if history := entry.run.history():
        caption = f"Loss and other figures of {entry.name} by epoch, on training and validation rows."
        charts, _ = curve_charts(RunView("", "", history=history, restored=entry.run.restored_epoch))
        yield Picture("curves", partial(save_curves, history), caption, charts)
        yield Paragraph(results.judgement_text(entry.run))


def training_sentence(entry: Entry) -> str:
    """The record in words."""
    record, settings = entry.run.record, entry.configuration
    optimizer = dict(settings.get("optimizer") or {})
    rule = optimizer.pop("name", None)
    options = ", ".join(f"{words(key)} {results.value_text(value)}" for key, value in optimizer.items())
    schedule, loss, penalty = ((settings.get(kind) or {}).get("name") for kind in ("schedule", "loss", "penalty"))
    size = (record.get("model") or {}).get("num_parameters")
    epochs, took = record.get("epochs", settings.get("epochs")), duration(record.get("seconds"))
    parts = [
        f"The network ({entry.layers_text}; {size:,} parameters)" if isinstance(size, int) else "The network",
        f"was trained on {record['data'].get('name')} for {epochs} epochs in batches of {settings.get('batch_size')}",
        f"by {rule}" + (f" ({options})" if options else ""),
        f"with the schedule {schedule}" if schedule else "",
        f"with the augmentation {entry.augmentation_text}" if entry.augmentation else "",
    ]
    text = f"{' '.join(filter(None, parts))}, minimizing the {loss} loss"
    text += f" with the penalty {penalty}" if penalty else ""
    return f"{text}. Its seed was {record.get('seed')}{f'; training took {took}' if took else ''}."


def again(run: Run) -> Iterator[Block]:
    """The command, and the versions that it ran with."""
    record = run.record
    is_trial = (run.path.parent / SWEEP).is_file()
    command = Sweep(run.path.parent).record.get("command") if is_trial else record.get("command")
    if command:
        yield Code(shlex.join(map(str, command)).replace(" --", " \\\n  --"), "sh")
    versions = ", ".join(f"{name} {version}" for name, version in (record.get("versions") or {}).items())
    git: Any = record.get("git")
    git = git if isinstance(git, dict) else {}
    changed = " with changes" if git.get("changed") else ""
    commit = f" Git commit {git['commit']}{changed}." if git.get("commit") else ""
    data = record["data"]
    source, licence = data.get("source") or data.get("name"), data.get("licence") or "not stated"
    known = f"; fingerprint {data['fingerprint'][:16]}" if isinstance(data.get("fingerprint"), str) else ""
    used = versions or "versions that were not recorded"
    yield Paragraph(f"Run with {used}.{commit} The data: {source}; licence: {licence}{known}.")
