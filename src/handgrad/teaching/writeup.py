"""A write-up of runs: the code, the settings that were tried, the best run, and what each part of it contributed."""

import shlex
from pathlib import Path

from ..experiments.gather import runs_at
from ..experiments.sweep import SWEEP, Sweep
from ..files import write_text
from ..naming import check_count, look_up
from ..reports import save_curves, save_sweep
from ..text import duration, figure_text
from . import html, latex, markdown
from .components import component_sentences
from .document import Code, Heading, Paragraph, Picture, Table
from .implementations import implementations
from .results import deciding, entries, judgement_text, layers_text, value_text, varied

MAX_LINES, MAX_LABEL = 8, 16  # lines in a picture, and letters of a name or value beside them

FORMATS = {"latex": ".tex", "markdown": ".md", "html": ".html"}


def write_up(runs, output=None, format="markdown", heading_level=1, code=(), seed=0):
    """Write a document about these runs (folders, sweeps, folders of runs) and return its path.

    format: 'latex' (with pictures beside it), 'markdown' or 'html'. heading_level: of its sections, 1 to 3. code:
    modules or files to show, with the checks of their gradients. Every sentence comes from the runs' records.
    ValueError where there is no finished run, or no such code.
    """
    suffix = look_up("format", format, FORMATS)
    if check_count("write-up", "heading_level", heading_level) > 3:
        raise ValueError(f"write-up: heading_level must be 1, 2 or 3, got {heading_level}")
    output = Path(output or f"writeup{suffix}")
    blocks = list(document(runs, code, seed))
    if suffix == ".tex":
        latex.write_pictures(blocks, output)
        text = latex.render(blocks, heading_level, output)
    else:
        text = (markdown if suffix == ".md" else html).render(blocks, heading_level)
    write_text(output, text)
    return output


def document(paths, code=(), seed=0):
    """The blocks of a write-up."""
    found = entries(unique(run for path in paths for run in runs_at(path)))
    if code:
        yield Heading("Implementations")
        yield from implementations(code, seed)
    if len(found) > 1:
        yield Heading("Experiments")
        yield from experiments(found)
    yield Heading("The best run" if len(found) > 1 else "The run")
    yield from one_run(found[0])
    components = component_sentences(found)
    if components:
        yield Heading("What each part contributes")
        for component, text in components.items():
            yield Heading(component, 1)
            yield Paragraph(text)
    yield Heading("How to run it again")
    yield from again(found[0].run)


def unique(runs):
    return list({run.path.resolve(): run for run in runs}.values())


def experiments(found):
    """What was varied, the table with the best first, and the error by each setting that is a number."""
    keys, figure = varied(found), deciding(found)
    best = found[0]
    names = ", ".join(keys.values()) or "nothing: they repeat one another"
    data = " and ".join(dict.fromkeys(str(entry.run.record["data"].get("name")) for entry in found))
    yield Paragraph(
        f"{len(found)} runs on {data} differ in {names}. The best by {figure} is {best.name}: "
        f"{figure_text(best.figures.get(figure))}{equals(found, figure)}."
    )
    columns = [f for f in best.figures if all(f in entry.figures for entry in found) and not f.startswith("train")]
    columns = sorted(columns, key=lambda name: name != figure)[:4]
    titles = [f"{'>' * is_number(found, key)}{name}" for key, name in keys.items()]
    are_unique = len({entry.run.id for entry in found}) == len(found)
    yield Table(
        ["run", *titles, *(f">{name}" for name in columns)],
        [
            [
                entry.run.id if are_unique else entry.name,
                *(value_text(entry.settings.get(key)) for key in keys),
                *(figure_text(entry.figures[name]) for name in columns),
            ]
            for entry in found
        ],
        f"All runs, the best first by {figure}.",
        marked=0,
    )
    yield from sweep_pictures(found, keys, figure)


def equals(found, figure):
    """What to say of other runs with the same figure as the best, and of how coarse it is."""
    others = sum(entry.figures.get(figure) == found[0].figures.get(figure) for entry in found[1:])
    rows = (found[0].run.record["data"].get("rows") or {}).get(figure.partition(" ")[0])
    coarse = f"; one of the {rows} rows counts {figure_text(1 / rows)}" if figure.endswith("error") and rows else ""
    return (f" (shared with {others} more; of them it has the lowest loss)" if others else "") + coarse


def sweep_pictures(found, keys, figure):
    """The figure by each numeric setting that was varied, the other settings as lines, where these are not too many."""
    numeric = [key for key in keys if key != "seed" and is_number(found, key)]
    for number, key in enumerate(numeric[:2], 1):
        others = {k: "seed" if k == "seed" else shorten(keys[k], MAX_LABEL) for k in keys if k != key}
        results = [
            {keys[key]: entry.settings[key], figure: entry.figures[figure]}
            | {name: shorten(value_text(entry.settings.get(k)), MAX_LABEL) for k, name in others.items()}
            for entry in found
            if figure in entry.figures
        ]
        if len({tuple(result[name] for name in others.values() if name != "seed") for result in results}) > MAX_LINES:
            continue

        def draw(path, results=results, name=keys[key]):
            save_sweep(results, name, path, figure_name=figure)

        yield Picture(f"sweep-{number}", draw, f"{figure.capitalize()} by {keys[key]}; lower is better.")


def shorten(text, length):
    return text if len(text) <= length else text[: length - 1] + "…"


def is_number(found, key):
    values = [entry.settings.get(key) for entry in found]
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def one_run(entry):
    """What was trained and how, its figures by split, its curves, and how it is judged."""
    run, record = entry.run, entry.run.record
    yield Paragraph(training_sentence(run))
    splits = [split for split in ("train", "validation", "test") if run.results.get(split)]
    names = list(dict.fromkeys(name for split in splits for name in run.results[split]))
    rows = record["data"].get("rows") or {}
    yield Table(
        ["split", ">rows", *(f">{name.replace('_', ' ')}" for name in names)],
        [
            [split, value_text(rows.get(split)), *(figure_text(run.results[split].get(name)) for name in names)]
            for split in splits
        ],
        "Results of the model as it was kept.",
    )
    history = dict(run.history())
    if history:
        yield Picture(
            "curves",
            lambda path: save_curves(history, path),
            f"Loss and other figures of {entry.name} by epoch, on training and validation rows.",
        )
        yield Paragraph(judgement_text(run))


def training_sentence(run):
    """The record in words."""
    record, settings = run.record, run.record["configuration"]
    optimizer = settings.get("optimizer") or {}
    options = ", ".join(
        f"{key.replace('_', ' ')} {value_text(value)}" for key, value in optimizer.items() if key != "name"
    )
    schedule = (settings.get("schedule") or {}).get("name")
    augmentation = ", ".join(str(part.get("name")).replace("_", " ") for part in settings.get("augmentation") or [])
    size = (record.get("model") or {}).get("num_parameters")
    parts = [
        f"The network ({layers_text(run)}; {size:,} parameters)" if isinstance(size, int) else "The network",
        f"was trained on {record['data'].get('name')} for {record.get('epochs', settings.get('epochs'))} epochs in "
        f"batches of {settings.get('batch_size')}",
        f"by {optimizer.get('name')}" + (f" ({options})" if options else ""),
        f"with the schedule {schedule}" if schedule else "",
        f"with the augmentation {augmentation}" if augmentation else "",
    ]
    text = " ".join(filter(None, parts)) + f", minimizing the {(settings.get('loss') or {}).get('name')} loss"
    penalty = (settings.get("penalty") or {}).get("name")
    text += f" with the penalty {penalty}" if penalty else ""
    took = duration(record.get("seconds"))
    return f"{text}. Its seed was {record.get('seed')}{f'; training took {took}' if took else ''}."


def again(run):
    """The command, and the versions that it ran with."""
    record = run.record
    is_trial = (run.path.parent / SWEEP).is_file()
    command = Sweep(run.path.parent).record.get("command") if is_trial else record.get("command")
    if command:
        yield Code(shlex.join(map(str, command)).replace(" --", " \\\n  --"), "sh")
    versions = ", ".join(f"{name} {version}" for name, version in (record.get("versions") or {}).items())
    git = record.get("git") if isinstance(record.get("git"), dict) else {}
    changed = " with changes" if git.get("changed") else ""
    commit = f" Git commit {git['commit']}{changed}." if git.get("commit") else ""
    data = record["data"]
    yield Paragraph(
        f"Run with {versions or 'versions that were not recorded'}.{commit} The data: "
        f"{data.get('source') or data.get('name')}; licence: {data.get('licence') or 'not stated'}; "
        f"fingerprint {str(data.get('fingerprint'))[:16]}."
    )
